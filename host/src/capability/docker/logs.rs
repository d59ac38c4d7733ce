//! What containers write, line by line and without a lost one: a cursor is the number of lines seen.

use std::{
    fs,
    io::{BufRead, BufReader, BufWriter, Write},
    path::Path,
    pin::{Pin, pin},
    time::Duration,
};

use bollard::{container::LogOutput, query_parameters::LogsOptionsBuilder};
use futures_util::{Stream, StreamExt, stream::poll_fn};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::{Engine, explain, partial::Partial};
use crate::error::{Context, Error, Result};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Milliseconds since the Unix epoch.
    pub time: Option<u64>,
    /// Without its end.
    pub text: String,
}

/// Some lines, and the number of lines up to their end.
#[derive(Debug, Default)]
pub struct LogLines {
    /// In order.
    pub lines: Vec<Line>,
    /// To go on from.
    pub seen: u64,
    /// Nothing more was there.
    pub drained: bool,
}

/// As many lines, and as many bytes of them, as one page holds.
const PAGE_LINES: usize = 10_000;
const PAGE_BYTES: usize = 1 << 20;
/// How long to wait for a first line, and then for another one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const NEXT_WAIT: Duration = Duration::from_millis(50);

/// A frame has at most 16 KiB.
const FRAMES_AHEAD: usize = 256;

type Frames = Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>;

/// An open stream, and how far it has been read.
pub(super) struct Follower {
    container: String,
    seen: u64,
    frames: Frames,
    split: Splitter,
}

impl Engine {
    /// The lines of a container after the first `seen` ones. Waits a moment where there are none yet.
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
            if let Some(line) = follower.split.next() {
                size += line.text.len();
                page.lines.push(line);
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

    /// Keeps all that a container wrote in a file: a line each, its time in front.
    ///
    /// # Errors
    /// The engine does not answer, or the disk is full.
    pub async fn save_logs(&self, container: &str, file: &Path) -> Result<()> {
        let operation = format!("cannot keep the log of {container} in {}", file.display());
        let failed = |error: std::io::Error| {
            Error::failed(&operation)
                .hint("the container is kept: free some disk if that is full, and ask again")
                .source(error)
        };
        let folder = file.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(folder).map_err(failed)?;
        let partial = Partial::of(file).map_err(failed)?;
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
                writeln!(out, "{time} {}", line.text).map_err(failed)?;
            }
        }
        out.flush().map_err(failed)?;
        drop(out);
        partial.complete().map_err(failed)
    }

    async fn follow(&self, container: &str, seen: u64) -> Result<Follower> {
        let mut follower = Follower {
            container: container.to_owned(),
            seen,
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

/// Reads ahead in a task of its own. The connection hands over one frame at a time and waits until it was taken: that
/// costs nothing between tasks, and for each line a change of threads where the reader is the program's main one.
fn ahead(frames: impl Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send + 'static) -> Frames {
    let (sender, mut receiver) = mpsc::channel(FRAMES_AHEAD);
    tokio::spawn(async move {
        let mut frames = pin!(frames);
        loop {
            let frame = tokio::select! {
                frame = frames.next() => frame,
                // Nobody reads any more.
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

/// Lines of a file that `save_logs` made, after the first `seen` ones.
///
/// # Errors
/// The file cannot be read.
pub fn saved(file: &Path, seen: u64) -> Result<LogLines> {
    let failed = || format!("cannot read {}", file.display());
    let mut page = LogLines { seen, ..LogLines::default() };
    let mut size = 0;
    let start = usize::try_from(seen).map_err(|error| Error::failed(failed()).source(error))?;
    let mut lines = BufReader::new(fs::File::open(file).context(failed)?).split(b'\n').skip(start).peekable();
    while page.lines.len() < PAGE_LINES && size < PAGE_BYTES {
        let Some(line) = lines.next() else { break };
        let line = line.context(failed)?;
        let line = String::from_utf8_lossy(&line);
        let (time, text) = line.split_once(' ').unwrap_or(("", &line));
        size += text.len();
        page.lines.push(Line { time: time.parse().ok(), text: text.to_owned() });
    }
    page.seen += page.lines.len() as u64;
    page.drained = lines.peek().is_none();
    Ok(page)
}

/// Frames into lines. A frame is a line, or a part of a long one; every frame starts with its time.
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
        match text.strip_suffix(b"\n") {
            Some(text) => {
                part.text.extend_from_slice(text);
                self.ready.push_back(part.take());
            }
            None => part.text.extend_from_slice(text),
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
    fn take(&mut self) -> Line {
        let part = std::mem::take(self);
        Line { time: part.time, text: String::from_utf8_lossy(&part.text).into_owned() }
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
    fn long_lines_are_put_together_and_streams_kept_apart() {
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
    fn a_saved_log_is_read_page_by_page() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("algo-1.log");
        let text: String = (0..25_000).map(|n| format!("{n} line {n}\n")).collect();
        fs::write(&file, text).unwrap();
        let mut seen = 0;
        let mut all = Vec::new();
        loop {
            let page = saved(&file, seen).unwrap();
            seen = page.seen;
            all.extend(page.lines);
            if page.drained {
                break;
            }
        }
        assert_eq!(all.len(), 25_000);
        assert_eq!(all[24_999], Line { time: Some(24_999), text: "line 24999".into() });
    }
}
