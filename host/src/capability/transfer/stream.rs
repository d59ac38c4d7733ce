//! Reads a file in order, on its own thread, while it is being downloaded.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use tokio::sync::oneshot;

use crate::error::{Context, Error, Result};

/// How many bytes from the file's start have arrived.
#[derive(Default)]
pub(super) struct Level {
    state: Mutex<State>,
    rises: Condvar,
}

#[derive(Default)]
struct State {
    there: u64,
    read: u64,
    abandoned: bool,
}

impl Level {
    pub(super) fn rise_to(&self, bytes: u64) {
        self.state().there = bytes;
        self.rises.notify_all();
    }

    /// The reader's position.
    pub(super) fn read(&self) -> u64 {
        self.state().read
    }

    fn abandon(&self) {
        self.state().abandoned = true;
        self.rises.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The numbers are always consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of the file in order.
pub struct StreamReader {
    file: File,
    size: u64,
    at: u64,
    level: Arc<Level>,
}

impl StreamReader {
    /// The size of the whole file in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Read for StreamReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.level.state();
        state.read = self.at;
        while state.there <= self.at && self.at < self.size {
            if state.abandoned {
                return Err(io::Error::other("the download failed"));
            }
            state = self.level.rises.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.abandoned {
            return Err(io::Error::other("the reader was dropped"));
        }
        let there = usize::try_from(state.there.saturating_sub(self.at)).unwrap_or(usize::MAX);
        drop(state);
        let wanted = buffer.len().min(there);
        let read = self.file.read_at(&mut buffer[..wanted], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// The reading thread, which ends when this is dropped.
pub(super) struct Reading<T> {
    level: Arc<Level>,
    outcome: oneshot::Receiver<Result<T>>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Reading<T> {
    pub(super) fn start(
        file: File,
        shown: &str,
        size: u64,
        read: impl FnOnce(StreamReader) -> Result<T> + Send + 'static,
    ) -> Result<Self> {
        let cannot_read = || format!("cannot read {shown}");
        let level = Arc::new(Level::default());
        let arriving = StreamReader { file, size, at: 0, level: level.clone() };
        let (sender, outcome) = oneshot::channel();
        let thread = std::thread::Builder::new().name("reading".into()).spawn(move || {
            // The receiver may be gone.
            let _ = sender.send(read(arriving));
        });
        Ok(Self { level, outcome, thread: Some(thread.context(cannot_read)?) })
    }

    pub(super) fn level(&self) -> &Arc<Level> {
        &self.level
    }

    /// The thread's result.
    pub(super) async fn outcome(&mut self) -> Result<T> {
        match (&mut self.outcome).await {
            Ok(outcome) => outcome,
            Err(broken) => Err(Error::failed("the reading thread ended unexpectedly").source(broken)),
        }
    }
}

impl<T> Drop for Reading<T> {
    fn drop(&mut self) {
        self.level.abandon();
        // It must not write into folders that are about to be removed.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
