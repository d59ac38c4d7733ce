//! A driver's standard output and error. Each line is shown with `--verbose`, and the end is kept for the error message
//! if the driver fails.

use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    async_trait,
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

/// The number of bytes that an error shows.
const MAX: usize = 64 << 10;

/// Longer lines are shown in pieces of this length, in bytes.
const MAX_LINE_LENGTH: usize = 8 << 10;

/// Called for each line.
pub(crate) type Heard = Box<dyn Fn(&str) + Send + Sync>;

/// A stream that accepts everything and keeps only the end.
#[derive(Clone)]
pub(crate) struct StderrTail(Arc<Mutex<Written>>);

struct Written {
    end: Vec<u8>,
    /// The part of the current line that was not shown yet.
    line: Vec<u8>,
    heard: Heard,
}

impl StderrTail {
    pub(crate) fn new(heard: Heard) -> Self {
        Self(Arc::new(Mutex::new(Written { end: Vec::new(), line: Vec::new(), heard })))
    }

    /// The end of the output, cut to whole lines if it has several.
    pub(crate) fn text(&self) -> String {
        let Written { end: written, .. } = &*self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cut = written.len() > MAX;
        let text = String::from_utf8_lossy(&written[written.len().saturating_sub(MAX)..]);
        let text = match text.split_once('\n') {
            Some((_, whole)) if cut => whole,
            _ => &text,
        };
        text.trim().to_owned()
    }

    fn write(&self, bytes: &[u8]) {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.hear(bytes);
        let Written { end, .. } = &mut *written;
        end.extend_from_slice(&bytes[bytes.len().saturating_sub(MAX + 1)..]);
        // Only when it is four times too long, so that each byte is moved about once.
        if end.len() > 4 * MAX {
            let surplus = end.len() - MAX - 1;
            end.drain(..surplus);
        }
    }
}

impl Written {
    fn hear(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") || self.line.len() >= MAX_LINE_LENGTH {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        if !text.trim().is_empty() {
            (self.heard)(text.trim_end());
        }
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        self.flush();
    }
}

impl fmt::Debug for StderrTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StderrTail")
    }
}

impl IsTerminal for StderrTail {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for StderrTail {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for StderrTail {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        Self::write(self, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX)
    }
}

#[async_trait]
impl Pollable for StderrTail {
    async fn ready(&mut self) {}
}

impl AsyncWrite for StderrTail {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_in_whole_lines() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let lines = heard.clone();
        let words = StderrTail::new(Box::new(move |line: &str| lines.lock().unwrap().push(line.to_owned())));
        words.write(b"short");
        assert_eq!(words.text(), "short");
        for number in 0..100_000 {
            words.write(format!("line {number}\n").as_bytes());
        }
        let text = words.text();
        assert!(text.len() <= MAX && text.len() > MAX / 2);
        assert!(text.starts_with("line ") && text.ends_with("line 99999"), "{}", &text[..20]);
        words.write(&vec![b'x'; 10 * MAX]);
        assert_eq!(words.text().len(), MAX);
        drop(words);
        let heard = heard.lock().unwrap();
        assert_eq!((heard[0].as_str(), heard[1].as_str()), ("shortline 0", "line 1"));
        assert_eq!(heard.last().unwrap().len(), 10 * MAX, "also a line without a line end");
    }
}
