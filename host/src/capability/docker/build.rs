//! Builds, by BuildKit through the engine's API.

use std::{collections::HashMap, io::ErrorKind};

use bollard::{
    body_try_stream,
    models::{BuildInfo, BuildInfoAux},
    query_parameters::{BuildImageOptionsBuilder, BuilderVersion},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;

use super::{BuildContext, Engine, Image, explain, failure};
use crate::{
    capability::{Listener, Progress},
    error::{Error, Kind, Result},
};

/// As much of the hash as a tag shows.
const TAG_LENGTH: usize = 16;
/// As many of a failed step's last lines as an error shows.
const LAST_LINES: usize = 25;

impl Engine {
    /// Builds an image, or finds the one of an equal build, unless it is to be made `anew`. The name it gets holds the
    /// hash of all that went in.
    ///
    /// # Errors
    /// A file cannot be read, or a step of the Dockerfile fails.
    pub async fn build(&self, context: BuildContext, listener: Listener<'_>) -> Result<Image> {
        let hash = context.hash()?;
        let reference = format!("{}:{}", context.name, &hash[..TAG_LENGTH]);
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
            .version(BuilderVersion::BuilderBuildKit)
            .session(&hash)
            .labels(&HashMap::from([("io.alekseylearn.hash".to_owned(), hash.clone())]))
            .build();
        let mut steps = Steps::default();
        let (body, written) = stream_of(context);
        let mut answers = self.docker.build_image(options, None, Some(body_try_stream(body)));
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(info) => steps.take(info, listener),
                Err(error) if failure::is_end(&error) => break,
                Err(error) => {
                    // The writer may wait for an engine that reads no more.
                    drop(answers);
                    return Err(match written.await {
                        // A folder that could not be read shows to the engine as a broken connection.
                        Ok(Err(reading)) if reading.kind() != ErrorKind::BrokenPipe => {
                            Error::failed("cannot read the training folder").source(reading)
                        }
                        _ => steps.failed(error),
                    });
                }
            }
        }
        let built = self.image(&reference).await?;
        built.map(|image| Image { reused: false, ..image }).ok_or_else(|| {
            Error::failed(format!("the engine built {reference}, but does not know it")).hint("build again")
        })
    }
}

/// The context as a body, written by a thread of its own, and how that thread ended.
fn stream_of(
    context: BuildContext,
) -> (
    impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    tokio::task::JoinHandle<std::io::Result<()>>,
) {
    const CHUNK: usize = 1 << 18;
    let (sender, receiver) = mpsc::channel::<Bytes>(4);
    let writer = tokio::task::spawn_blocking(move || {
        context.write(std::io::BufWriter::with_capacity(CHUNK, Chunks(sender)))
    });
    let body = stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|chunk| (Ok(chunk), receiver))
    });
    (body, writer)
}

struct Chunks(mpsc::Sender<Bytes>);

impl std::io::Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let gone = |_| std::io::Error::from(ErrorKind::BrokenPipe);
        self.0.blocking_send(Bytes::copy_from_slice(bytes)).map_err(gone)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What BuildKit said so far.
#[derive(Default)]
struct Steps {
    names: HashMap<String, String>,
    /// The last lines of each step.
    lines: HashMap<String, Vec<String>>,
    failed: Option<String>,
}

impl Steps {
    fn take(&mut self, info: BuildInfo, listener: Listener<'_>) {
        let Some(BuildInfoAux::BuildKit(status)) = info.aux else {
            return;
        };
        for step in status.vertexes {
            let is_new = !self.names.contains_key(&step.digest);
            if step.started.is_some() && !step.cached && is_new {
                if !step.name.starts_with("[internal]") {
                    listener(Progress::Step(&step.name));
                }
                self.names.insert(step.digest.clone(), step.name);
            }
            if !step.error.is_empty() {
                self.failed = Some(step.digest);
            }
        }
        for log in status.logs {
            let kept = self.lines.entry(log.vertex).or_default();
            for line in String::from_utf8_lossy(&log.msg).lines().filter(|line| !line.trim().is_empty()) {
                listener(Progress::Line(line));
                kept.push(line.to_owned());
            }
            let surplus = kept.len().saturating_sub(LAST_LINES);
            kept.drain(..surplus);
        }
    }

    fn failed(&self, error: bollard::errors::Error) -> Error {
        let step = self.failed.as_ref().and_then(|digest| self.names.get(digest));
        let lines =
            self.failed.as_ref().and_then(|digest| self.lines.get(digest)).map(|lines| lines.join("\n"));
        let text = failure::causes(&error);
        let explained = match step {
            Some(step) if step.contains("uv pip install") => {
                Error::new(Kind::Invalid, "the dependencies cannot be installed")
                    .hint("mend the requirements file; the lines above are the installer's own")
            }
            Some(step) if step.contains("load metadata for") => no_base(),
            Some(step) => Error::failed(format!("the build failed at {step}")),
            None if text.contains("failed to resolve source metadata")
                || text.contains("pull access denied")
                || text.contains("not found")
                || text.contains("failed to do request") =>
            {
                no_base()
            }
            None => return explain("the image cannot be built", error),
        };
        match lines {
            Some(lines) => explained.details(lines),
            None => explained.source(error),
        }
    }
}

fn no_base() -> Error {
    Error::new(Kind::NotFound, "the base image cannot be had")
        .hint("name one that the engine has or can pull with --config.base_image=IMAGE")
}
