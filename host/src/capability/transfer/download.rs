//! An object of a service into a file: in parts, several at a time, and read in order while it comes.

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
    arriving::{Arriving, Reading},
    parts::Parts,
    room,
    source::{Bytestream, Object, Source},
    staging::At,
};
use crate::{
    capability::{Listener, Progress},
    disk::cannot_read,
    error::{Context, Error, Kind, Result},
};

/// Parts that come at the same time.
const AT_ONCE: usize = 8;
/// As many times a broken connection is taken up again without a byte of progress between.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// How often the progress is told.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// Brings the object to a file, and lets `read` have its bytes in their order meanwhile. A connection that
/// breaks is taken up again where it broke; what a killed run left of the same object is gone on with.
///
/// # Errors
/// There is no such object, it changed meanwhile, the disk is full, the service cannot be reached, or `read` fails.
pub async fn download<T: Send + 'static, S: Source>(
    from: &S,
    to: &At,
    listener: Listener<'_>,
    read: impl FnOnce(Arriving) -> Result<T> + Send + 'static,
) -> Result<T> {
    let object = from.describe().await?.ok_or_else(|| {
        Error::new(Kind::NotFound, format!("there is no {from}"))
            .hint("the training wrote nothing to /opt/ml/model, or the artifact was deleted since")
    })?;
    let folder = to.folder.path();
    let (mut parts, file) = Parts::open(to, &object).map_err(|error| room::cannot_write(folder, error))?;
    room::make_sure_of(object.size - parts.bytes(), &to.folder)?;
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
                let (number, sum) = arrived.context(|| format!("cannot bring {from}"))??;
                parts.arrived(number, sum).map_err(|error| room::cannot_write(folder, error))?;
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
/// All parts came, and they are not the object.
pub(super) fn verify<S: Source>(from: &S, object: &Object, parts: &Parts) -> Result<()> {
    if let Some((_, promised)) = object.checksum
        && parts.checksum() != promised
    {
        return Err(Error::failed(format!("{from} came damaged: its checksum is another one"))
            .hint("nothing was written: fetch it again"));
    }
    Ok(())
}

/// Lets `read` have a file of this machine, and tells how far it is.
///
/// # Errors
/// Those of `read`.
pub async fn local<T: Send + 'static>(
    archive: &At,
    listener: Listener<'_>,
    read: impl FnOnce(Arriving) -> Result<T> + Send + 'static,
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

/// What brings a part.
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
    /// Its checksum.
    pub(super) async fn bring(&self, range: std::ops::Range<u64>) -> Result<u64> {
        let mut sum = Digest::new(self.algorithm);
        let mut at = range.start;
        let mut attempts = 0;
        while at < range.end {
            let before = at;
            // What keeps an answer from beginning was tried again already.
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
            Error::new(Kind::Unavailable, format!("the connection broke while {from} was coming"))
                .hint("fetch it again")
                .source(error)
        };
        while let Some(bytes) = body.try_next().await.map_err(broken)? {
            let more = bytes.len() as u64;
            if *at + more > end {
                return Err(
                    Error::failed(format!("{from}: more came than was asked for")).hint("fetch it again")
                );
            }
            self.file.write_all_at(&bytes, *at).map_err(|error| room::cannot_write(&self.folder, error))?;
            sum.update(&bytes);
            *at += more;
            self.done.fetch_add(more, Ordering::Relaxed);
        }
        if *at < end {
            return Err(
                Error::new(Kind::Unavailable, format!("{from} came only in part")).hint("fetch it again")
            );
        }
        Ok(())
    }
}
