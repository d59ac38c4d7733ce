//! Downloads components from image registries, packaged as by the Bytecode Alliance and `wkg oci push`: a manifest with
//! one layer, which is the component.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use oci_client::manifest::{OciDescriptor, OciImageManifest, OciManifest};

use super::{MANIFEST_TYPES, Reference, client::Registry};
use crate::error::{Error, Kind, Result};

const CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
const LAYER_TYPE: &str = "application/wasm";
const HOW_TO_PACKAGE: &str =
    "package the plugin as a component: `wkg oci push REGISTRY/REPOSITORY:TAG FILE.wasm`";

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
    let registry = Registry::open(&reference.0, reference.to_string()).await?;
    let (digest, annotations) = match (manifest(reference, &registry, limit).await, pinned) {
        (Ok(found), None) => found,
        (Ok(found), Some(pinned)) if found.0 == pinned => found,
        (Ok(_), Some(pinned)) => (pinned.to_owned(), BTreeMap::new()),
        (Err(error), Some(pinned)) if error.kind() == Kind::NotFound => (pinned.to_owned(), BTreeMap::new()),
        (Err(error), _) => return Err(error),
    };
    Ok(Package { component: layer(reference, &registry, &digest, limit).await?, annotations })
}

/// The component's digest, and the manifest's annotations.
async fn manifest(
    reference: &Reference,
    registry: &Registry,
    limit: usize,
) -> Result<(String, BTreeMap<String, String>)> {
    let image = &registry.image;
    let answer = registry.client.pull_manifest_raw(image, &registry.login.auth, &MANIFEST_TYPES).await;
    let (manifest, _) = answer.map_err(|error| registry.explain(error))?;
    let manifest = manifest_of_component(reference, &manifest)?;
    let layer = only_layer(reference, &manifest)?;
    if layer.size < 0 || layer.size.unsigned_abs() > limit as u64 {
        return Err(too_large(reference, limit));
    }
    Ok((layer.digest.clone(), manifest.annotations.unwrap_or_default()))
}

/// Downloads a layer only by its digest. Other addresses in a manifest are ignored.
async fn layer(reference: &Reference, registry: &Registry, digest: &str, limit: usize) -> Result<Vec<u8>> {
    let answer = registry.client.pull_blob_stream(&registry.image, digest).await;
    let mut stream = answer.map_err(|error| registry.explain(error))?;
    let mut content = Vec::new();
    while let Some(part) = stream.try_next().await.map_err(|error| registry.explain(error.into()))? {
        if content.len() + part.len() > limit {
            return Err(too_large(reference, limit));
        }
        content.extend_from_slice(&part);
    }
    Ok(content)
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
