//! A component that could be installed: read, judged, and neither compiled nor run.

use super::{
    manifest::{Manifest, is_name},
    source::Source,
    store::{Installed, digest_of},
};
use crate::error::{Error, Kind, Result};

/// A component that could be installed.
pub struct Candidate {
    /// What it is to be called.
    pub name: String,
    /// What it says of itself.
    pub manifest: Manifest,
    /// Where it came from.
    pub source: Source,
    pub(super) wasm: Vec<u8>,
}

impl Candidate {
    /// Gets a component from its source. `name` is what the user calls it.
    ///
    /// # Errors
    /// It cannot be got, is not what was promised, or is no plugin of this program.
    pub async fn obtain(source: &Source, name: Option<&str>) -> Result<Self> {
        let obtained = source.obtain().await?;
        let digest = digest_of(&obtained.wasm);
        if let Some(promised) = obtained.promised.filter(|promised| *promised != digest) {
            return Err(Error::new(
                Kind::Plugin,
                format!("{source} is not what was promised: it has {digest}, not {promised}"),
            )
            .hint("it was changed since: ask whoever keeps the index, and do not use it"));
        }
        let manifest = Manifest::read(&source.to_string(), &obtained.wasm)?;
        let name = name.map(str::to_owned).or_else(|| manifest.name.clone()).or(obtained.name);
        let name = name.unwrap_or_default();
        if !is_name(&name) {
            return Err(Error::invalid(format!("`{name}` is no name for a plugin"))
                .hint("give one with --name: lower-case letters, digits and dashes"));
        }
        Ok(Self { name, manifest, source: source.clone(), wasm: obtained.wasm })
    }

    /// An installed plugin, as its file describes it.
    ///
    /// # Errors
    /// The file is no plugin of this program.
    pub(super) fn of(plugin: &Installed, wasm: Vec<u8>) -> Result<Self> {
        let manifest = Manifest::read(&plugin.name, &wasm)?;
        Ok(Self { name: plugin.name.clone(), manifest, source: plugin.source.clone(), wasm })
    }

    /// `sha256:…`
    pub fn digest(&self) -> String {
        digest_of(&self.wasm)
    }
}
