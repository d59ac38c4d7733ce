//! A component that can be installed: read and checked, but neither compiled nor run.

use super::{
    identity::{Identity, is_reserved},
    manifest::{Manifest, is_name},
    shipped::is_released,
    signature::{Claim, key_of, name_in},
    source::Source,
    store::{Installed, digest_of},
};
use crate::error::{Error, Kind, Result};

/// A component that can be installed.
pub struct Candidate {
    /// The name to install it under.
    pub name: String,
    /// The component's metadata.
    pub manifest: Manifest,
    /// Where it came from.
    pub source: Source,
    pub(crate) wasm: Vec<u8>,
    /// The version of the manifest, as text.
    version: Option<String>,
    /// The text of its `.minisig` file.
    pub(crate) signature: Option<String>,
    /// Notes about its source, to show to the user.
    pub notes: Vec<String>,
}

impl Candidate {
    /// Downloads a component from its source. `name` is the user's name for it; `pinned` is its digest in a lock file.
    ///
    /// # Errors
    /// If it cannot be downloaded, does not match its digest or version, or is not a plugin.
    pub async fn obtain(source: &Source, name: Option<&str>, pinned: Option<&str>) -> Result<Self> {
        let obtained = source.obtain(pinned).await?;
        let digest = digest_of(&obtained.wasm);
        if let Some(promised) = obtained.promised.filter(|promised| *promised != digest) {
            return Err(Error::new(
                Kind::Plugin,
                format!("digest mismatch for {source}: expected {promised}, got {digest}"),
            )
            .hint("do not install it: it changed after it was listed; report it to the index's maintainer"));
        }
        let manifest = Manifest::read(&source.to_string(), &obtained.wasm)?;
        if let Some(listed) = obtained.version.filter(|listed| manifest.version.as_ref() != Some(listed)) {
            let own = manifest.version.as_ref().map_or_else(|| "no version".to_owned(), ToString::to_string);
            return Err(Error::new(
                Kind::Plugin,
                format!("version mismatch for {source}: the index lists {listed}, the component has {own}"),
            )
            .hint("report this to the index's maintainer"));
        }
        let name = name.map(str::to_owned).or_else(|| manifest.name.clone()).or(obtained.name);
        let name = name.unwrap_or_default();
        if !is_name(&name) {
            return Err(Error::invalid(format!("`{name}` is not a valid plugin name")).hint(
                "use lowercase letters, digits and dashes: `alekseylearn plugin install FILE --name NAME`",
            ));
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

    /// Takes the signature from a lock file, if it has one: the source may have lost or changed it.
    pub fn with_signature(self, locked: Option<String>) -> Self {
        Self { signature: locked.or(self.signature), ..self }
    }

    /// An installed plugin, as its file describes it.
    ///
    /// # Errors
    /// If the file is not a plugin.
    pub(crate) fn of(plugin: &Installed, wasm: Vec<u8>) -> Result<Self> {
        let manifest = Manifest::read(&plugin.name, &wasm)?;
        let (name, source, signature) =
            (plugin.name.clone(), plugin.source.clone(), plugin.signature.clone());
        let version = manifest.version.as_ref().map(ToString::to_string);
        Ok(Self { name, version, manifest, source, wasm, signature, notes: Vec::new() })
    }

    pub(crate) fn claim(&self) -> Claim<'_> {
        let Self { name, manifest, wasm, source, signature, .. } = self;
        let own_name = manifest.name.as_deref();
        let version = self.version.as_deref();
        Claim { name, own_name, version, wasm, source, signature: signature.as_deref() }
    }

    /// The identity that it claims. [`super::Plugins::admit`] verifies the signature.
    pub fn identity(&self) -> Identity {
        let signature = self.signature.as_deref();
        Identity {
            name: self.name.clone(),
            own_name: self.own_name(),
            source: self.source.place(),
            signer: signature.and_then(key_of),
        }
    }

    /// Its own name: from the component, else from the signature.
    pub(crate) fn own_name(&self) -> Option<String> {
        let signed = || self.signature.as_deref().and_then(name_in).map(str::to_owned);
        self.manifest.name.clone().or_else(signed)
    }

    /// Whether it uses a name that is reserved for the project's own drivers without being one of them.
    pub fn takes_a_reserved_name(&self) -> bool {
        is_reserved(&self.name) && !is_released(&self.digest())
    }

    /// Whether it came with a signature, valid or not.
    pub fn is_signed(&self) -> bool {
        self.signature.is_some()
    }

    /// Its digest, `sha256:…`.
    pub fn digest(&self) -> String {
        digest_of(&self.wasm)
    }
}
