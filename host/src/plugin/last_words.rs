//! What a driver writes to its standard output and error: the end of it, for the error that ends the driver.

use std::{
    io,
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

/// As much of it as an error shows.
const MOST: usize = 64 << 10;

/// A stream that never refuses, and keeps only the end.
#[derive(Clone, Debug, Default)]
pub(super) struct LastWords(Arc<Mutex<Vec<u8>>>);

impl LastWords {
    /// Whole lines, where there are several.
    pub(super) fn text(&self) -> String {
        let written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cut = written.len() > MOST;
        let text = String::from_utf8_lossy(&written[written.len().saturating_sub(MOST)..]);
        let text = match text.split_once('\n') {
            Some((_, whole)) if cut => whole,
            _ => &text,
        };
        text.trim().to_owned()
    }

    fn write(&self, bytes: &[u8]) {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.extend_from_slice(&bytes[bytes.len().saturating_sub(MOST + 1)..]);
        // Seldom, so that each byte is moved about once.
        if written.len() > 4 * MOST {
            let surplus = written.len() - MOST - 1;
            written.drain(..surplus);
        }
    }
}

impl IsTerminal for LastWords {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LastWords {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for LastWords {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        Self::write(self, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MOST)
    }
}

#[async_trait]
impl Pollable for LastWords {
    async fn ready(&mut self) {}
}

impl AsyncWrite for LastWords {
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
        let words = LastWords::default();
        words.write(b"short");
        assert_eq!(words.text(), "short");
        for number in 0..100_000 {
            words.write(format!("line {number}\n").as_bytes());
        }
        let text = words.text();
        assert!(text.len() <= MOST && text.len() > MOST / 2);
        assert!(text.starts_with("line ") && text.ends_with("line 99999"), "{}", &text[..20]);
        words.write(&vec![b'x'; 10 * MOST]);
        assert_eq!(words.text().len(), MOST);
    }
}
