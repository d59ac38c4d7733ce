//! Information about an engine.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Engine, explain, gpus::GpuSupport};
use crate::error::Result;

/// Properties of an engine, for checks.
#[derive(Clone, Debug)]
pub struct About {
    /// The engine's own version.
    pub version: String,
    /// The version of its API.
    pub api: String,
    /// Its platform, such as `linux/amd64`.
    pub platform: String,
    /// Whether it builds with BuildKit.
    pub buildkit: bool,
    /// Whether it offers NVIDIA GPUs, through a runtime or CDI.
    pub gpus: bool,
    /// The folder of its images; `None` if it is on another machine.
    pub folder: Option<PathBuf>,
}

/// What identifies an engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineIdentity {
    /// The engine's ID, independent of its address; `None` if it has no permanent one.
    pub id: Option<String>,
    /// Its address.
    pub address: String,
}

impl EngineIdentity {
    /// Whether both identify the same engine.
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.id, &other.id) {
            (Some(id), Some(other)) => id == other,
            _ => self.address == other.address,
        }
    }
}

impl Engine {
    /// The engine's identity.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn identity(&self) -> Result<EngineIdentity> {
        let failed = |error| explain("cannot get the Docker engine's information", error);
        let info = self.docker.info().await.map_err(failed)?;
        // Podman returns a new ID each time.
        let id = info.id.filter(|id| !id.is_empty() && !self.podman);
        Ok(EngineIdentity { id, address: self.address.url.clone() })
    }

    /// The engine's properties.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn about(&self) -> Result<About> {
        let failed = |error| explain("cannot get the Docker engine's information", error);
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
