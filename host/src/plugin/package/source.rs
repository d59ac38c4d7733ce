//! The sources of plugins: this program, a file, an address, an OCI registry, or an index that lists versions.

use std::{
    collections::BTreeMap,
    fmt,
    io::ErrorKind,
    net::IpAddr,
    path::{Path, PathBuf},
};

use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::{
    manifest::{CONTRACT, compatible},
    shipped::bundled,
};
use crate::{
    capability::{http, oci},
    config::driver_name,
    disk,
    error::{Context, Error, Kind, Result},
    plugin::policy::address::Region,
    shell::command,
};

/// The size limit of a plugin, in bytes. A plugin in Python has 18 MB.
pub(crate) const MAX_BYTES: usize = 128 << 20;
const MAX_INDEX_BYTES: usize = 16 << 20;
const MAX_SIGNATURE_BYTES: usize = 1 << 20;
/// The beginning of a source inside the program, as in `alekseylearn:kaggle`.
const BUNDLED: &str = "alekseylearn:";
/// The suffix of a signature file, which is beside the signed file.
const SIGNATURE: &str = ".minisig";
/// The manifest annotation with the signature in a registry: it is copied with the component and needs no extra
/// request.
const SIGNATURE_ANNOTATION: &str = "alekseylearn.minisig";
/// The beginning of every signature.
const SIGNATURE_START: &str = "untrusted comment:";

/// The source of a plugin and of its upgrades.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A plugin of this name inside the program.
    Bundled(String),
    /// An absolute path of a file.
    File(PathBuf),
    /// An `https://` address.
    Address(String),
    /// An `oci://` reference to a registry.
    Oci(oci::Reference),
    /// The newest version in an index that this program can run.
    Index {
        /// The index's file or address.
        index: String,
        /// The plugin's name in it.
        name: String,
        /// The accepted versions.
        requirement: VersionReq,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundled(name) => write!(f, "{BUNDLED}{name}"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Address(address) => f.write_str(address),
            Self::Oci(reference) => reference.fmt(f),
            Self::Index { index, name, requirement } if *requirement == VersionReq::STAR => {
                write!(f, "{name} of {index}")
            }
            Self::Index { index, name, requirement } => write!(f, "{name}@{requirement} of {index}"),
        }
    }
}

/// A downloaded component, and what it must match.
pub(crate) struct Obtained {
    pub(crate) wasm: Vec<u8>,
    /// The digest in the index; `None` for other sources.
    pub(crate) promised: Option<String>,
    /// The name if the component has none.
    pub(crate) name: Option<String>,
    /// The text of its `.minisig` file, not verified.
    pub(crate) signature: Option<String>,
    /// The version in the index; `None` for other sources.
    pub(crate) version: Option<Version>,
    /// Notes about its source, to show to the user.
    pub(crate) notes: Vec<String>,
}

impl Source {
    /// The source without the version, which is part of a plugin's identity.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Bundled(_) | Self::File(_) | Self::Address(_) => self.to_string(),
            Self::Oci(reference) => reference.repository(),
            Self::Index { index, name, .. } => format!("{name} of {index}"),
        }
    }

    /// The command that installs it.
    pub fn install(&self) -> String {
        let named = match self {
            Self::Index { name, requirement, .. } if *requirement == VersionReq::STAR => name.clone(),
            Self::Index { name, requirement, .. } => format!("{name}@{requirement}"),
            Self::Bundled(name) => name.clone(),
            other => other.to_string(),
        };
        let mut words = vec!["alekseylearn", "plugin", "install", named.as_str()];
        if let Self::Index { index, .. } = self {
            words.extend(["--index", index.as_str()]);
        }
        command(words)
    }

    /// Parses what a user typed: `NAME` or `NAME@REQUIREMENT` with an index, else the name of a plugin inside the program,
    /// an address, a file, or a folder that contains one `.wasm` file.
    ///
    /// # Errors
    /// If it is none of these.
    pub fn parse(text: &str, index: Option<&str>) -> Result<Self> {
        if let Some(index) = index {
            let (name, requirement) = text.split_once('@').unwrap_or((text, "*"));
            let requirement = requirement.parse().map_err(|error| {
                Error::invalid(format!("`{requirement}` is not a valid version requirement"))
                    .hint("write NAME, or NAME with a version requirement, such as NAME@1.2")
                    .source(error)
            })?;
            return Ok(Self::Index { index: absolute(index)?, name: name.to_owned(), requirement });
        }
        if let Some(plugin) = bundled(driver_name(text.strip_prefix(BUNDLED).unwrap_or(text))) {
            return Ok(Self::Bundled(plugin.name.to_owned()));
        }
        if text.contains("://") {
            return Self::at(text);
        }
        let path = Path::new(text).canonicalize().map_err(|error| {
            Error::new(Kind::NotFound, format!("there is no file {text}"))
                .hint(
                    "give kaggle or ml-engine, a .wasm file, a folder that holds one, an https:// or oci:// address, or \
                     a NAME with --index",
                )
                .source(error)
        })?;
        Ok(Self::File(if path.is_dir() { only_component(&path)? } else { path }))
    }

    /// Parses an address, or a path of a file that may not exist.
    pub(crate) fn at(place: &str) -> Result<Self> {
        let Some((scheme, rest)) = place.split_once("://") else { return Ok(Self::File(place.into())) };
        // It would end up in the list of plugins, in lock files and in messages.
        if rest.split('/').next().is_some_and(|host| host.contains('@')) {
            return Err(Error::invalid("an address must not contain a user name or password")
                .hint("remove them; for oci:// addresses, log in with `docker login`"));
        }
        match scheme {
            "oci" => oci::Reference::parse(place).map(Self::Oci),
            _ => Ok(Self::Address(place.to_owned())),
        }
    }

    /// Downloads the component. With `pinned`, the digest in a lock file, it downloads exactly that component even if
    /// its tag moved or the index lists newer versions.
    ///
    /// # Errors
    /// If it cannot be downloaded, or no version matches.
    pub(crate) async fn obtain(&self, pinned: Option<&str>) -> Result<Obtained> {
        match self {
            Self::Bundled(name) => {
                let plugin = bundled(name).ok_or_else(|| {
                    Error::new(
                        Kind::NotFound,
                        format!("this alekseylearn does not include the plugin {name}"),
                    )
                    .hint("upgrade alekseylearn, or install the plugin from a file")
                })?;
                Ok(Obtained { name: Some(name.clone()), ..Obtained::of(plugin.wasm.to_vec(), None) })
            }
            Self::File(path) => {
                let (wasm, signature) = (read(path, MAX_BYTES)?, signature_of_file(path)?);
                Ok(Obtained { name: stem(path), ..Obtained::of(wasm, signature) })
            }
            Self::Address(address) => {
                let wasm = http::get(address, MAX_BYTES, is_near).await?;
                let (file, query) = address.split_at(address.find(['?', '#']).unwrap_or(address.len()));
                let signature = signature_at(&format!("{file}{SIGNATURE}{query}")).await?;
                Ok(Obtained { name: stem(Path::new(file)), ..Obtained::of(wasm, signature) })
            }
            Self::Oci(reference) => {
                let mut package = oci::pull(reference, pinned, MAX_BYTES).await?;
                let name = reference.name().replace(['_', '.'], "-");
                let signature = package.annotations.remove(SIGNATURE_ANNOTATION);
                Ok(Obtained { name: Some(name), ..Obtained::of(package.component, signature) })
            }
            Self::Index { index, name, requirement } => {
                let text = get(index, MAX_INDEX_BYTES).await?;
                let listed = Index::read(index, &text)?;
                let release = listed.choose(index, name, requirement, pinned)?;
                let place = Self::at(&beside(index, &release.address)?)?;
                let mut obtained = Box::pin(place.obtain(pinned)).await?;
                if let Some(signature) = release.signature {
                    obtained.signature = Some(if signature.starts_with(SIGNATURE_START) {
                        signature
                    } else {
                        as_text(get(&beside(index, &signature)?, MAX_SIGNATURE_BYTES).await?)
                    });
                }
                Ok(Obtained {
                    promised: Some(release.digest),
                    name: Some(name.clone()),
                    version: Some(release.version),
                    notes: listed
                        .wrong
                        .get(name)
                        .map(|wrong| skipped(index, name, wrong))
                        .into_iter()
                        .collect(),
                    ..obtained
                })
            }
        }
    }
}

impl Obtained {
    fn of(wasm: Vec<u8>, signature: Option<String>) -> Self {
        Self { wasm, promised: None, name: None, signature, version: None, notes: Vec::new() }
    }
}

/// `{"plugins": {"NAME": [{"version", "address", "digest", "contract", "signature"}]}}`
pub(crate) struct Index {
    pub(crate) plugins: BTreeMap<String, Vec<Release>>,
    /// The problems of invalid entries, by plugin name.
    wrong: BTreeMap<String, Vec<String>>,
}

/// An index with entries that are not parsed yet.
#[derive(Deserialize)]
struct Listed {
    plugins: BTreeMap<String, Vec<serde_json::Value>>,
}

/// The note about skipped entries of an index.
fn skipped(index: &str, name: &str, wrong: &[String]) -> String {
    let first = wrong.first().map(String::as_str).unwrap_or_default();
    format!("skipped {} of {name} in {index}: {first}", counted(wrong.len()))
}

fn counted(releases: usize) -> String {
    format!("{releases} invalid release{}", if releases == 1 { "" } else { "s" })
}

/// One version of a plugin in an index.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Release {
    pub(crate) version: Version,
    /// A file or an address, absolute or relative to the index.
    pub(crate) address: String,
    /// `sha256:…`
    pub(crate) digest: String,
    /// The version of the contract that it was built for.
    pub(crate) contract: Version,
    /// The text or location of its `.minisig` file. If missing, the file beside the component is used.
    signature: Option<String>,
}

impl Index {
    pub(crate) fn read(place: &str, text: &[u8]) -> Result<Self> {
        let listed: Listed = serde_json::from_slice(text).map_err(|error| {
            Error::invalid(format!("{place} is not a plugin index"))
                .hint(r#"an index is {"plugins": {"NAME": [{"version", "address", "digest", "contract"}]}}"#)
                .source(error)
        })?;
        let mut index = Self { plugins: BTreeMap::new(), wrong: BTreeMap::new() };
        for (name, entries) in listed.plugins {
            let releases = index.plugins.entry(name.clone()).or_default();
            for entry in entries {
                // An invalid entry, such as one for a newer alekseylearn, is skipped.
                match serde_json::from_value(entry) {
                    Ok(release) => releases.push(release),
                    Err(error) => index.wrong.entry(name.clone()).or_default().push(error.to_string()),
                }
            }
        }
        Ok(index)
    }

    /// The release with the pinned digest, else the newest accepted version that this program can run.
    pub(crate) fn choose(
        &self,
        place: &str,
        name: &str,
        requirement: &VersionReq,
        pinned: Option<&str>,
    ) -> Result<Release> {
        let Some(releases) = self.plugins.get(name) else {
            let names: Vec<&str> = self.plugins.keys().map(String::as_str).collect();
            return Err(Error::new(Kind::NotFound, format!("{place} lists no plugin `{name}`"))
                .hint(format!("it lists {}", names.join(", "))));
        };
        if let Some(release) = releases.iter().find(|release| Some(release.digest.as_str()) == pinned) {
            return Ok(release.clone());
        }
        let welcome = || releases.iter().filter(|release| requirement.matches(&release.version));
        let runs = welcome().filter(|release| compatible(&release.contract).is_ok());
        if let Some(newest) = runs.max_by(|a, b| a.version.cmp(&b.version)) {
            return Ok(newest.clone());
        }
        match welcome().max_by(|a, b| a.version.cmp(&b.version)) {
            Some(newest) => Err(Error::new(
                Kind::Unsupported,
                format!(
                    "{name} {} needs contract {}, but this alekseylearn supports {CONTRACT}",
                    newest.version, newest.contract
                ),
            )
            .hint(compatible(&newest.contract).err().unwrap_or_default())),
            None => {
                let versions: Vec<String> =
                    releases.iter().map(|release| release.version.to_string()).collect();
                let versions = if versions.is_empty() { "none".to_owned() } else { versions.join(", ") };
                let missing = Error::new(Kind::NotFound, format!("{place} lists no {name} {requirement}"))
                    .hint(format!("it lists {versions}"));
                Err(match self.wrong.get(name) {
                    Some(wrong) => missing.details(skipped(place, name, wrong)),
                    None => missing,
                })
            }
        }
    }
}

async fn get(place: &str, limit: usize) -> Result<Vec<u8>> {
    if place.contains("://") { http::get(place, limit, is_near).await } else { read(Path::new(place), limit) }
}

/// The signature at an address; `None` if there is none.
async fn signature_at(address: &str) -> Result<Option<String>> {
    match http::get(address, MAX_SIGNATURE_BYTES, is_near).await {
        Ok(text) => Ok(Some(as_text(text))),
        // Object stores report a missing file as forbidden if listing is not allowed.
        Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Denied) => Ok(None),
        Err(error) => Err(error),
    }
}

fn signature_of_file(path: &Path) -> Result<Option<String>> {
    let mut path = path.as_os_str().to_owned();
    path.push(SIGNATURE);
    let path = Path::new(&path);
    if path.exists() { read(path, MAX_SIGNATURE_BYTES).map(|text| Some(as_text(text))) } else { Ok(None) }
}

/// Text that is not valid UTF-8 is not a signature anyway.
fn as_text(content: Vec<u8>) -> String {
    String::from_utf8_lossy(&content).into_owned()
}

fn read(path: &Path, most: usize) -> Result<Vec<u8>> {
    disk::read(path, most as u64).map_err(|error| {
        let (kind, hint) = match error.kind() {
            ErrorKind::InvalidInput => (Kind::Invalid, "save it to a regular file first"),
            ErrorKind::FileTooLarge => (Kind::Invalid, "check that it is the right file: it is too large"),
            _ => (Kind::NotFound, "check the path"),
        };
        Error::new(kind, format!("cannot read {}", path.display())).hint(hint).source(error)
    })
}

/// Resolves an address relative to its index. An index from the network must not name files of this machine, or
/// machines in the user's own networks other than its own host.
pub(crate) fn beside(index: &str, address: &str) -> Result<String> {
    let Ok(base) = index.parse::<Url>() else {
        return Ok(match index.rsplit_once('/') {
            Some((folder, _)) if !address.contains("://") && !address.starts_with('/') => {
                format!("{folder}/{address}")
            }
            _ => address.to_owned(),
        });
    };
    let refused = |why: &str| {
        Err(Error::new(Kind::Denied, format!("{index} names {address}, {why}"))
            .hint("report this to the index's maintainer, or install the plugin by its own address"))
    };
    let Ok(url) = base.join(address) else { return refused("which is not a valid address") };
    if !["http", "https", "oci"].contains(&url.scheme()) {
        return refused("which is not an http, https or oci address");
    }
    let same_host =
        (url.host_str(), url.port_or_known_default()) == (base.host_str(), base.port_or_known_default());
    if !same_host && is_near(&url) {
        return refused("which is on this machine or in your own network");
    }
    Ok(url.to_string())
}

/// Whether it names this machine, or an address that is not on the internet.
fn is_near(url: &Url) -> bool {
    // The parser recognises IP addresses only for schemes that it knows.
    let host = url
        .host_str()
        .unwrap_or_default()
        .trim_matches(['[', ']'])
        .trim_end_matches('.')
        .to_ascii_lowercase();
    let read = format!("http://{}", url.host_str().unwrap_or_default()).parse::<Url>();
    let address = host.parse().ok().or_else(|| match read.ok()?.host()? {
        Host::Ipv4(address) => Some(IpAddr::from(address)),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    });
    match address {
        Some(address) => Region::of(address) != Region::Public,
        None => host == "localhost" || host.ends_with(".localhost") || host.is_empty(),
    }
}

/// Makes the path absolute, because an upgrade may run in another folder.
fn absolute(index: &str) -> Result<String> {
    if index.contains("://") {
        return Ok(index.to_owned());
    }
    let path = Path::new(index).canonicalize().map_err(|error| {
        Error::new(Kind::NotFound, format!("there is no index {index}"))
            .hint("use the index's file or address")
            .source(error)
    })?;
    Ok(path.display().to_string())
}

fn stem(path: &Path) -> Option<String> {
    path.file_stem()?.to_str().map(|stem| stem.replace(['_', '.'], "-"))
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
            Err(Error::invalid(format!("{} contains {} .wasm files", folder.display(), none_or_many.len()))
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
            .choose("index.json", name, &requirement.parse().unwrap(), None)
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
    fn the_release_in_a_lock_file_is_chosen_over_newer_ones() {
        let index = Index::read("index.json", INDEX.as_bytes()).unwrap();
        let chosen = index.choose("index.json", "kaggle", &VersionReq::STAR, Some("sha256:a")).unwrap();
        assert_eq!(chosen.version.to_string(), "0.9.0");
    }

    #[test]
    fn credentials_in_addresses_are_refused_and_not_repeated() {
        for address in
            ["https://me:secret@example.org/a.wasm", "oci://me:secret@example.org/a:1", "http://secret@a"]
        {
            let error = Source::parse(address, None).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid);
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }

    #[test]
    fn an_invalid_index_is_an_error() {
        for text in ["", "[]", r#"{"plugins": {"a": 3}}"#] {
            assert!(Index::read("index.json", text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_invalid_release_is_skipped() {
        let text = INDEX.replace("\"version\": \"0.9.0\"", "\"version\": \"0.9\"");
        let index = Index::read("index.json", text.as_bytes()).unwrap();
        let choose =
            |requirement: &str| index.choose("index.json", "kaggle", &requirement.parse().unwrap(), None);
        assert_eq!(choose("*").unwrap().version.to_string(), "0.10.0");
        let error = choose("0.9").unwrap_err();
        assert!(error.details_text().unwrap().contains("skipped 1 invalid release of kaggle"), "{error:?}");
    }

    #[test]
    fn addresses_are_relative_to_their_index() {
        for (index, address, place) in [
            ("https://a.org/x/index.json", "b.wasm", "https://a.org/x/b.wasm"),
            ("https://a.org/x/index.json", "/b.wasm", "https://a.org/b.wasm"),
            ("https://a.org/x/index.json", "https://b.org/b.wasm", "https://b.org/b.wasm"),
            ("https://a.org/x/index.json", "oci://ghcr.io/a/b:1", "oci://ghcr.io/a/b:1"),
            ("http://127.0.0.1:8000/index.json", "b.wasm", "http://127.0.0.1:8000/b.wasm"),
            ("/srv/index.json", "b.wasm", "/srv/b.wasm"),
            ("/srv/index.json", "/b.wasm", "/b.wasm"),
            ("/srv/index.json", "https://a.org/b.wasm", "https://a.org/b.wasm"),
            ("/srv/index.json", "http://127.0.0.1:1/b.wasm", "http://127.0.0.1:1/b.wasm"),
        ] {
            assert_eq!(beside(index, address).unwrap(), place);
        }
    }

    #[test]
    fn a_remote_index_must_not_name_this_machine_or_network() {
        for address in [
            "file:///etc/passwd",
            "http://127.0.0.1:1/b.wasm",
            "http://localhost/b.wasm",
            "https://localhost./b.wasm",
            "https://a.localhost/b.wasm",
            "https://10.0.0.5/b.wasm",
            "https://192.168.1.1/b.wasm",
            "https://169.254.169.254/latest/meta-data",
            "https://0x7f.1/b.wasm",
            "https://2130706433/b.wasm",
            "https://[::1]/b.wasm",
            "https://[::ffff:127.0.0.1]/b.wasm",
            "oci://127.0.0.1:5000/a/b:1",
            "oci://localhost:5000/a/b:1",
            "oci://LOCALHOST/a/b:1",
            "oci://0x7f.1:5000/a/b:1",
            "//localhost/b.wasm",
            "ssh://a.org/b",
        ] {
            let error = beside("https://a.org/x/index.json", address).unwrap_err();
            assert_eq!(error.kind(), Kind::Denied, "{address}");
        }
    }
}
