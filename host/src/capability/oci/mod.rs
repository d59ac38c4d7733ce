//! Downloads components from image registries, packaged as by the Bytecode Alliance and `wkg oci push`: a manifest with
//! one layer, which is the component.

mod credentials;
mod failure;

use std::{collections::BTreeMap, fmt, time::Duration};

use futures_util::TryStreamExt;
use oci_client::{
    Client, RegistryOperation,
    client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol},
    manifest::{
        IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE,
        OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest, OciManifest,
    },
};
use serde::{Deserialize, Serialize};

use super::{certificates, docker};
use crate::{
    environment::CertificateBundle,
    error::{Error, Kind, Result},
};
use credentials::Login;
use failure::explain;

const CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
const LAYER_TYPE: &str = "application/wasm";
/// All kinds of manifests, so that one that is not a plugin can be reported.
const MANIFEST_TYPES: [&str; 4] = [
    OCI_IMAGE_MEDIA_TYPE,
    IMAGE_MANIFEST_MEDIA_TYPE,
    OCI_IMAGE_INDEX_MEDIA_TYPE,
    IMAGE_MANIFEST_LIST_MEDIA_TYPE,
];
const SCHEME: &str = "oci://";
const HOW_TO_WRITE: &str = "write oci://REGISTRY/REPOSITORY:TAG or oci://REGISTRY/REPOSITORY@sha256:DIGEST";
const HOW_TO_PACKAGE: &str =
    "package the plugin as a component: `wkg oci push REGISTRY/REPOSITORY:TAG FILE.wasm`";

const CONNECT_WITHIN: Duration = Duration::from_secs(20);
/// Maximum pause between two pieces of a response.
const SILENT_FOR: Duration = Duration::from_secs(60);

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

/// A component from a registry.
#[derive(Debug)]
pub struct Package {
    /// The component.
    pub component: Vec<u8>,
    /// The annotations of its manifest.
    pub annotations: BTreeMap<String, String>,
}

/// Downloads a component of at most `limit` bytes, and checks the digests of manifest and layer. If `pinned` is a
/// component's digest, that component is downloaded even if the tag has moved or is gone.
///
/// # Errors
/// The registry cannot be reached or refuses, or the reference does not exist or is not a single component.
pub async fn pull(reference: &Reference, pinned: Option<&str>, limit: usize) -> Result<Package> {
    let registry = Registry::open(reference).await?;
    let (digest, annotations) = match (registry.manifest(limit).await, pinned) {
        (Ok(found), None) => found,
        (Ok(found), Some(pinned)) if found.0 == pinned => found,
        (Ok(_), Some(pinned)) => (pinned.to_owned(), BTreeMap::new()),
        (Err(error), Some(pinned)) if error.kind() == Kind::NotFound => (pinned.to_owned(), BTreeMap::new()),
        (Err(error), _) => return Err(error),
    };
    Ok(Package { component: registry.layer(&digest, limit).await?, annotations })
}

/// The digest of the image behind a reference.
///
/// # Errors
/// The registry cannot be reached or refuses, or the reference does not exist.
pub async fn digest(reference: &Reference, login: docker::Login) -> Result<String> {
    let registry = Registry::open_as(reference, Login::given(login)).await?;
    let answer = registry.client.fetch_manifest_digest(&reference.0, &registry.login.auth).await;
    answer.map_err(|error| registry.explain(error))
}

/// A client for one repository of a registry.
struct Registry<'a> {
    reference: &'a Reference,
    client: Client,
    login: Login,
}

impl<'a> Registry<'a> {
    async fn open(reference: &'a Reference) -> Result<Self> {
        Self::open_as(reference, Login::stored_for(reference.0.resolve_registry()).await).await
    }

    async fn open_as(reference: &'a Reference, login: Login) -> Result<Self> {
        let address = reference.0.resolve_registry();
        let protocol = if is_this_machine(address) { ClientProtocol::Http } else { ClientProtocol::Https };
        let config = ClientConfig {
            protocol,
            user_agent: concat!("alekseylearn/", env!("CARGO_PKG_VERSION")),
            connect_timeout: Some(CONNECT_WITHIN),
            read_timeout: Some(SILENT_FOR),
            extra_root_certificates: trusted()?,
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).map_err(|error| explain(reference, &login, error))?;
        let registry = Self { reference, client, login };
        // Requested here, because the library continues without a token if it gets none, and loses the reason.
        let token = registry.client.auth(&reference.0, &registry.login.auth, RegistryOperation::Pull).await;
        match token.map_err(|error| registry.explain(error))? {
            // The library would put it into a header unchecked.
            Some(token) if !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Err(Error::new(Kind::Unavailable, format!("{address} returned an unusable token"))
                    .hint("see that the registry's address is right"))
            }
            _ => Ok(registry),
        }
    }

    /// The component's digest, and the manifest's annotations.
    async fn manifest(&self, limit: usize) -> Result<(String, BTreeMap<String, String>)> {
        let Reference(image) = self.reference;
        let answer = self.client.pull_manifest_raw(image, &self.login.auth, &MANIFEST_TYPES).await;
        let (manifest, _) = answer.map_err(|error| self.explain(error))?;
        let manifest = manifest_of_component(self.reference, &manifest)?;
        let layer = only_layer(self.reference, &manifest)?;
        if layer.size < 0 || layer.size.unsigned_abs() > limit as u64 {
            return Err(too_large(self.reference, limit));
        }
        Ok((layer.digest.clone(), manifest.annotations.unwrap_or_default()))
    }

    /// Downloads a layer only by its digest. Other addresses in a manifest are ignored.
    async fn layer(&self, digest: &str, limit: usize) -> Result<Vec<u8>> {
        let answer = self.client.pull_blob_stream(&self.reference.0, digest).await;
        let mut stream = answer.map_err(|error| self.explain(error))?;
        let mut content = Vec::new();
        while let Some(part) = stream.try_next().await.map_err(|error| self.explain(error.into()))? {
            if content.len() + part.len() > limit {
                return Err(too_large(self.reference, limit));
            }
            content.extend_from_slice(&part);
        }
        Ok(content)
    }

    fn explain(&self, error: oci_client::errors::OciDistributionError) -> Error {
        explain(self.reference, &self.login, error)
    }
}

fn manifest_of_component(reference: &Reference, manifest: &[u8]) -> Result<OciImageManifest> {
    let broken =
        |problem: &str| Error::new(Kind::Plugin, format!("{reference} {problem}")).hint(HOW_TO_PACKAGE);
    let manifest: OciManifest =
        serde_json::from_slice(manifest).map_err(|error| broken("has an invalid manifest").source(error))?;
    let OciManifest::Image(manifest) = manifest else {
        return Err(broken("is an image index, not a plugin"));
    };
    match manifest.config.media_type.as_str() {
        CONFIG_TYPE => Ok(manifest),
        text if text.contains("image.config") || text.contains("container.image") => {
            Err(broken("is a container image, not a plugin"))
        }
        other => Err(broken(&format!("is of type {other:?}, not a plugin"))),
    }
}

fn only_layer<'a>(reference: &Reference, manifest: &'a OciImageManifest) -> Result<&'a OciDescriptor> {
    let broken =
        |problem: &str| Error::new(Kind::Plugin, format!("{reference} {problem}")).hint(HOW_TO_PACKAGE);
    match manifest.layers.as_slice() {
        [layer] if layer.media_type == LAYER_TYPE => Ok(layer),
        [layer] => Err(broken(&format!("holds {:?}, not a plugin", layer.media_type))),
        layers => Err(broken(&format!("has {} layers, but a plugin has one", layers.len()))),
    }
}

fn too_large(reference: &Reference, limit: usize) -> Error {
    Error::failed(format!("{reference} is larger than {} MiB", limit >> 20))
        .hint("check the reference: no plugin is this large")
}

/// Certificates that this network needs in addition to the system's.
fn trusted() -> Result<Vec<Certificate>> {
    let Some(bundle) = CertificateBundle::of_the_environment() else { return Ok(Vec::new()) };
    let found = certificates::read(&bundle)?.into_iter();
    Ok(found.map(|one| Certificate { encoding: CertificateEncoding::Der, data: one.to_vec() }).collect())
}

/// Whether the registry is on this machine, where TLS is not needed.
fn is_this_machine(registry: &str) -> bool {
    matches!(registry.split(':').next(), Some("127.0.0.1" | "localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn only_tls_leaves_this_machine() {
        for (registry, is) in [
            ("127.0.0.1:5000", true),
            ("localhost", true),
            ("127.0.0.1.example.org", false),
            ("localhost.example.org:80", false),
            ("ghcr.io", false),
        ] {
            assert_eq!(is_this_machine(registry), is, "{registry}");
        }
    }
}
