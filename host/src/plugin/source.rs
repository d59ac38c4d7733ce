//! Where plugins come from: a file, an address, or an index that lists versions.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};

use super::manifest::{CONTRACT, compatible};
use crate::{
    capability::http,
    error::{Context, Error, Kind, Result},
};

/// The largest file that is taken for a plugin: a Python guest has 18 MB.
pub(super) const MOST_BYTES: usize = 128 << 20;
const MOST_INDEX_BYTES: usize = 16 << 20;

/// Where a plugin comes from, and an upgrade of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A file, absolute.
    File(PathBuf),
    /// An `https://` address.
    Address(String),
    /// The newest version in an index that this program can run.
    Index {
        /// The index's file or address.
        index: String,
        /// The plugin's name in it.
        name: String,
        /// Which versions are welcome.
        requirement: VersionReq,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Address(address) => f.write_str(address),
            Self::Index { index, name, requirement } if *requirement == VersionReq::STAR => {
                write!(f, "{name} of {index}")
            }
            Self::Index { index, name, requirement } => write!(f, "{name}@{requirement} of {index}"),
        }
    }
}

/// What came, and what it must be.
pub(super) struct Obtained {
    pub(super) wasm: Vec<u8>,
    /// The digest that an index promises.
    pub(super) promised: Option<String>,
    /// What to call it where it does not say so itself.
    pub(super) name: Option<String>,
}

impl Source {
    /// What a user wrote: `NAME` and `NAME@REQUIREMENT` with an index, else an address, a file, or a folder that holds
    /// one `.wasm` file.
    ///
    /// # Errors
    /// It is none of these.
    pub fn parse(text: &str, index: Option<&str>) -> Result<Self> {
        if let Some(index) = index {
            let (name, requirement) = text.split_once('@').unwrap_or((text, "*"));
            let requirement = requirement.parse().map_err(|error| {
                Error::invalid(format!("`{requirement}` is no requirement of a version"))
                    .hint("write NAME, or for example NAME@1.2")
                    .source(error)
            })?;
            return Ok(Self::Index { index: absolute(index)?, name: name.to_owned(), requirement });
        }
        if text.starts_with("oci://") {
            return Err(Error::new(
                Kind::Unsupported,
                "plugins cannot be taken from registries of images yet",
            )
            .hint("give its file or https:// address"));
        }
        if text.contains("://") {
            return Ok(Self::Address(text.to_owned()));
        }
        let path = Path::new(text).canonicalize().map_err(|error| {
            Error::new(Kind::NotFound, format!("there is no file {text}"))
                .hint(
                    "give a .wasm file, a folder that holds one, an https:// address, or a NAME with --index",
                )
                .source(error)
        })?;
        Ok(Self::File(if path.is_dir() { only_component(&path)? } else { path }))
    }

    /// Gets it, and checks what was promised of it.
    ///
    /// # Errors
    /// It cannot be got, or no version of it fits.
    pub(super) async fn obtain(&self) -> Result<Obtained> {
        match self {
            Self::File(path) => Ok(Obtained { wasm: read(path)?, promised: None, name: stem(path) }),
            Self::Address(address) => {
                let wasm = http::get(address, MOST_BYTES).await?;
                let file = address.split(['?', '#']).next().unwrap_or(address);
                Ok(Obtained { wasm, promised: None, name: stem(Path::new(file)) })
            }
            Self::Index { index, name, requirement } => {
                let text = get(index, MOST_INDEX_BYTES).await?;
                let release = Index::read(index, &text)?.newest(index, name, requirement)?;
                let wasm = get(&beside(index, &release.address), MOST_BYTES).await?;
                Ok(Obtained { wasm, promised: Some(release.digest), name: Some(name.clone()) })
            }
        }
    }
}

/// `{"plugins": {"NAME": [{"version", "address", "digest", "contract"}]}}`
#[derive(Deserialize)]
struct Index {
    plugins: BTreeMap<String, Vec<Release>>,
}

/// One version of a plugin in an index.
#[derive(Clone, Debug, Deserialize)]
struct Release {
    version: Version,
    /// Absolute, or from the index's own place on.
    address: String,
    /// `sha256:…`
    digest: String,
    /// The contract it was built for.
    contract: Version,
}

impl Index {
    fn read(place: &str, text: &[u8]) -> Result<Self> {
        serde_json::from_slice(text).map_err(|error| {
            Error::invalid(format!("{place} is no index of plugins"))
                .hint(r#"an index is {"plugins": {"NAME": [{"version", "address", "digest", "contract"}]}}"#)
                .source(error)
        })
    }

    /// The newest version that is welcome and that this program can run.
    fn newest(self, place: &str, name: &str, requirement: &VersionReq) -> Result<Release> {
        let Some(releases) = self.plugins.get(name) else {
            let names: Vec<&str> = self.plugins.keys().map(String::as_str).collect();
            return Err(Error::new(Kind::NotFound, format!("{place} lists no plugin `{name}`"))
                .hint(format!("it lists {}", names.join(", "))));
        };
        let welcome = || releases.iter().filter(|release| requirement.matches(&release.version));
        let runs = welcome().filter(|release| compatible(&release.contract).is_ok());
        if let Some(newest) = runs.max_by(|a, b| a.version.cmp(&b.version)) {
            return Ok(newest.clone());
        }
        match welcome().max_by(|a, b| a.version.cmp(&b.version)) {
            Some(newest) => Err(Error::new(
                Kind::Unsupported,
                format!(
                    "{name} {} needs version {} of the contract, and this alekseylearn speaks {CONTRACT}",
                    newest.version, newest.contract
                ),
            )
            .hint(compatible(&newest.contract).err().unwrap_or_default())),
            None => {
                let versions: Vec<String> =
                    releases.iter().map(|release| release.version.to_string()).collect();
                Err(Error::new(Kind::NotFound, format!("{place} lists no {name} {requirement}"))
                    .hint(format!("it lists {}", versions.join(", "))))
            }
        }
    }
}

async fn get(place: &str, limit: usize) -> Result<Vec<u8>> {
    if place.contains("://") { http::get(place, limit).await } else { read(Path::new(place)) }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        Error::new(Kind::NotFound, format!("cannot read {}", path.display()))
            .hint("see that the path is right")
            .source(error)
    })
}

/// An index's addresses may be relative to it.
fn beside(index: &str, address: &str) -> String {
    if address.contains("://") || address.starts_with('/') {
        return address.to_owned();
    }
    match index.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{address}"),
        None => address.to_owned(),
    }
}

/// Used again by an upgrade, from whatever folder.
fn absolute(index: &str) -> Result<String> {
    if index.contains("://") {
        return Ok(index.to_owned());
    }
    let path = Path::new(index).canonicalize().map_err(|error| {
        Error::new(Kind::NotFound, format!("there is no index {index}"))
            .hint("give its file or address")
            .source(error)
    })?;
    Ok(path.display().to_string())
}

fn stem(path: &Path) -> Option<String> {
    path.file_stem()?.to_str().map(|stem| stem.replace('_', "-"))
}

fn only_component(folder: &Path) -> Result<PathBuf> {
    let cannot_read = || format!("cannot read the folder {}", folder.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).context(cannot_read)? {
        let path = entry.context(cannot_read)?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            found.push(path);
        }
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        none_or_many => {
            Err(Error::invalid(format!("{} holds {} .wasm files", folder.display(), none_or_many.len()))
                .hint("name the file itself"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = r#"{"plugins": {"kaggle": [
        {"version": "0.9.0", "address": "kaggle-0.9.wasm", "digest": "sha256:a", "contract": "0.1.0"},
        {"version": "0.10.0", "address": "kaggle-0.10.wasm", "digest": "sha256:b", "contract": "0.1.0"},
        {"version": "1.0.0", "address": "kaggle-1.wasm", "digest": "sha256:c", "contract": "0.2.0"}
    ]}}"#;

    fn newest(name: &str, requirement: &str) -> Result<String> {
        let index = Index::read("index.json", INDEX.as_bytes()).unwrap();
        index
            .newest("index.json", name, &requirement.parse().unwrap())
            .map(|release| release.version.to_string())
    }

    #[test]
    fn the_newest_version_that_runs_here_is_chosen() {
        assert_eq!(
            newest("kaggle", "*").unwrap(),
            "0.10.0",
            "by number, not by letter; 1.0.0 cannot run here"
        );
        assert_eq!(newest("kaggle", "0.9").unwrap(), "0.9.0");
        let error = newest("kaggle", "1").unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.hint_text().unwrap().starts_with("upgrade alekseylearn"));
        assert!(newest("kaggle", "3").unwrap_err().hint_text().unwrap().contains("0.9.0, 0.10.0, 1.0.0"));
        assert_eq!(newest("keggle", "*").unwrap_err().kind(), Kind::NotFound);
    }

    #[test]
    fn an_index_that_is_none_is_said() {
        for text in ["", "[]", r#"{"plugins": {"a": [{"version": "x"}]}}"#] {
            assert!(Index::read("index.json", text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_index_that_is_damaged_is_survived() {
        for seed in 1..=2_000 {
            if let Ok(index) = Index::read("index.json", &crate::damage::damaged(INDEX.as_bytes(), seed)) {
                // Whether it still lists one or not: it is said, and no more.
                let _ = index.newest("index.json", "kaggle", &VersionReq::STAR);
            }
        }
    }

    #[test]
    fn addresses_are_taken_from_the_indexs_place() {
        assert_eq!(beside("https://a.org/x/index.json", "b.wasm"), "https://a.org/x/b.wasm");
        assert_eq!(beside("/srv/index.json", "b.wasm"), "/srv/b.wasm");
        assert_eq!(beside("/srv/index.json", "https://a.org/b.wasm"), "https://a.org/b.wasm");
    }
}
