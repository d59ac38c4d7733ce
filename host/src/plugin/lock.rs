//! `alekseylearn.lock`: the plugins that a team agreed on, to be committed: source, version, digest and grants.

use std::{io::Write, path::Path};

use serde::{Deserialize, Serialize};

use super::{grant::Grants, identity::Identity, signature::key_of, source::Source, store::Installed};
use crate::{
    disk::{self, SHARED},
    error::{Context, Error, Kind, Result},
};

/// The file's name, in the current folder.
pub const LOCK_FILE: &str = "alekseylearn.lock";
const FORM: u32 = 1;
const MOST_BYTES: usize = 16 << 20;

/// The content of a lock file.
#[derive(Debug, Serialize, Deserialize)]
struct Content {
    form: u32,
    #[serde(default, rename = "plugin")]
    plugins: Vec<Locked>,
}

/// One plugin that a team agreed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locked {
    /// Its name.
    pub name: String,
    /// Its own version.
    pub version: Option<String>,
    /// `sha256:…`: whatever else comes from the source is refused.
    pub digest: String,
    /// The text of its `.minisig` file, where it came with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// What it is granted.
    pub granted: Grants,
    /// Where it comes from.
    pub source: Source,
}

impl Locked {
    /// It is this plugin: the very component, or another version of the same.
    pub fn is(&self, identity: &Identity, digest: &str) -> bool {
        let signer = self.signature.as_deref().and_then(key_of);
        self.digest == digest
            || (self.source.place() == identity.source && (signer.is_none() || signer == identity.signer))
    }
}

impl From<Installed> for Locked {
    fn from(plugin: Installed) -> Self {
        let Installed { name, version, digest, signature, granted, source, .. } = plugin;
        Self { name, version, digest, signature, granted, source }
    }
}

/// Writes the lock file of a folder.
///
/// # Errors
/// It cannot be written.
pub fn write(folder: &Path, plugins: Vec<Installed>) -> Result<()> {
    let path = folder.join(LOCK_FILE);
    let failed = || format!("cannot write {}", path.display());
    let text = render(plugins.into_iter().map(Locked::from).collect()).context(failed)?;
    disk::write(&path, SHARED, |file| file.write_all(text.as_bytes())).context(failed)
}

pub(super) fn render(plugins: Vec<Locked>) -> Result<String, toml::ser::Error> {
    let head = "# Made by `alekseylearn plugin lock`; `alekseylearn plugin install --locked` installs exactly this.\n";
    Ok(format!("{head}{}", toml::to_string_pretty(&Content { form: FORM, plugins })?))
}

/// Reads the lock file of a folder.
///
/// # Errors
/// There is none, or it is damaged or of a newer alekseylearn.
pub fn read(folder: &Path) -> Result<Vec<Locked>> {
    let path = folder.join(LOCK_FILE);
    let text = disk::read(&path, MOST_BYTES as u64).map_err(|error| {
        Error::new(Kind::NotFound, format!("there is no {LOCK_FILE} here"))
            .hint("`alekseylearn plugin lock` writes one of the installed plugins")
            .source(error)
    })?;
    parse(&path, &String::from_utf8_lossy(&text))
}

pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<Locked>> {
    let content: Content = toml::from_str(text).map_err(|error| {
        Error::invalid(format!("{} is damaged", path.display()))
            .hint("take it from version control again")
            .source(error)
    })?;
    if content.form > FORM {
        return Err(Error::new(Kind::Unsupported, format!("{} is of a newer alekseylearn", path.display()))
            .hint("use that version"));
    }
    Ok(content.plugins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let plugin = |name: &str, source: Source| Installed {
            name: name.into(),
            version: Some("1.2.3".into()),
            digest: "sha256:00".into(),
            source,
            contract: "0.1.0".into(),
            granted: vec!["s3".parse().unwrap(), "https://a.example=env:A".parse().unwrap()].into(),
            installed: "2026-01-01T00:00:00Z".into(),
            signature: (name == "a").then(|| "untrusted comment: x\nRU\ntrusted comment: y\nAA\n".into()),
            own_name: None,
            wants: Grants::default(),
        };
        let plugins = vec![
            plugin("a", Source::File("/a.wasm".into())),
            plugin("b", Source::Address("https://example.org/b.wasm".into())),
            plugin(
                "c",
                Source::Index {
                    index: "/i.json".into(),
                    name: "c".into(),
                    requirement: "1".parse().unwrap(),
                },
            ),
        ];
        write(folder.path(), plugins.clone()).unwrap();
        let locked: Vec<Locked> = plugins.into_iter().map(Locked::from).collect();
        assert_eq!(read(folder.path()).unwrap(), locked);
        // As it was written before there were signatures.
        let old =
            "form = 1\n[[plugin]]\nname = 'a'\ndigest = 'sha256:00'\ngranted = []\nsource.file = '/a'\n";
        std::fs::write(folder.path().join(LOCK_FILE), old).unwrap();
        assert_eq!(read(folder.path()).unwrap()[0].signature, None);
        std::fs::write(folder.path().join(LOCK_FILE), "form = 9\n").unwrap();
        assert_eq!(read(folder.path()).unwrap_err().kind(), Kind::Unsupported);
        std::fs::write(folder.path().join(LOCK_FILE), "form").unwrap();
        assert_eq!(read(folder.path()).unwrap_err().kind(), Kind::Invalid);
    }
}
