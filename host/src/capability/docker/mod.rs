//! The Docker engine: builds, pushes and containers. Containers of alekseylearn carry a label and are named after
//! their job.

mod archive;
mod build;
mod container;
mod context;
mod failure;
mod logs;
mod push;

use std::sync::Mutex;

use bollard::{API_DEFAULT_VERSION, Docker};

pub use container::{ContainerSpec, ContainerState};
pub use context::BuildContext;
pub use logs::saved;
pub use push::Login;

use crate::error::{Error, Kind, Result};
use failure::explain;

/// Marks what alekseylearn made in an engine.
pub const LABEL: &str = "io.alekseylearn.job";
/// How long an ordinary request may take. Builds, pushes and logs are streams and have no limit.
const TIMEOUT_SECONDS: u64 = 120;
const SOCKET: &str = "unix:///var/run/docker.sock";

/// An image in the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// A name by which the engine finds exactly this image.
    pub reference: String,
    /// `sha256:…`
    pub id: String,
    /// It was there already: nothing had to be built.
    pub reused: bool,
    /// `repository@sha256:…` for each registry that it is known to be in.
    pub digests: Vec<String>,
}

/// A connection to an engine.
pub struct Engine {
    docker: Docker,
    /// Logs that are being followed, so that the next page need not read from the start.
    following: Mutex<Vec<logs::Follower>>,
}

impl Engine {
    /// Connects to `host`, as in `DOCKER_HOST`, or to the usual socket, and agrees on a version.
    ///
    /// # Errors
    /// No engine answers there.
    pub async fn connect(host: Option<&str>) -> Result<Self> {
        let address = host.unwrap_or(SOCKET);
        let docker = match address.strip_prefix("unix://") {
            Some(path) => Docker::connect_with_unix(path, TIMEOUT_SECONDS, API_DEFAULT_VERSION),
            None => Docker::connect_with_host(address),
        };
        let unreachable = |error: bollard::errors::Error| unreachable(address, error);
        let docker = docker.map_err(unreachable)?.negotiate_version().await.map_err(unreachable)?;
        Ok(Self { docker, following: Mutex::default() })
    }

    /// An image by name or id.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn image(&self, reference: &str) -> Result<Option<Image>> {
        match self.docker.inspect_image(reference).await {
            Ok(found) => Ok(Some(Image {
                reference: reference.to_owned(),
                id: found.id.unwrap_or_default(),
                reused: true,
                digests: found.repo_digests.unwrap_or_default(),
            })),
            Err(error) if failure::is_not_found(&error) => Ok(None),
            Err(error) => Err(explain(&format!("cannot inspect the image {reference}"), error)),
        }
    }
}

fn unreachable(address: &str, error: bollard::errors::Error) -> Error {
    let text = failure::causes(&error);
    let unreachable = Error::new(Kind::Unavailable, format!("no Docker engine answers at {address}"));
    let hint = if text.contains("ermission denied") {
        "this user may not use Docker: add it to the group `docker` (`sudo usermod -aG docker $USER`) and log in again"
    } else {
        "start Docker (`sudo systemctl start docker`, or Docker Desktop), or set DOCKER_HOST to where it listens"
    };
    unreachable.hint(hint).source(error)
}
