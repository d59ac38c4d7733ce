//! What an engine says of itself.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Engine, explain, gpus::GpuSupport};
use crate::error::Result;

/// An engine, for a person who asks whether it will do.
#[derive(Clone, Debug)]
pub struct About {
    /// The engine's own version.
    pub version: String,
    /// That of its API.
    pub api: String,
    /// `linux/amd64`.
    pub platform: String,
    /// It builds by BuildKit.
    pub buildkit: bool,
    /// It offers NVIDIA's GPUs, by a runtime or by CDI.
    pub gpus: bool,
    /// Where it keeps its images, if that is on this machine.
    pub folder: Option<PathBuf>,
}

/// An engine among all others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineIdentity {
    /// The engine's own, whatever address it is reached at; `None` if it has none that stays.
    pub id: Option<String>,
    /// Where it was reached.
    pub address: String,
}

impl EngineIdentity {
    /// Both are of one engine.
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.id, &other.id) {
            (Some(id), Some(other)) => id == other,
            _ => self.address == other.address,
        }
    }
}

impl Engine {
    /// Which engine it is.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn identity(&self) -> Result<EngineIdentity> {
        let failed = |error| explain("the Docker engine does not tell about itself", error);
        let info = self.docker.info().await.map_err(failed)?;
        // Podman makes a new one for each answer.
        let id = info.id.filter(|id| !id.is_empty() && !self.podman);
        Ok(EngineIdentity { id, address: self.address.url.clone() })
    }

    /// Asks the engine about itself.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn about(&self) -> Result<About> {
        let failed = |error| explain("the Docker engine does not tell about itself", error);
        let version = self.docker.version().await.map_err(failed)?;
        let info = self.docker.info().await.map_err(failed)?;
        let text = |value: Option<String>| value.unwrap_or_else(|| "?".into());
        Ok(About {
            version: text(version.version),
            api: text(version.api_version),
            platform: format!("{}/{}", text(version.os), text(version.arch)),
            buildkit: self.buildkit(),
            gpus: GpuSupport::of(&info, self.podman).is_some(),
            folder: info.docker_root_dir.filter(|_| self.is_here()).map(PathBuf::from),
        })
    }
}
