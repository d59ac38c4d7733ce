//! An image that a build driver made.

use std::sync::Arc;

use super::{docker, oci};

/// An image, wherever it is.
#[derive(Clone, Debug)]
pub enum Image {
    /// In the Docker engine.
    InEngine(docker::Image),
    /// Assembled on this machine, in no engine.
    Assembled(Arc<oci::Assembled>),
}

impl Image {
    /// An image that a dry run does not make.
    pub fn none(reference: String) -> Self {
        Self::InEngine(docker::Image { reference, id: String::new(), reused: false, digests: Vec::new() })
    }

    /// The name that stands for its content.
    pub fn reference(&self) -> &str {
        match self {
            Self::InEngine(image) => &image.reference,
            Self::Assembled(image) => &image.reference,
        }
    }

    /// The digest of its configuration, `sha256:…`.
    pub fn id(&self) -> &str {
        match self {
            Self::InEngine(image) => &image.id,
            Self::Assembled(image) => &image.config_digest,
        }
    }

    /// Whether it already existed.
    pub fn reused(&self) -> bool {
        match self {
            Self::InEngine(image) => image.reused,
            Self::Assembled(image) => image.reused,
        }
    }
}
