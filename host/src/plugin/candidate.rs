//! A component that could be installed: read, judged, and neither compiled nor run.

use super::{
    manifest::{Manifest, is_name},
    signature::Claim,
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
    /// The text of its `.minisig` file.
    pub(super) signature: Option<String>,
}

impl Candidate {
    /// Gets a component from its source. `name` is what the user calls it; `pinned` is its digest in a lock file.
    ///
    /// # Errors
    /// It cannot be got, is not what was promised, or is no plugin of this program.
    pub async fn obtain(source: &Source, name: Option<&str>, pinned: Option<&str>) -> Result<Self> {
        let obtained = source.obtain(pinned).await?;
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
        Ok(Self {
            name,
            manifest,
            source: source.clone(),
            wasm: obtained.wasm,
            signature: obtained.signature,
        })
    }

    /// With the signature that a lock file keeps, where it does: its source may have lost or changed it.
    pub fn with_signature(self, locked: Option<String>) -> Self {
        Self { signature: locked.or(self.signature), ..self }
    }

    /// An installed plugin, as its file describes it.
    ///
    /// # Errors
    /// The file is no plugin of this program.
    pub(super) fn of(plugin: &Installed, wasm: Vec<u8>) -> Result<Self> {
        let manifest = Manifest::read(&plugin.name, &wasm)?;
        let (name, source, signature) =
            (plugin.name.clone(), plugin.source.clone(), plugin.signature.clone());
        Ok(Self { name, manifest, source, wasm, signature })
    }

    pub(super) fn claim(&self) -> Claim<'_> {
        let Self { name, wasm, source, signature, .. } = self;
        Claim { name, wasm, source, signature: signature.as_deref() }
    }

    /// `sha256:…`
    pub fn digest(&self) -> String {
        digest_of(&self.wasm)
    }
}
