//! Reads the output of containers line by line, without losing any. A cursor is the number of lines read.

use std::{
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::Path,
    pin::{Pin, pin},
    time::Duration,
};

use bollard::{container::LogOutput, query_parameters::LogsOptionsBuilder};
use futures_util::{Stream, StreamExt, stream::poll_fn};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::{Engine, explain};
use crate::{
    config::Mask,
    disk::{Folder, PRIVATE, cannot_read},
    error::{Error, Result},
};

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it was written, in milliseconds since the Unix epoch.
    pub time: Option<u64>,
    /// Its text, without the line end.
    pub text: String,
}

/// Some lines, and the cursor after them.
#[derive(Debug, Default)]
pub struct LogLines {
    /// The lines in order.
    pub lines: Vec<Line>,
    /// The number of lines up to the end of these.
    pub seen: u64,
    /// Whether there are no more lines for now.
    pub drained: bool,
}

/// Maximum number of lines and bytes of a page.
const PAGE_LINES: usize = 10_000;
const PAGE_BYTES: usize = 1 << 20;
/// Maximum length of a line in bytes. The rest is left out, and a note says how much.
const MAX_LINE_LENGTH: usize = 256 << 10;
/// How long to wait for a first line, and then for another one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const NEXT_WAIT: Duration = Duration::from_millis(50);

/// A frame has at most 16 KiB.
const FRAMES_AHEAD: usize = 256;

type Frames = Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>;

/// An open stream, and how many lines of it were read.
pub(super) struct Follower {
    container: String,
    seen: u64,
    /// Masks the container's secrets.
    mask: Mask,
    frames: Frames,
    split: Splitter,
}

impl Engine {
    /// The lines of a container after the first `seen` ones. Waits a moment if there are none yet.
    ///
    /// # Errors
    /// The engine does not answer, or the container is gone.
    pub async fn logs(&self, container: &str, seen: u64) -> Result<LogLines> {
        let mut follower = match self.take_follower(container, seen) {
            Some(follower) => follower,
            None => self.follow(container, seen).await?,
        };
        let mut page = LogLines::default();
        let mut size = 0;
        let mut wait = FIRST_WAIT;
        while page.lines.len() < PAGE_LINES && size < PAGE_BYTES {
            if let Some(Line { time, text }) = follower.split.next() {
                let text = follower.mask.owned(text);
                size += text.len();
                page.lines.push(Line { time, text });
                wait = NEXT_WAIT;
                continue;
            }
            match tokio::time::timeout(wait, follower.frames.next()).await {
                Ok(Some(Ok(frame))) => follower.split.push(frame),
                Ok(Some(Err(error))) => {
                    return Err(explain(&format!("cannot read the log of {container}"), error));
                }
                Ok(None) => {
                    follower.split.finish();
                    if follower.split.ready.is_empty() {
                        page.drained = true;
                        page.seen = follower.seen + page.lines.len() as u64;
                        return Ok(page);
                    }
                }
                Err(_) => {
                    page.drained = true;
                    break;
                }
            }
        }
        follower.seen += page.lines.len() as u64;
        page.seen = follower.seen;
        self.followers().push(follower);
        Ok(page)
    }

    /// Saves a container's log in a file below a folder: each line with its time before it.
    ///
    /// # Errors
    /// The engine does not answer, or the disk is full.
    pub async fn save_logs(&self, container: &str, folder: &Folder, file: &Path) -> Result<()> {
        let operation = format!("cannot save the log of {container} to {}", file.display());
        let failed = |error: io::Error| {
            Error::failed(&operation)
                .hint("free some disk space if the disk is full, and run the command again; the container is kept")
                .source(error)
        };
        folder.make_below(file.parent().unwrap_or(Path::new(""))).map_err(failed)?;
        let mask = self.secrets_of(container).await?;
        let partial = folder.begin(file, PRIVATE).map_err(failed)?;
        let mut out = BufWriter::new(partial.file());
        let mut frames = self.frames(container, false);
        let mut split = Splitter::default();
        loop {
            match frames.next().await {
                Some(frame) => split.push(frame.map_err(|error| explain(&operation, error))?),
                None => split.finish(),
            }
            if split.ready.is_empty() && split.finished {
                break;
            }
            for line in split.by_ref() {
                let time = line.time.and_then(|time| i64::try_from(time).ok()).unwrap_or_default();
                writeln!(out, "{time} {}", mask.text(&line.text)).map_err(failed)?;
            }
        }
        out.flush().map_err(failed)?;
        drop(out);
        partial.commit().map_err(failed)
    }

    async fn follow(&self, container: &str, seen: u64) -> Result<Follower> {
        let mut follower = Follower {
            container: container.to_owned(),
            seen,
            mask: self.secrets_of(container).await?,
            frames: self.frames(container, true),
            split: Splitter::default(),
        };
        let mut skipped = 0;
        while skipped < seen {
            if follower.split.next().is_some() {
                skipped += 1;
                continue;
            }
            match follower.frames.next().await {
                Some(Ok(frame)) => follower.split.push(frame),
                Some(Err(error)) => {
                    return Err(explain(&format!("cannot read the log of {container}"), error));
                }
                None if follower.split.finished => break,
                None => follower.split.finish(),
            }
        }
        Ok(follower)
    }

    fn frames(&self, container: &str, follow: bool) -> Frames {
        let options =
            LogsOptionsBuilder::new().stdout(true).stderr(true).timestamps(true).follow(follow).build();
        ahead(self.docker.logs(container, Some(options)))
    }

    fn take_follower(&self, container: &str, seen: u64) -> Option<Follower> {
        let mut followers = self.followers();
        let at =
            followers.iter().position(|follower| follower.container == container && follower.seen == seen)?;
        Some(followers.swap_remove(at))
    }

    fn followers(&self) -> std::sync::MutexGuard<'_, Vec<Follower>> {
        self.following.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Reads ahead in its own task. The connection returns one frame at a time, and waits until it is taken. Between tasks
/// that is cheap, but the program's main thread would need a thread switch for each line.
fn ahead(frames: impl Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send + 'static) -> Frames {
    let (sender, mut receiver) = mpsc::channel(FRAMES_AHEAD);
    tokio::spawn(async move {
        let mut frames = pin!(frames);
        loop {
            let frame = tokio::select! {
                frame = frames.next() => frame,
                // The reader is gone.
                () = sender.closed() => None,
            };
            let Some(frame) = frame else { return };
            if sender.send(frame).await.is_err() {
                return;
            }
        }
    });
    Box::pin(poll_fn(move |context| receiver.poll_recv(context)))
}

/// Lines of a file that `save_logs` made below a folder, after the first `seen` ones.
///
/// # Errors
/// The file cannot be read.
pub fn saved(folder: &Folder, file: &Path, seen: u64) -> Result<LogLines> {
    let failed = |error| cannot_read(&folder.path().join(file), error);
    let mut page = LogLines { seen, ..LogLines::default() };
    let mut size = 0;
    let mut saved = BufReader::new(folder.open_file(file).map_err(failed)?);
    for _ in 0..seen {
        if next_line(&mut saved, 0).map_err(failed)?.is_none() {
            break;
        }
    }
    while page.lines.len() < PAGE_LINES && size < PAGE_BYTES {
        let Some(line) = next_line(&mut saved, MAX_LINE_LENGTH).map_err(failed)? else { break };
        let line = String::from_utf8_lossy(&line);
        let (time, text) = line.split_once(' ').unwrap_or(("", &line));
        size += text.len();
        page.lines.push(Line { time: time.parse().ok(), text: text.to_owned() });
    }
    page.seen += page.lines.len() as u64;
    page.drained = saved.fill_buf().map_err(failed)?.is_empty();
    Ok(page)
}

/// The next line without its end, and at most `most` bytes of it.
fn next_line(from: &mut impl BufRead, most: usize) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut is_begun = false;
    loop {
        let bytes = from.fill_buf()?;
        if bytes.is_empty() {
            return Ok(is_begun.then_some(line));
        }
        is_begun = true;
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (piece, used) = (&bytes[..end.unwrap_or(bytes.len())], end.map_or(bytes.len(), |end| end + 1));
        line.extend_from_slice(&piece[..piece.len().min(most - line.len())]);
        from.consume(used);
        if end.is_some() {
            return Ok(Some(line));
        }
    }
}

/// Joins frames to lines. A frame is a line, or a part of a long one, and starts with its time.
#[derive(Default)]
struct Splitter {
    out: Part,
    err: Part,
    ready: std::collections::VecDeque<Line>,
    finished: bool,
}

#[derive(Default)]
struct Part {
    time: Option<u64>,
    text: Vec<u8>,
    /// Bytes beyond the maximum length.
    left_out: usize,
    open: bool,
}

impl Splitter {
    fn push(&mut self, frame: LogOutput) {
        let (part, bytes) = match &frame {
            LogOutput::StdErr { message } => (&mut self.err, message),
            LogOutput::StdOut { message } | LogOutput::Console { message } | LogOutput::StdIn { message } => {
                (&mut self.out, message)
            }
        };
        let space = bytes.iter().position(|byte| *byte == b' ').unwrap_or(0);
        let (time, text) = bytes.split_at(space);
        let text = text.strip_prefix(b" ").unwrap_or(text);
        if !part.open {
            part.time = str::from_utf8(time).ok().and_then(milliseconds);
            part.open = true;
        }
        part.add(text.strip_suffix(b"\n").unwrap_or(text));
        if text.ends_with(b"\n") {
            self.ready.push_back(part.take());
        }
    }

    /// A last line may lack its end.
    fn finish(&mut self) {
        for part in [&mut self.out, &mut self.err] {
            if part.open {
                self.ready.push_back(part.take());
            }
        }
        self.finished = true;
    }
}

impl Iterator for Splitter {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        self.ready.pop_front()
    }
}

impl Part {
    fn add(&mut self, text: &[u8]) {
        let room = MAX_LINE_LENGTH - self.text.len();
        if text.len() > room
            && let Some(redrawn) = text.iter().rposition(|byte| *byte == b'\r')
            && text.len() - redrawn <= MAX_LINE_LENGTH
        {
            // A progress bar is overwritten, so only its last state counts.
            self.text = text[redrawn..].to_owned();
            self.left_out = 0;
            return;
        }
        let (kept, rest) = text.split_at(text.len().min(room));
        self.text.extend_from_slice(kept);
        self.left_out += rest.len();
    }

    fn take(&mut self) -> Line {
        let part = std::mem::take(self);
        let mut text = String::from_utf8_lossy(&part.text).into_owned();
        if part.left_out > 0 {
            text.push_str(&format!(" [{} more bytes of this line left out]", part.left_out));
        }
        Line { time: part.time, text }
    }
}

fn milliseconds(time: &str) -> Option<u64> {
    let time: Timestamp = time.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(text: &str) -> LogOutput {
        LogOutput::StdOut { message: text.to_owned().into() }
    }

    fn err(text: &str) -> LogOutput {
        LogOutput::StdErr { message: text.to_owned().into() }
    }

    #[test]
    fn long_lines_are_joined_and_streams_kept_apart() {
        let mut split = Splitter::default();
        for frame in [
            out("1970-01-01T00:00:01Z one "),
            err("1970-01-01T00:00:02Z other\n"),
            out("1970-01-01T00:00:03Z line\n"),
            out("1970-01-01T00:00:04Z last"),
        ] {
            split.push(frame);
        }
        split.finish();
        let lines: Vec<_> = split.map(|line| (line.time.unwrap(), line.text)).collect();
        assert_eq!(lines, [(2000, "other".into()), (1000, "one line".into()), (4000, "last".into())]);
    }

    #[test]
    fn a_line_without_an_end_is_cut() {
        let mut split = Splitter::default();
        let piece = "x".repeat(MAX_LINE_LENGTH / 3);
        for _ in 0..10 {
            split.push(out(&format!("1970-01-01T00:00:01Z {piece}")));
        }
        split.push(out("1970-01-01T00:00:01Z end\n"));
        let line = split.next().unwrap();
        let left_out = 10 * piece.len() + 3 - MAX_LINE_LENGTH;
        assert_eq!(line.text[MAX_LINE_LENGTH..], format!(" [{left_out} more bytes of this line left out]"));
        // A progress bar that is redrawn many times.
        for number in 0..100_000 {
            split.push(out(&format!("1970-01-01T00:00:01Z \r{number} of 100000")));
        }
        split.push(out("1970-01-01T00:00:01Z \n"));
        let line = split.next().unwrap();
        assert!(line.text.len() <= MAX_LINE_LENGTH && line.text.ends_with("\r99999 of 100000"));
    }

    #[test]
    fn a_saved_log_is_read_page_by_page() {
        let folder = tempfile::tempdir().unwrap();
        let (file, folder) = (Path::new("algo-1.log"), Folder::open(folder.path()).unwrap());
        let long = "x".repeat(MAX_LINE_LENGTH * 2);
        let text: String = (0..25_000).map(|n| format!("{n} line {n}\n")).collect();
        let text = format!("{text}{long}\n{long}\n7 last");
        folder.write(file, PRIVATE, |file| file.write_all(text.as_bytes())).unwrap();
        let mut seen = 0;
        let mut all = Vec::new();
        loop {
            let page = saved(&folder, file, seen).unwrap();
            seen = page.seen;
            all.extend(page.lines);
            if page.drained {
                break;
            }
        }
        assert_eq!(all.len(), 25_003);
        assert_eq!(all[25_000].text.len(), MAX_LINE_LENGTH);
        assert_eq!(all[25_002], Line { time: Some(7), text: "last".into() });
        assert_eq!(all[24_999], Line { time: Some(24_999), text: "line 24999".into() });
    }
}
