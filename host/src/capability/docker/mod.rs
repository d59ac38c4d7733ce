//! The Docker engine: builds, pushes and containers. alekseylearn's containers have a label, and are named after their
//! job.

mod about;
mod address;
mod archive;
mod build;
mod build_log;
mod container;
mod context;
mod failure;
mod gpus;
mod hashes;
mod images;
mod installation;
mod load;
mod logins;
mod logs;
mod network;
mod peek;
mod push;
mod secrets;
mod session;
mod ssh;
mod steps;

use std::{fmt, sync::Mutex};

use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker};

pub use about::EngineIdentity;
pub(super) use build_log::refused as refused_by_index;
pub use container::{ContainerSpec, ContainerState};
pub use context::{BuildContext, Changed, Hashed};
pub use gpus::Gpus;
pub use hashes::known_hashes;
pub(super) use installation::failed as installation_failed;
pub use logs::saved;
pub use push::Login;
pub(super) use push::refusal;
pub use session::Secrets;
pub use steps::Step;

use crate::{
    environment::DockerEnvironment,
    error::{Error, Kind, Result},
};
use address::Address;
use failure::explain;

/// The label on everything that alekseylearn creates in an engine.
pub const LABEL: &str = "io.alekseylearn.job";
/// The label with the hash of an image's inputs.
pub(super) const HASH_LABEL: &str = "io.alekseylearn.hash";
/// The label with the hashes of its steps, comma-separated.
const STEPS_LABEL: &str = "io.alekseylearn.steps";
/// Timeout of an ordinary request. Builds, pushes and logs are streams without a timeout.
const TIMEOUT_SECONDS: u64 = 120;
/// The oldest supported API, that of Docker Engine 20.10.
const OLDEST: ClientVersion = ClientVersion { major_version: 1, minor_version: 41 };

/// An image in the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// A name by which the engine finds exactly this image.
    pub reference: String,
    /// `sha256:…`
    pub id: String,
    /// Whether it already existed, so that nothing was built.
    pub reused: bool,
    /// `repository@sha256:…` for each registry that is known to have it.
    pub digests: Vec<String>,
}

/// A connection to an engine.
pub struct Engine {
    docker: Docker,
    address: Address,
    /// The engine's name and version.
    product: String,
    podman: bool,
    /// Whether the user disabled BuildKit.
    classic_builder: bool,
    /// Open log streams, so that the next page does not read from the start.
    following: Mutex<Vec<logs::Follower>>,
}

impl Engine {
    /// Connects to the engine that Docker's own command line would use, and negotiates a version.
    ///
    /// # Errors
    /// No engine answers, or it is too old.
    pub async fn connect(environment: &DockerEnvironment) -> Result<Self> {
        let address = address::choose(environment)?;
        let (docker, words) = dial(&address)?;
        let answered = async {
            let docker = docker.negotiate_version().await?;
            let version = docker.version().await?;
            Ok((docker, version))
        };
        let (docker, version) = match (answered.await, words) {
            (Ok(answer), _) => answer,
            (Err(error), Some(words)) => {
                return Err(unreachable(&address, Some(ssh::said(&words).await), error));
            }
            (Err(error), None) => return Err(unreachable(&address, None, error)),
        };
        let podman = version
            .components
            .unwrap_or_default()
            .iter()
            .find(|part| part.name.contains("Podman"))
            .map(|part| format!("Podman {}", part.version));
        let is_podman = podman.is_some();
        let product =
            podman.unwrap_or_else(|| format!("Docker Engine {}", version.version.unwrap_or_default()));
        // Podman numbers its Docker API differently.
        if docker.client_version() < OLDEST && !is_podman {
            let message = format!("{product} at {} is too old", address.url);
            return Err(
                Error::new(Kind::Unsupported, message).hint("upgrade it to Docker Engine 20.10 or newer")
            );
        }
        Ok(Self {
            docker,
            address,
            product,
            podman: is_podman,
            classic_builder: environment.classic_builder,
            following: Mutex::default(),
        })
    }

    /// Whether it runs on this machine.
    pub fn is_here(&self) -> bool {
        self.address.url.starts_with("unix://")
    }

    /// Whether the engine builds with BuildKit: unless `DOCKER_BUILDKIT=0` is set, or it is Podman, which has the same
    /// API but no BuildKit.
    pub fn buildkit(&self) -> bool {
        !self.podman && !self.classic_builder
    }

    /// An image's size in bytes; `None` if the engine has no such image.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn size_of(&self, reference: &str) -> Result<Option<u64>> {
        match self.docker.inspect_image(reference).await {
            Ok(found) => Ok(found.size.map(i64::unsigned_abs)),
            Err(error) if failure::is_not_found(&error) => Ok(None),
            Err(error) => Err(explain(&format!("cannot inspect the image {reference}"), error)),
        }
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

/// The engine, its address, and where the address comes from.
impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}, by {}", self.product, self.address.url, self.address.origin)
    }
}

fn dial(address: &Address) -> Result<(Docker, Option<ssh::Words>)> {
    let url = &address.url;
    let docker = match (url.split_once("://"), &address.certificates) {
        (Some(("ssh", _)), _) => {
            let (docker, words) = ssh::connect(url, TIMEOUT_SECONDS, API_DEFAULT_VERSION)?;
            return Ok((docker, Some(words)));
        }
        (Some(("unix", path)), _) => Docker::connect_with_unix(path, TIMEOUT_SECONDS, API_DEFAULT_VERSION),
        (_, Some(folder)) => Docker::connect_with_ssl(
            url,
            &folder.join("key.pem"),
            &folder.join("cert.pem"),
            &folder.join("ca.pem"),
            TIMEOUT_SECONDS,
            API_DEFAULT_VERSION,
        ),
        (_, None) => Docker::connect_with_http(url, TIMEOUT_SECONDS, API_DEFAULT_VERSION),
    };
    docker.map(|docker| (docker, None)).map_err(|error| unreachable(address, None, error))
}

/// The error for an unreachable engine. `words` is ssh's output, if the engine is behind ssh.
fn unreachable(address: &Address, words: Option<String>, error: bollard::errors::Error) -> Error {
    let text = failure::causes(&error);
    let (url, origin) = (&address.url, &address.origin);
    let denied = text.contains("ermission denied");
    let kind = if denied && words.is_none() { Kind::Denied } else { Kind::Unavailable };
    let failure = Error::new(kind, format!("cannot connect to the Docker engine at {url} ({origin})"));
    let failure = match words {
        _ if denied && url.starts_with("unix://") => failure.hint(
            "add this user to the group `docker` (`sudo usermod -aG docker $USER`), and log in again",
        ),
        Some(words) => {
            let failure = failure.hint("check that `ssh HOST docker system dial-stdio` connects");
            if words.is_empty() { failure } else { failure.details(words) }
        }
        None if address.certificates.is_some() => {
            failure.hint("check that the engine is running, and that ca.pem, cert.pem and key.pem are for it")
        }
        None => failure.hint(
            "start Docker (`sudo systemctl start docker`, or Docker Desktop), or set DOCKER_HOST to its address; to train \
             in the cloud without Docker, use --build-driver daemonless",
        ),
    };
    failure.source(error)
}
