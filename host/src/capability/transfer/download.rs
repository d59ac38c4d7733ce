//! Downloads an object into a file: in parallel parts, and read in order meanwhile.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crc_fast::{CrcAlgorithm, Digest};
use futures_util::TryStreamExt;
use tokio::task::JoinSet;

use super::{
    disk_space,
    parts::Parts,
    source::{Bytestream, Object, Source},
    staging::At,
    stream::{Reading, StreamReader},
};
use crate::{
    capability::{Listener, Progress},
    disk::cannot_read,
    error::{Context, Error, Kind, Result},
};

/// Number of parallel parts.
const AT_ONCE: usize = 8;
/// Maximum number of retries without any progress.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// How often progress is reported.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// Downloads the object into a file, and passes its bytes in order to `read` meanwhile. An interrupted connection is
/// resumed, and so is the download of a killed run.
///
/// # Errors
/// There is no such object, it changed during the download, the disk is full, the service cannot be reached, or `read`
/// fails.
pub async fn download<T: Send + 'static, S: Source>(
    from: &S,
    to: &At,
    listener: Listener<'_>,
    read: impl FnOnce(StreamReader) -> Result<T> + Send + 'static,
) -> Result<T> {
    let object = from.describe().await?.ok_or_else(|| {
        Error::new(Kind::NotFound, format!("{from} not found"))
            .hint("check that the training writes to /opt/ml/model, and that the artifact was not deleted")
    })?;
    let folder = to.folder.path();
    let (mut parts, file) =
        Parts::open(to, &object).map_err(|error| disk_space::cannot_write(folder, error))?;
    disk_space::make_sure_of(object.size - parts.bytes(), &to.folder)?;
    let coming = to.folder.open_file(&to.name).map_err(|error| cannot_read(&to.path(), error))?;
    let mut reading = Reading::start(coming, &to.path().display().to_string(), object.size, read)?;
    let done = Arc::new(AtomicU64::new(parts.bytes()));
    let part = Part {
        from: from.clone(),
        etag: object.etag.clone(),
        folder: folder.into(),
        file: Arc::new(file),
        algorithm: parts.algorithm(),
        done: done.clone(),
    };
    let mut missing = parts.missing().into_iter();
    let mut coming = JoinSet::new();
    let mut ticks = tokio::time::interval(TICK);
    let tell = |done| listener(Progress::Bytes { what: "downloading", done, total: Some(object.size) });
    reading.level().rise_to(parts.level());
    let mut early = None;
    loop {
        while coming.len() < AT_ONCE
            && let Some(number) = missing.next()
        {
            let (part, range) = (part.clone(), parts.range(number));
            coming.spawn(async move { Ok::<_, Error>((number, part.bring(range).await?)) });
        }
        if coming.is_empty() {
            break;
        }
        tokio::select! {
            Some(arrived) = coming.join_next() => {
                let (number, sum) = arrived.context(|| format!("cannot download {from}"))??;
                parts.arrived(number, sum).map_err(|error| disk_space::cannot_write(folder, error))?;
                reading.level().rise_to(parts.level());
            }
            outcome = reading.outcome(), if early.is_none() => early = Some(outcome?),
            _ = ticks.tick() => tell(done.load(Ordering::Relaxed)),
        }
    }
    tell(object.size);
    verify(from, &object, &parts)?;
    match early {
        Some(outcome) => Ok(outcome),
        None => reading.outcome().await,
    }
}

/// # Errors
/// The downloaded parts do not match the object's checksum.
pub(super) fn verify<S: Source>(from: &S, object: &Object, parts: &Parts) -> Result<()> {
    if let Some((_, promised)) = object.checksum
        && parts.checksum() != promised
    {
        return Err(Error::failed(format!("{from} was damaged in transit: its checksum does not match"))
            .hint("fetch it again; nothing was written"));
    }
    Ok(())
}

/// Passes a local file to `read`, and reports its progress.
///
/// # Errors
/// The errors of `read`.
pub async fn local<T: Send + 'static>(
    archive: &At,
    listener: Listener<'_>,
    read: impl FnOnce(StreamReader) -> Result<T> + Send + 'static,
) -> Result<T> {
    let unreadable = |error| cannot_read(&archive.path(), error);
    let file = archive.folder.open_file(&archive.name).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let mut reading = Reading::start(file, &archive.path().display().to_string(), size, read)?;
    reading.level().rise_to(size);
    let level = reading.level().clone();
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            biased;
            outcome = reading.outcome() => return outcome,
            _ = ticks.tick() => {
                listener(Progress::Bytes { what: "unpacking", done: level.read(), total: Some(size) });
            }
        }
    }
}

/// The download of one part.
#[derive(Clone)]
pub(super) struct Part<S> {
    pub(super) from: S,
    pub(super) etag: Option<String>,
    pub(super) folder: Arc<Path>,
    pub(super) file: Arc<File>,
    pub(super) algorithm: CrcAlgorithm,
    pub(super) done: Arc<AtomicU64>,
}

impl<S: Source> Part<S> {
    /// Downloads the part, and returns its checksum.
    pub(super) async fn bring(&self, range: std::ops::Range<u64>) -> Result<u64> {
        let mut sum = Digest::new(self.algorithm);
        let mut at = range.start;
        let mut attempts = 0;
        while at < range.end {
            let before = at;
            // Errors before the response were already retried.
            let body = self.from.read(at..range.end, self.etag.clone()).await?;
            match self.receive(body, &mut at, range.end, &mut sum).await {
                Ok(()) => {}
                Err(error) if error.kind() == Kind::Unavailable => {
                    attempts = if at > before { 0 } else { attempts + 1 };
                    if attempts == ATTEMPTS {
                        return Err(error);
                    }
                    tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(attempts)).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(sum.finalize())
    }

    async fn receive(&self, mut body: Bytestream, at: &mut u64, end: u64, sum: &mut Digest) -> Result<()> {
        let from = &self.from;
        let broken = |error| {
            Error::new(
                Kind::Unavailable,
                format!("the connection was interrupted during the download of {from}"),
            )
            .hint("fetch it again")
            .source(error)
        };
        while let Some(bytes) = body.try_next().await.map_err(broken)? {
            let more = bytes.len() as u64;
            if *at + more > end {
                return Err(Error::failed(format!("{from}: the service sent more than was requested"))
                    .hint("fetch it again"));
            }
            self.file
                .write_all_at(&bytes, *at)
                .map_err(|error| disk_space::cannot_write(&self.folder, error))?;
            sum.update(&bytes);
            *at += more;
            self.done.fetch_add(more, Ordering::Relaxed);
        }
        if *at < end {
            return Err(
                Error::new(Kind::Unavailable, format!("{from} arrived incomplete")).hint("fetch it again")
            );
        }
        Ok(())
    }
}
