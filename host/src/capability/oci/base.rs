//! The base image: its manifest and configuration. Its layers stay in its registry.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::TryStreamExt;
use oci_client::Reference;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Environment, MANIFEST_TYPES, client::Deed, client::Registry, credentials::Login, store::Store};
use crate::error::{Error, Kind, Result};

/// How long a tag stands for the same image, before the registry is asked again.
const FRESH: Duration = Duration::from_secs(24 * 3600);
/// Maximum size of a manifest or configuration in bytes.
const MAX_SIZE: usize = 8 << 20;
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// A part of an image in a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
}

/// A base image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Base {
    /// Its name, as the user wrote it.
    pub(super) name: String,
    /// Its name with its digest.
    pub(super) pinned: String,
    /// The manifest's digest.
    pub(super) digest: String,
    /// Whether it has Docker's media types instead of those of the OCI.
    pub(super) is_dockers: bool,
    pub(super) config: Value,
    pub(super) layers: Vec<Descriptor>,
    /// When the registry was asked, in seconds since the Unix epoch.
    asked: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    digest: String,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl Platform {
    fn is(&self, wanted: &str) -> bool {
        let plain = format!("{}/{}", self.os, self.architecture);
        plain == wanted || self.variant.as_ref().is_some_and(|variant| format!("{plain}/{variant}") == wanted)
    }
}

impl Base {
    /// Looks up an image for a platform. `anew` asks the registry even if it was asked a moment ago.
    pub(super) async fn find(
        environment: &Environment,
        store: &Store,
        name: &str,
        platform: &str,
        anew: bool,
    ) -> Result<Self> {
        let key = hex::encode(Sha256::digest(format!("{name}\0{platform}")));
        let known: Option<Self> = store.record("base", &key).filter(|_| !anew);
        let is_fresh = |base: &Self| base.is_pinned() || now().saturating_sub(base.asked) < FRESH.as_secs();
        if let Some(base) = known.as_ref().filter(|base| is_fresh(base)) {
            return Ok(base.clone());
        }
        match Self::ask(environment, name, platform).await {
            Ok(base) => {
                store.keep("base", &key, &base);
                Ok(base)
            }
            // What was found before still stands for the same content.
            Err(error) if error.kind() == Kind::Unavailable => known.ok_or(error),
            Err(error) => Err(error),
        }
    }

    fn is_pinned(&self) -> bool {
        self.name.contains("@sha256:")
    }

    async fn ask(environment: &Environment, name: &str, platform: &str) -> Result<Self> {
        let image = parse(name)?;
        let registry = open(environment, &image, name).await?;
        let (mut manifest, mut digest, mut media_type) = manifest(&registry, &image, name).await?;
        if let Some(entries) = &manifest.manifests {
            let is_wanted = |entry: &&Entry| entry.platform.as_ref().is_some_and(|has| has.is(platform));
            let entry =
                entries.iter().find(is_wanted).ok_or_else(|| other_platform(name, platform, entries))?;
            let one = image.clone_with_digest(entry.digest.clone());
            (manifest, digest, media_type) = self::manifest(&registry, &one, name).await?;
        }
        let (Some(config), Some(layers)) = (manifest.config, manifest.layers) else {
            return Err(not_an_image(name));
        };
        let config = blob(&registry, &image, &config.digest).await?;
        let config: Value = serde_json::from_slice(&config).map_err(|_| not_an_image(name))?;
        let Some(has) = serde_json::from_value::<Platform>(config.clone()).ok() else {
            return Err(not_an_image(name));
        };
        if !has.is(platform) {
            let has = format!("{}/{}", has.os, has.architecture);
            return Err(for_other_platform(name, platform, &has));
        }
        let pinned = image.clone_with_digest(digest.clone()).whole();
        let is_dockers = media_type == DOCKER_MANIFEST;
        Ok(Self { name: name.to_owned(), pinned, digest, is_dockers, config, layers, asked: now() })
    }

    /// A client for its layers.
    pub(super) async fn registry(&self, environment: &Environment) -> Result<Registry> {
        open(environment, &parse(&self.pinned)?, &self.name).await
    }
}

async fn open(environment: &Environment, image: &Reference, name: &str) -> Result<Registry> {
    let login =
        if environment.logins { Login::stored_for(image.resolve_registry()).await } else { Login::none() };
    Registry::open_as(image, format!("the base image {name}"), login, Deed::Download).await
}

/// Parses an image's name as Docker does: without a registry, it is on Docker Hub.
fn parse(name: &str) -> Result<Reference> {
    name.parse().map_err(|error: oci_client::ParseError| {
        Error::invalid(format!("`{name}` is not the name of an image"))
            .hint("set --config.base_image to a name such as python:3.11-slim")
            .source(error)
    })
}

async fn manifest(registry: &Registry, image: &Reference, name: &str) -> Result<(Manifest, String, String)> {
    let asked = registry.client.pull_manifest_raw(image, &registry.login.auth, &MANIFEST_TYPES).await;
    let (text, digest) = asked.map_err(|error| explain(registry, name, error))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|_| not_an_image(name))?;
    let media_type = manifest.media_type.clone().unwrap_or_default();
    Ok((manifest, digest, media_type))
}

async fn blob(registry: &Registry, image: &Reference, digest: &str) -> Result<Vec<u8>> {
    let explain = |error| registry.explain(error);
    let mut stream = registry.client.pull_blob_stream(image, digest).await.map_err(explain)?;
    let mut content = Vec::new();
    while let Some(part) = stream.try_next().await.map_err(|error| registry.explain(error.into()))? {
        if content.len() + part.len() > MAX_SIZE {
            return Err(Error::invalid(format!("the configuration of {} is too large", registry.name)));
        }
        content.extend_from_slice(&part);
    }
    Ok(content)
}

fn explain(registry: &Registry, name: &str, error: oci_client::errors::OciDistributionError) -> Error {
    let error = registry.explain(error);
    match error.kind() {
        Kind::NotFound => Error::new(Kind::NotFound, format!("base image {name} not found in its registry"))
            .hint("set --config.base_image=IMAGE to an image in a registry; images of a Docker engine cannot be used"),
        _ => error,
    }
}

fn not_an_image(name: &str) -> Error {
    Error::invalid(format!("{name} is not a container image"))
        .hint("set --config.base_image=IMAGE to an image with Python 3, such as python:3.11-slim")
}

fn other_platform(name: &str, platform: &str, entries: &[Entry]) -> Error {
    let has = entries.iter().filter_map(|entry| entry.platform.as_ref());
    let has = has.filter(|platform| platform.os != "unknown");
    let has: Vec<String> = has.map(|has| format!("{}/{}", has.os, has.architecture)).collect();
    for_other_platform(name, platform, &has.join(", "))
}

fn for_other_platform(name: &str, platform: &str, has: &str) -> Error {
    Error::invalid(format!("the base image {name} is for {has}, but the image is for {platform}"))
        .hint("set --config.base_image=IMAGE to one for the image's platform, or change --config.platform=OS/ARCHITECTURE")
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
