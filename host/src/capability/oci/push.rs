//! Pushes an assembled image: layers first, the manifest last, so that a tag never stands for half an image.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use oci_client::{Reference, errors::OciDistributionError as Problem};
use tokio::sync::OnceCell;
use tokio_util::io::ReaderStream;

use super::{Deed, Login, Registry, assembly::Assembled, base::Descriptor};
use crate::{
    capability::{Listener, Progress, docker},
    error::{Error, Kind, Result},
};

/// How many layers are looked up, and how many are sent, at the same time.
const LOOKUPS: usize = 8;
const UPLOADS: usize = 3;
/// How often a layer is sent, and the first pause before it is sent again.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);
/// How long nothing may be sent or answered. A registry may take minutes to store a large layer.
const STALLED: Duration = Duration::from_secs(300);
/// How often to report the progress.
const TICK: Duration = Duration::from_millis(100);
const CHUNK: usize = 1 << 17;

/// A layer of the image, or its configuration.
struct Part {
    digest: String,
    size: u64,
    from: From,
}

enum From {
    Base,
    Cache,
    Text(String),
}

/// A push under way.
struct Push<'a> {
    image: &'a Assembled,
    target: Registry,
    source: OnceCell<Registry>,
    sent: Arc<AtomicU64>,
}

impl Assembled {
    /// Pushes the image as `repository:tag`, and returns its digest. What the registry has is not sent.
    ///
    /// # Errors
    /// The registry refuses, or cannot be reached, or the base image is gone.
    pub async fn push(
        &self,
        repository: &str,
        tag: &str,
        login: docker::Login,
        listener: Listener<'_>,
    ) -> Result<String> {
        let name = format!("{repository}:{tag}");
        let to: Reference = name.parse().map_err(|error: oci_client::ParseError| {
            Error::invalid(format!("`{name}` is not the name of an image")).source(error)
        })?;
        let target = Registry::open_as(&to, name, Login::given(login), Deed::Push).await?;
        let push = Push { image: self, target, source: OnceCell::new(), sent: Arc::default() };
        let lookups = self.parts().into_iter().map(|part| push.lacks(part));
        let missing: Vec<Option<Part>> = stream::iter(lookups).buffered(LOOKUPS).try_collect().await?;
        let missing: Vec<Part> = missing.into_iter().flatten().collect();
        let total = missing.iter().map(|part| part.size).sum();
        let uploads = missing.iter().map(|part| push.upload(part));
        let uploads = stream::iter(uploads).buffer_unordered(UPLOADS).try_collect::<()>();
        push.watch(uploads, total, listener).await?;
        let kind = self.made.manifest_type.parse().map_err(|error: http::header::InvalidHeaderValue| {
            Error::failed("the manifest has an invalid type").source(error)
        })?;
        let text = Bytes::from(self.made.manifest.clone());
        let pushed = push.target.client.push_manifest_raw(&push.target.image, text, kind).await;
        pushed.map_err(|error| push.target.explain(error))?;
        Ok(self.digest.clone())
    }

    fn parts(&self) -> Vec<Part> {
        let of_base = self.made.base.layers.iter().map(|Descriptor { digest, size, .. }| Part {
            digest: digest.clone(),
            size: *size,
            from: From::Base,
        });
        let own = self.made.layers.iter().map(|layer| Part {
            digest: layer.digest.clone(),
            size: layer.size,
            from: From::Cache,
        });
        let config = Part {
            digest: self.config_digest.clone(),
            size: self.made.config.len() as u64,
            from: From::Text(self.made.config.clone()),
        };
        let mut parts: Vec<Part> = of_base.chain(own).chain([config]).collect();
        let mut seen = std::collections::HashSet::new();
        parts.retain(|part| seen.insert(part.digest.clone()));
        parts
    }

    /// The bytes of one of its own layers.
    pub(super) fn own_layer(&self, digest: &str) -> Result<impl Stream<Item = io::Result<Bytes>> + use<>> {
        let file = self.store.open_layer(digest).map_err(|error| self.damaged(digest).source(error))?;
        Ok(ReaderStream::with_capacity(tokio::fs::File::from_std(file), CHUNK))
    }

    /// The error for a layer that the cache lost.
    fn damaged(&self, digest: &str) -> Error {
        self.store.drop_layer(digest);
        Error::failed("a layer of the image was damaged in the cache")
            .hint("run the same command again: the layer is made again")
    }
}

impl Push<'_> {
    async fn lacks(&self, part: Part) -> Result<Option<Part>> {
        let there = self.target.client.blob_exists(&self.target.image, &part.digest).await;
        let there = there.map_err(|error| self.target.explain(error))?;
        Ok((!there).then_some(part))
    }

    async fn upload(&self, part: &Part) -> Result<()> {
        let mut attempt = 1;
        loop {
            let before = self.sent.load(Ordering::Relaxed);
            match self.upload_once(part).await {
                Err(error) if error.kind() == Kind::Unavailable && attempt < ATTEMPTS => {
                    tokio::time::sleep(PAUSE * 2_u32.pow(attempt)).await;
                    let more = self.sent.load(Ordering::Relaxed).saturating_sub(before);
                    self.sent.fetch_sub(more.min(part.size), Ordering::Relaxed);
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn upload_once(&self, part: &Part) -> Result<()> {
        let (client, to, digest) = (&self.target.client, &self.target.image, part.digest.as_str());
        match &part.from {
            From::Text(text) => {
                let text = Bytes::from(text.clone());
                let pushed = client.push_blob(to, text, digest).await;
                pushed.map_err(|error| self.target.explain(error))?;
            }
            From::Cache => {
                let stream = self.counted(self.image.own_layer(digest)?);
                let pushed = client.push_blob_stream(to, stream, digest, Some(part.size)).await;
                if let Err(error) = pushed {
                    let layer = self.image.made.layers.iter().find(|layer| layer.digest == digest);
                    let is_undamaged = layer.is_some_and(|layer| self.image.store.is_undamaged(layer));
                    return Err(if is_undamaged {
                        self.target.explain(error)
                    } else {
                        self.image.damaged(digest)
                    });
                }
            }
            From::Base => {
                let open = || self.image.made.base.registry(&self.image.environment);
                let source = self.source.get_or_try_init(open).await?;
                let is_same = source.image.resolve_registry() == to.resolve_registry();
                if is_same && client.mount_blob(to, &source.image, digest).await.is_ok() {
                    self.sent.fetch_add(part.size, Ordering::Relaxed);
                    return Ok(());
                }
                let stream = source.client.pull_blob_stream(&source.image, digest).await;
                let stream = self.counted(stream.map_err(|error| source.explain(error))?);
                let pushed = client.push_blob_stream(to, stream, digest, Some(part.size)).await;
                pushed.map_err(|error| self.target.explain(error))?;
            }
        }
        Ok(())
    }

    /// Counts the bytes that were sent.
    fn counted(
        &self,
        stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> impl Stream<Item = Result<Bytes, Problem>> + Send + 'static {
        let sent = self.sent.clone();
        stream
            .inspect_ok(move |part| {
                sent.fetch_add(part.len() as u64, Ordering::Relaxed);
            })
            .map_err(Problem::from)
    }

    /// Reports the progress of the uploads, and ends them if nothing moves any more.
    async fn watch(
        &self,
        uploads: impl Future<Output = Result<()>>,
        total: u64,
        listener: Listener<'_>,
    ) -> Result<()> {
        let mut uploads = std::pin::pin!(uploads);
        let mut ticks = tokio::time::interval(TICK);
        let (mut last, mut moved) = (0, Instant::now());
        loop {
            tokio::select! {
                outcome = &mut uploads => return outcome,
                _ = ticks.tick() => {}
            }
            let sent = self.sent.load(Ordering::Relaxed);
            if sent != last {
                (last, moved) = (sent, Instant::now());
                listener(Progress::Bytes { what: "pushing", done: sent.min(total), total: Some(total) });
            } else if moved.elapsed() > STALLED {
                let name = &self.target.name;
                return Err(Error::new(
                    Kind::Unavailable,
                    format!("cannot push {name}: the registry stopped responding"),
                )
                .hint("run the same command again: what was pushed is kept"));
            }
        }
    }
}
