//! Builds through the engine's API: with BuildKit if the engine offers it, else with the classic builder.

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
    BuildContext, Changed, Engine, HASH_LABEL, Hashed, Image, STEPS_LABEL,
    build_log::{BuildLog, other_architecture},
    failure, logins,
    session::Session,
};
use crate::{
    capability::{Listener, Progress},
    error::{Error, Kind, Result},
};

/// How often the context is hashed and sent again if a file changes during the transfer.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(200);
/// How often to report the progress of the transfer.
const TICK: Duration = Duration::from_millis(100);

impl Engine {
    /// Builds an image, or finds the image of an equal build unless `anew` is set. The image's name holds the hash of
    /// all inputs.
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
                let problem =
                    format!("{} changed during the transfer in {ATTEMPTS} attempts", path.display());
                Error::failed(problem).hint("stop the program that writes to it, or add it to .dockerignore")
            }
            None => error,
        })
    }

    async fn build_once(&self, context: BuildContext, listener: Listener<'_>) -> Result<Image> {
        // The hash is needed before anything is sent: it finds an equal build, and gives the image's name and labels,
        // which the engine takes before the first byte. So a new or changed file is read twice, the second time mostly
        // from the system's cache, because memory cannot hold all files. What is sent is checked against the hash.
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
        let logins = if context.secrets.logins && session.is_none() {
            Some(logins::for_images_of(&context.dockerfile).await)
        } else {
            None
        };
        // The library would open its own session for BuildKit, which provides no secrets.
        let options = options.version(BuilderVersion::BuilderV1);
        let (docker, options) = match &session {
            Some(session) => {
                (self.docker.clone().with_request_modifier(by_buildkit), options.session(&session.id).build())
            }
            None => (self.docker.clone(), options.build()),
        };
        let (base, platform) = (base_of(&context.dockerfile).to_owned(), context.platform.clone());
        let mut said = BuildLog::hiding(context.secrets.words.clone());
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
                    listener(Progress::Bytes { what: "sending the build context", done, total: Some(size) });
                    continue;
                }
            };
            let Some(answer) = answer else { break };
            match answer {
                Ok(info) => said.take(info, listener),
                Err(error) if failure::is_end(&error) => break,
                Err(error) => {
                    // The writer may wait for an engine that has stopped reading.
                    drop(answers);
                    let failed = match written.await {
                        // To the engine, an unreadable folder looks like a broken connection.
                        Ok(Err(reading)) if reading.kind() != ErrorKind::BrokenPipe => Error::failed(
                            "cannot read the project",
                        )
                        .hint("make sure that you can read all its files, and run the same command again")
                        .source(reading),
                        _ => said.failed(error, listener),
                    };
                    return Err(self.about_base(failed, &base, &platform).await);
                }
            }
        }
        let built = self.image(&reference).await?;
        built.map(|image| Image { reused: false, ..image }).ok_or_else(|| {
            Error::failed(format!("the engine built {reference}, but cannot find it"))
                .hint("run the same command again")
        })
    }
}

/// The file that changed during the transfer, if the build failed because of that.
fn changed(error: &Error) -> Option<PathBuf> {
    let reading = std::error::Error::source(error)?.downcast_ref::<std::io::Error>()?;
    Changed::of(reading).map(Path::to_owned)
}

/// The file of the context that sets the installers' index.
const MACHINE: &str = "machine/environment";

/// The image's labels: the hashes of the build and of each step.
fn labels(context: &BuildContext, hashed: &Hashed) -> HashMap<String, String> {
    let steps: Vec<String> = context.steps(hashed).into_iter().map(|step| step.hash).collect();
    [(HASH_LABEL, hashed.whole.clone()), (STEPS_LABEL, steps.join(","))]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}

impl Engine {
    async fn session(&self, context: &BuildContext) -> Result<Session> {
        Session::open(&self.address, context.secrets.clone()).await.map_err(|error| {
            Error::new(Kind::Unavailable, "the engine did not open a session for the build")
                .hint("check that Docker is running with `docker info`")
                .source(error)
        })
    }

    fn keeps_no_secret(&self) -> Error {
        let what = "the package index's passwords would stay in the image";
        if self.podman {
            return Error::new(
                Kind::Unsupported,
                format!("{what}: Podman's builder does not support secrets"),
            )
            .hint("build with Docker Engine, or add the packages to the project as wheels");
        }
        Error::new(Kind::Unsupported, format!("{what}: the classic builder does not support secrets"))
            .hint("build with BuildKit: unset DOCKER_BUILDKIT")
    }

    /// Explains a failed pull: if the engine has the base image for another platform, its error does not say so.
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

/// Changes the library's request to use BuildKit.
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

/// The base image of a Dockerfile.
fn base_of(dockerfile: &str) -> &str {
    let from = dockerfile.lines().find_map(|line| line.strip_prefix("FROM "));
    from.and_then(|rest| rest.split_whitespace().next()).unwrap_or_default()
}

/// The context as a request body, written by its own thread, and the thread's result.
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
            // Without the error, a truncated stream would look complete. The receiver may be gone.
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
