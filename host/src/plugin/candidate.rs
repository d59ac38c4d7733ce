//! A component that could be installed: read, judged, and neither compiled nor run.

use super::{
    identity::{Identity, is_reserved},
    manifest::{Manifest, is_name},
    shipped::is_released,
    signature::{Claim, key_of, name_in},
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
    /// The manifest's, as text.
    version: Option<String>,
    /// The text of its `.minisig` file.
    pub(super) signature: Option<String>,
    /// What was odd about its source, to be told.
    pub notes: Vec<String>,
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
        if let Some(listed) = obtained.version.filter(|listed| manifest.version.as_ref() != Some(listed)) {
            let own = manifest.version.as_ref().map_or_else(|| "no version".to_owned(), ToString::to_string);
            return Err(Error::new(
                Kind::Plugin,
                format!("{source} is listed as {listed}, and the component says {own}"),
            )
            .hint("this is a fault of the index: tell whoever keeps it"));
        }
        let name = name.map(str::to_owned).or_else(|| manifest.name.clone()).or(obtained.name);
        let name = name.unwrap_or_default();
        if !is_name(&name) {
            return Err(Error::invalid(format!("`{name}` is no name for a plugin"))
                .hint("a name has lower-case letters, digits and dashes: `alekseylearn plugin install FILE --name NAME`"));
        }
        Ok(Self {
            name,
            version: manifest.version.as_ref().map(ToString::to_string),
            manifest,
            source: source.clone(),
            wasm: obtained.wasm,
            signature: obtained.signature,
            notes: obtained.notes,
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
        let version = manifest.version.as_ref().map(ToString::to_string);
        Ok(Self { name, version, manifest, source, wasm, signature, notes: Vec::new() })
    }

    pub(super) fn claim(&self) -> Claim<'_> {
        let Self { name, manifest, wasm, source, signature, .. } = self;
        let own_name = manifest.name.as_deref();
        let version = self.version.as_deref();
        Claim { name, own_name, version, wasm, source, signature: signature.as_deref() }
    }

    /// Who it says to be: whether its signature is good is for [`super::Plugins::admit`] to tell.
    pub fn identity(&self) -> Identity {
        let signature = self.signature.as_deref();
        Identity {
            name: self.name.clone(),
            own_name: self.own_name(),
            source: self.source.place(),
            signer: signature.and_then(key_of),
        }
    }

    /// What it calls itself, or what its signature calls it.
    pub(super) fn own_name(&self) -> Option<String> {
        let signed = || self.signature.as_deref().and_then(name_in).map(str::to_owned);
        self.manifest.name.clone().or_else(signed)
    }

    /// It has a name that only the project's own drivers may have, and is none of them.
    pub fn takes_a_reserved_name(&self) -> bool {
        is_reserved(&self.name) && !is_released(&self.digest())
    }

    /// It came with a signature, good or not.
    pub fn is_signed(&self) -> bool {
        self.signature.is_some()
    }

    /// `sha256:…`
    pub fn digest(&self) -> String {
        digest_of(&self.wasm)
    }
}
