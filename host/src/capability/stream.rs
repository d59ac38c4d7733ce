//! Reads an asynchronous stream by code that blocks.

use std::{
    error::Error,
    io::{self, Read},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;

/// Runs code that reads a stream on its own thread.
pub(super) async fn blocking<T: Send + 'static, E: Into<Box<dyn Error + Send + Sync>>>(
    stream: impl Stream<Item = Result<Bytes, E>>,
    read: impl FnOnce(Reader) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (sender, receiver) = mpsc::channel(4);
    let task = tokio::task::spawn_blocking(move || read(Reader { receiver, rest: Bytes::new() }));
    let mut stream = std::pin::pin!(stream);
    while let Some(part) = stream.next().await {
        // The reader may have stopped early.
        if sender.send(part.map_err(io::Error::other)).await.is_err() {
            break;
        }
    }
    drop(sender);
    task.await.map_err(io::Error::other)?
}

/// The stream's bytes.
pub(super) struct Reader {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    rest: Bytes,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.receiver.blocking_recv() {
                Some(part) => self.rest = part?,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.rest.len());
        buffer[..length].copy_from_slice(&self.rest.split_to(length));
        Ok(length)
    }
}
