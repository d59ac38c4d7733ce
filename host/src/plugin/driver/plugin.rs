//! A plugin that is ready to be called.

use std::sync::Arc;

use crate::plugin::{
    package::{identity::Identity, shipped::shipped},
    policy::{grant::Grants, never::NeverGranted},
    sandbox::{job_folder::Written, runtime::Loaded},
};

/// A loaded plugin.
pub(crate) struct Plugin {
    pub(crate) name: String,
    pub(crate) granted: Grants,
    pub(crate) origin: Origin,
    pub(crate) identity: Identity,
    /// The grants that it wants, so that a denial can name the whole grant.
    pub(crate) wants: Grants,
    /// The grants that its user never gives; empty for a shipped plugin.
    pub(crate) never: NeverGranted,
    pub(crate) loaded: Loaded,
    pub(crate) written: Arc<Written>,
}

impl Plugin {
    /// The digest of its component, `sha256:…`.
    pub(crate) fn digest(&self) -> String {
        match &self.origin {
            Origin::Installed(digest) | Origin::Lent(digest) => digest.clone(),
            Origin::Shipped => {
                shipped(&self.name).map(|shipped| shipped.digest.to_owned()).unwrap_or_default()
            }
        }
    }
}

/// Which component is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The one that ships with the program.
    Shipped,
    /// The installed one, with its digest.
    Installed(String),
    /// A file that is used by `plugin run`, with its digest.
    Lent(String),
}
