//! Reads the output of a process. A cursor is the number of bytes read.

use std::{
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::{LOG, TICK, is_running};
use crate::{
    disk::{Folder, cannot_read},
    error::Result,
};

/// Maximum bytes of a chunk. A longer line is split.
const MAX_CHUNK: u64 = 1 << 20;
/// How long to wait for a first line.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Some lines of a process's output.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LogChunk {
    /// The lines in order, without their ends.
    pub lines: Vec<String>,
    /// The number of bytes up to the end of these.
    pub seen: u64,
    /// Whether there are no more lines for now.
    pub drained: bool,
}

/// The output after the first `seen` bytes. Waits up to a second for a first line.
///
/// # Errors
/// The output cannot be read.
pub async fn chunk(job: &Folder, seen: u64) -> Result<LogChunk> {
    let failed = |error| cannot_read(&job.path().join(LOG), error);
    let end = Instant::now() + FIRST_WAIT;
    loop {
        // Asked before the output is read, so that nothing is written in between.
        let running = is_running(job).map_err(failed)?;
        let chunk = read(job, seen, running).map_err(failed)?;
        if !chunk.lines.is_empty() || !running || Instant::now() > end {
            return Ok(chunk);
        }
        sleep(TICK).await;
    }
}

fn read(job: &Folder, seen: u64, running: bool) -> io::Result<LogChunk> {
    let mut file = match job.open_file(Path::new(LOG)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(LogChunk { seen, drained: true, ..LogChunk::default() });
        }
        Err(error) => return Err(error),
    };
    file.seek(SeekFrom::Start(seen))?;
    let mut bytes = Vec::new();
    (&mut file).take(MAX_CHUNK).read_to_end(&mut bytes)?;
    let is_full = bytes.len() as u64 == MAX_CHUNK;
    let whole = match bytes.iter().rposition(|byte| *byte == b'\n') {
        Some(end) if running || is_full => end + 1,
        // The rest of a line may still come.
        None if running && !is_full => 0,
        _ => bytes.len(),
    };
    bytes.truncate(whole);
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.strip_suffix('\n').unwrap_or(&text);
    let lines = if bytes.is_empty() { Vec::new() } else { lines.split('\n').map(str::to_owned).collect() };
    Ok(LogChunk { lines, seen: seen + whole as u64, drained: !is_full })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_line_waits_for_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let job = Folder::open(folder.path()).unwrap();
        assert!(read(&job, 0, true).unwrap().drained);
        std::fs::write(folder.path().join(LOG), "one\n\ntwo\nthr").unwrap();
        let chunk = read(&job, 0, true).unwrap();
        assert_eq!((chunk.lines, chunk.seen), (vec!["one".into(), String::new(), "two".into()], 9));
        assert_eq!(read(&job, 9, true).unwrap(), LogChunk { lines: Vec::new(), seen: 9, drained: true });
        let end = read(&job, 9, false).unwrap();
        assert_eq!((end.lines, end.seen, end.drained), (vec!["thr".to_owned()], 12, true));
    }

    #[test]
    fn a_line_without_an_end_is_split() {
        let folder = tempfile::tempdir().unwrap();
        let job = Folder::open(folder.path()).unwrap();
        std::fs::write(folder.path().join(LOG), vec![b'x'; MAX_CHUNK as usize + 1]).unwrap();
        let chunk = read(&job, 0, true).unwrap();
        assert_eq!((chunk.lines.len(), chunk.seen, chunk.drained), (1, MAX_CHUNK, false));
    }
}
