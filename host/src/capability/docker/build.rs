//! Builds through the engine's API: by BuildKit where the engine offers it, by the classic builder where not.

use std::{
    collections::HashMap,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bollard::{
    BollardRequest, body_try_stream,
    query_parameters::{BuildImageOptionsBuilder, BuilderVersion},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use hyper::Uri;
use tokio::sync::mpsc;

use super::{
    BuildContext, Changed, Engine, HASH_LABEL, Hashed, Image, STEPS_LABEL, failure, logins,
    narration::{Narration, other_architecture},
    session::Session,
};
use crate::{
    capability::{Listener, Progress},
    error::{Error, Kind, Result},
};

/// A file may be saved just when it is sent: then all is hashed anew, and sent once more.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(200);
/// How often to tell how much of the context was sent.
const TICK: Duration = Duration::from_millis(100);

impl Engine {
    /// Builds an image, or finds the one of an equal build, unless it is to be made `anew`. The name it gets holds the
    /// hash of all that went in.
    ///
    /// # Errors
    /// A file cannot be read, or a step of the Dockerfile fails.
    pub async fn build(&self, context: BuildContext, listener: Listener<'_>) -> Result<Image> {
        for attempt in 1..ATTEMPTS {
            match self.build_once(context.clone(), listener).await {
                Err(error) if changed(&error).is_some() => tokio::time::sleep(PAUSE * attempt).await,
                outcome => return outcome,
            }
        }
        let last = self.build_once(context, listener).await;
        last.map_err(|error| match changed(&error) {
            Some(path) => {
                let problem = format!("{} changed each of {ATTEMPTS} times that it was sent", path.display());
                Error::failed(problem).hint("stop what writes to it, or name it in .dockerignore")
            }
            None => error,
        })
    }

    async fn build_once(&self, context: BuildContext, listener: Listener<'_>) -> Result<Image> {
        // Before anything is sent: the hash finds an equal build, and names and labels the image, which the engine wants to
        // know in front of the first byte. So a file that is new or changed is read twice, the second time mostly out of
        // the system's cache; all of them could not be held meanwhile. What is sent is held against the hash.
        let hashed = context.hashed()?;
        let reference = context.reference(&hashed.whole);
        if !context.anew
            && let Some(image) = self.image(&reference).await?
        {
            return Ok(image);
        }
        let options = BuildImageOptionsBuilder::new()
            .t(&reference)
            .dockerfile("Dockerfile")
            .platform(&context.platform)
            .nocache(context.anew)
            .rm(true)
            .forcerm(true)
            .labels(&labels(&context, &hashed));
        let session = match self.buildkit() {
            true => Some(self.session(&context).await?),
            false if context.secrets.files.is_empty() || !context.dockerfile.contains(MACHINE) => None,
            false => return Err(self.keeps_no_secret()),
        };
        let logins = match context.secrets.logins && session.is_none() {
            true => Some(logins::for_images_of(&context.dockerfile).await),
            false => None,
        };
        // The library would open a session of its own for BuildKit, which hands out no secrets.
        let options = options.version(BuilderVersion::BuilderV1);
        let (docker, options) = match &session {
            Some(session) => {
                (self.docker.clone().with_request_modifier(by_buildkit), options.session(&session.id).build())
            }
            None => (self.docker.clone(), options.build()),
        };
        let (base, platform) = (base_of(&context.dockerfile).to_owned(), context.platform.clone());
        let mut said = Narration::hiding(context.secrets.words.clone());
        let (size, sent) = (context.size(), Arc::new(AtomicU64::new(0)));
        let (body, written) = stream_of(context, hashed, sent.clone());
        let mut answers = docker.build_image(options, logins, Some(body_try_stream(body)));
        let (mut ticks, mut all_sent) = (tokio::time::interval(TICK), false);
        loop {
            let answer = tokio::select! {
                answer = answers.next() => answer,
                _ = ticks.tick(), if !all_sent => {
                    all_sent = written.is_finished();
                    let done = if all_sent { size } else { sent.load(Ordering::Relaxed).min(size) };
                    listener(Progress::Bytes { what: "sending the context", done, total: Some(size) });
                    continue;
                }
            };
            let Some(answer) = answer else { break };
            match answer {
                Ok(info) => said.take(info, listener),
                Err(error) if failure::is_end(&error) => break,
                Err(error) => {
                    // The writer may wait for an engine that reads no more.
                    drop(answers);
                    let failed = match written.await {
                        // A folder that could not be read shows to the engine as a broken connection.
                        Ok(Err(reading)) if reading.kind() != ErrorKind::BrokenPipe => {
                            Error::failed("cannot read the training folder")
                                .hint("see that you may read it, and run the same command again")
                                .source(reading)
                        }
                        _ => said.failed(error, listener),
                    };
                    return Err(self.about_base(failed, &base, &platform).await);
                }
            }
        }
        let built = self.image(&reference).await?;
        built.map(|image| Image { reused: false, ..image }).ok_or_else(|| {
            Error::failed(format!("the engine built {reference}, but does not know it")).hint("build again")
        })
    }
}

/// The file that was written to while it was sent, if the build failed by that.
fn changed(error: &Error) -> Option<PathBuf> {
    let reading = std::error::Error::source(error)?.downcast_ref::<std::io::Error>()?;
    Changed::of(reading).map(Path::to_owned)
}

/// The folder of the context by which installers find their index.
const MACHINE: &str = "machine/environment";

/// What the image says of itself: which build made it, and out of what each of its layers.
fn labels(context: &BuildContext, hashed: &Hashed) -> HashMap<String, String> {
    let steps: Vec<String> = context.steps(hashed).into_iter().map(|step| step.hash).collect();
    [(HASH_LABEL, hashed.whole.clone()), (STEPS_LABEL, steps.join(","))]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}

impl Engine {
    async fn session(&self, context: &BuildContext) -> Result<Session> {
        Session::open(&self.address, context.secrets.clone()).await.map_err(|error| {
            Error::new(Kind::Unavailable, "the engine opens no session for the build")
                .hint("see whether Docker still runs: `docker info`")
                .source(error)
        })
    }

    fn keeps_no_secret(&self) -> Error {
        let what = "the passwords of the package index would stay in the image";
        if self.podman {
            return Error::new(Kind::Unsupported, format!("{what}: Podman's builder takes no secrets"))
                .hint("build with Docker Engine, or put the packages beside the script as wheels");
        }
        Error::new(Kind::Unsupported, format!("{what}: the classic builder takes no secrets"))
            .hint("build with BuildKit: unset DOCKER_BUILDKIT")
    }

    /// An engine may have the base image, but not for the platform, and then says only that it cannot be pulled.
    async fn about_base(&self, error: Error, base: &str, platform: &str) -> Error {
        let Some(architecture) = platform.split('/').nth(1).filter(|_| error.kind() == Kind::NotFound) else {
            return error;
        };
        match self.docker.inspect_image(base).await {
            Ok(found) if found.architecture.as_deref().is_some_and(|has| has != architecture) => {
                other_architecture()
            }
            _ => error,
        }
    }
}

/// Says to the engine what is not said to the library.
fn by_buildkit(mut request: BollardRequest) -> BollardRequest {
    let uri = request.uri();
    let Some((path, query)) = uri.path_and_query().and_then(|whole| whole.as_str().split_once('?')) else {
        return request;
    };
    let query: Vec<&str> =
        query.split('&').map(|pair| if pair == "version=1" { "version=2" } else { pair }).collect();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = format!("{path}?{}", query.join("&")).parse().ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
}

/// The image that a Dockerfile starts from.
fn base_of(dockerfile: &str) -> &str {
    let from = dockerfile.lines().find_map(|line| line.strip_prefix("FROM "));
    from.and_then(|rest| rest.split_whitespace().next()).unwrap_or_default()
}

/// The context as a body, written by a thread of its own, and how that thread ended.
fn stream_of(
    context: BuildContext,
    hashed: Hashed,
    sent: Arc<AtomicU64>,
) -> (
    impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    tokio::task::JoinHandle<std::io::Result<()>>,
) {
    const CHUNK: usize = 1 << 18;
    let (sender, receiver) = mpsc::channel::<std::io::Result<Bytes>>(4);
    let writer = tokio::task::spawn_blocking(move || {
        let out = std::io::BufWriter::with_capacity(CHUNK, Chunks(sender.clone(), sent));
        let outcome = context.write(out, &hashed);
        if let Err(error) = &outcome {
            // A stream that merely ended could pass for a whole one. Nobody may be there any more to hear it.
            let _ = sender.blocking_send(Err(error.kind().into()));
        }
        outcome
    });
    let body = stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    });
    (body, writer)
}

struct Chunks(mpsc::Sender<std::io::Result<Bytes>>, Arc<AtomicU64>);

impl std::io::Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let gone = |_| std::io::Error::from(ErrorKind::BrokenPipe);
        self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes))).map_err(gone)?;
        self.1.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
