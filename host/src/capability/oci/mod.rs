//! Image registries: downloads components, and assembles and pushes images without a container engine.

mod assembly;
mod base;
mod client;
mod component;
mod config;
mod credentials;
mod export;
mod failure;
mod layer;
mod push;
mod python;
mod store;

use std::fmt;

use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE,
};
use serde::{Deserialize, Serialize};

pub use assembly::{Assembled, Assembly, Environment, Installation};
pub use component::pull;
pub use layer::LayerWriter;
pub use python::Python;

use super::docker;
use crate::error::{Error, Result};
use client::{Deed, Registry};
use credentials::Login;

/// All kinds of manifests, so that one of another kind than expected can be reported.
const MANIFEST_TYPES: [&str; 4] = [
    OCI_IMAGE_MEDIA_TYPE,
    IMAGE_MANIFEST_MEDIA_TYPE,
    OCI_IMAGE_INDEX_MEDIA_TYPE,
    IMAGE_MANIFEST_LIST_MEDIA_TYPE,
];
const SCHEME: &str = "oci://";
const HOW_TO_WRITE: &str = "write oci://REGISTRY/REPOSITORY:TAG or oci://REGISTRY/REPOSITORY@sha256:DIGEST";

/// A reference: `oci://REGISTRY/REPOSITORY:TAG` or `oci://REGISTRY/REPOSITORY@sha256:DIGEST`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference(oci_client::Reference);

impl Reference {
    /// Parses a reference. The default tag is `latest`.
    ///
    /// # Errors
    /// It is not a reference, or names no registry.
    pub fn parse(text: &str) -> Result<Self> {
        let bare = text.strip_prefix(SCHEME).unwrap_or(text);
        let invalid = || Error::invalid(format!("`{text}` is not a registry reference")).hint(HOW_TO_WRITE);
        let reference: oci_client::Reference =
            bare.parse().map_err(|error: oci_client::ParseError| invalid().source(error))?;
        // Without a registry, it would be looked up on Docker Hub, which is not intended.
        if !bare.starts_with(&format!("{}/", reference.registry())) {
            return Err(invalid());
        }
        Ok(Self(reference))
    }

    /// The registry and the repository, without a tag or digest.
    pub fn repository(&self) -> String {
        format!("{SCHEME}{}/{}", self.0.registry(), self.0.repository())
    }

    /// The last part of the repository's name.
    pub fn name(&self) -> &str {
        self.0.repository().rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.0.whole())
    }
}

impl TryFrom<String> for Reference {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

/// The digest of the image behind a reference.
///
/// # Errors
/// The registry cannot be reached or refuses, or the reference does not exist.
pub async fn digest(reference: &Reference, login: docker::Login) -> Result<String> {
    let name = reference.to_string();
    let registry = Registry::open_as(&reference.0, name, Login::given(login), Deed::Download).await?;
    let answer = registry.client.fetch_manifest_digest(&reference.0, &registry.login.auth).await;
    answer.map_err(|error| registry.explain(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    const DIGEST: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    #[test]
    fn references_name_a_registry() {
        let shown = |text: &str| Reference::parse(text).map(|reference| reference.to_string());
        for text in [
            "oci://ghcr.io/a/b:1.2",
            "oci://127.0.0.1:5000/a:1",
            "oci://localhost/a:1",
            &format!("oci://ghcr.io/a/b@{DIGEST}"),
            &format!("oci://ghcr.io/a/b:1@{DIGEST}"),
        ] {
            assert_eq!(shown(text).unwrap(), text);
        }
        assert_eq!(shown("oci://ghcr.io/a/b").unwrap(), "oci://ghcr.io/a/b:latest");
        for text in [
            "oci://",
            "oci://a",
            "oci://a/b:1",
            "oci://a:1",
            "oci://ghcr.io/A:1",
            "oci://ghcr.io/a@sha256:00",
            "oci://ghcr.io/a b",
            "oci://https://ghcr.io/a:1",
        ] {
            assert_eq!(shown(text).unwrap_err().kind(), Kind::Invalid, "{text}");
        }
    }
}
