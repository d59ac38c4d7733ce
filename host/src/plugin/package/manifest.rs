//! A plugin's metadata, read from its file without compiling or running it.
//!
//! Exports and imports come from the component's type, which cannot lie. Name, version, authors, licence and source
//! come from the WebAssembly ecosystem's standard custom sections, in the component or in the module inside it.

use std::collections::{BTreeMap, BTreeSet};

use semver::Version;
use wasmparser::{Parser, Payload};

use super::imported::Types;
use crate::{
    error::{Error, Kind, Result},
    plugin::policy::grant::{Capability, Grant, Grants},
};

/// The number of names that a component may import, and export.
const MAX_NAMES: usize = 1_000;

/// The version of the contract that this program supports.
pub const CONTRACT: Version = Version::new(0, 1, 1);

const PACKAGE: &str = "alekseylearn:driver/";
/// Alekseylearn's own section: a JSON object with metadata that no standard section holds.
const OWN_SECTION: &str = "alekseylearn";
/// The custom sections that are read.
const SECTIONS: [&str; 6] = [OWN_SECTION, "version", "authors", "licenses", "source", "description"];
/// The size limit of a section's text, in bytes. It is a name or a sentence.
const MAX_TEXT_LENGTH: usize = 4 << 10;

/// The kind of a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DriverKind {
    /// Builds images.
    Build,
    /// Runs images on a service.
    Train,
}

impl DriverKind {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Build, Self::Train];

    /// The name, as in `--build-driver`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Train => "train",
        }
    }
}

/// A plugin's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Its name, as in `--train-driver NAME`; `None` if the file has none.
    pub name: Option<String>,
    /// Its version; `None` if the file has none.
    pub version: Option<Version>,
    /// Who wrote it.
    pub authors: Option<String>,
    /// Its licence, as an SPDX expression.
    pub licence: Option<String>,
    /// Where its source code is.
    pub source: Option<String>,
    /// A description in one sentence.
    pub description: Option<String>,
    /// The kinds of driver that it exports.
    pub kinds: BTreeSet<DriverKind>,
    /// The grants that it wants: the capabilities that it imports, and the origins in its section.
    pub wants: Grants,
    /// Whether it can send requests to granted origins.
    pub sends_requests: bool,
    /// The version of the contract that it was built for.
    pub contract: Version,
}

impl Manifest {
    /// Reads the metadata of a component.
    ///
    /// # Errors
    /// If it is not a component, is damaged, is not a plugin, or was built for a contract that is not supported.
    pub fn read(file: &str, wasm: &[u8]) -> Result<Self> {
        let broken = |problem: &str| Error::new(Kind::Plugin, format!("{file} {problem}"));
        if !wasm.starts_with(b"\0asm") {
            return Err(
                broken("is not WebAssembly").hint("a plugin is one .wasm file, built for wasm32-wasip2")
            );
        }
        if Parser::is_core_wasm(wasm) {
            return Err(
                broken("is a core module, not a component").hint("build it with `--target wasm32-wasip2`")
            );
        }
        let outline = Outline::read(wasm)
            .map_err(|error| broken("is damaged").hint("download the file again").source(error))?;
        if outline.imports.len() > MAX_NAMES || outline.exports.len() > MAX_NAMES {
            return Err(broken(&format!("imports or exports more than {MAX_NAMES} names"))
                .hint("report this to the plugin's author"));
        }
        let contract = outline.contract(file)?;
        let exported = |name: &str| outline.exports.iter().any(|export| interface(export) == Some(name));
        let kinds: BTreeSet<DriverKind> =
            DriverKind::ALL.into_iter().filter(|kind| exported(kind.name())).collect();
        if kinds.is_empty() {
            return Err(broken(
                "is not an alekseylearn plugin: it exports neither a build driver nor a train driver",
            )
            .hint("build plugins with alekseylearn-sdk"));
        }
        let fault = |problem: &str| broken(problem).hint("report this to the plugin's author");
        let own = outline.own().map_err(|problem| {
            fault(&format!("has invalid metadata: its section `{OWN_SECTION}` {problem}"))
        })?;
        // Joined to one line, so that no part of it looks like a line of ours in the output.
        let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = |section: &str| {
            let text = outline.sections.get(section).and_then(|text| text.as_deref().ok());
            text.map(line).filter(|text| !text.is_empty())
        };
        let version = text("version").map(|version| {
            let wrong = |_| fault(&format!("has the invalid version `{version}`: expected one like 1.2.3"));
            version.parse().map_err(wrong)
        });
        let mut wants = outline.wants(file)?;
        wants.extend(origins(&own).map_err(|problem| fault(&format!("wants an invalid grant: {problem}")))?);
        Ok(Self {
            name: own_name(&own).map_err(|problem| fault(&problem))?,
            version: version.transpose()?,
            authors: text("authors"),
            licence: text("licenses"),
            source: text("source"),
            description: text("description"),
            wants,
            sends_requests: outline.imports.iter().any(|import| import.starts_with(REQUESTS)),
            kinds,
            contract,
        })
    }
}

/// Whether a text is a valid plugin name: lowercase letters, digits and dashes.
pub fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=64).contains(&text.len()) && text.chars().all(plain) && !text.starts_with('-')
}

/// The name in alekseylearn's own section.
fn own_name(own: &serde_json::Value) -> Result<Option<String>, String> {
    match &own["name"] {
        serde_json::Value::Null => Ok(None),
        serde_json::Value::String(name) if is_name(name) => Ok(Some(name.clone())),
        other => Err(format!(
            "calls itself {other}, which is not a valid name: use lowercase letters, digits and dashes"
        )),
    }
}

/// The origins in alekseylearn's own section: `{"origins": ["https://api.example.com",
/// "https://b.example.com=env:TOKEN"]}`.
fn origins(own: &serde_json::Value) -> Result<Vec<Grant>, String> {
    let texts = match &own["origins"] {
        serde_json::Value::Null => return Ok(Vec::new()),
        serde_json::Value::Array(texts) => texts,
        _ => return Err("its origins are not a list".to_owned()),
    };
    let parse = |text: &serde_json::Value| match text.as_str().unwrap_or_default().parse::<Grant>()? {
        Grant::Capability(name) => Err(format!("`{}` is not an origin", name.interface())),
        grant => Ok(grant),
    };
    texts.iter().map(parse).collect()
}

/// The interface of a name: `docker` for `alekseylearn:driver/docker@0.1.1`.
pub(crate) fn interface(name: &str) -> Option<&str> {
    name.strip_prefix(PACKAGE)?.split('@').next()
}

/// The outermost layer of a component, and its custom sections.
#[derive(Default)]
struct Outline {
    imports: Vec<String>,
    /// Imports that are only types.
    only_types: BTreeSet<String>,
    exports: Vec<String>,
    /// The text of each section, or the problem with it.
    sections: BTreeMap<String, Result<String, &'static str>>,
}

impl Outline {
    fn read(wasm: &[u8]) -> Result<Self, wasmparser::BinaryReaderError> {
        let mut outline = Self::default();
        let mut types = Types::default();
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(wasm) {
            // One more than the limit is enough to detect the excess.
            if outline.imports.len().max(outline.exports.len()) > MAX_NAMES {
                break;
            }
            let payload = payload?;
            if depth == 1 {
                types.take(&payload)?;
            }
            match payload {
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(imports) if depth == 1 => {
                    for import in imports.into_iter().take(MAX_NAMES + 1) {
                        let import = import?;
                        let name = import.name.name.to_owned();
                        if !types.import(import.ty) {
                            outline.only_types.insert(name.clone());
                        }
                        outline.imports.push(name);
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 1 => {
                    for export in exports.into_iter().take(MAX_NAMES + 1) {
                        outline.exports.push(export?.name.name.to_owned());
                    }
                }
                Payload::CustomSection(section) if SECTIONS.contains(&section.name()) => {
                    let text = match str::from_utf8(section.data()) {
                        Ok(text) if text.len() <= MAX_TEXT_LENGTH => Ok(text.to_owned()),
                        Ok(_) => Err("is longer than 4 KiB"),
                        Err(_) => Err("is not UTF-8 text"),
                    };
                    // The component's own sections follow those of the modules in it, and replace them.
                    outline.sections.insert(section.name().to_owned(), text);
                }
                _ => {}
            }
        }
        Ok(outline)
    }

    /// Alekseylearn's own section; null if it is missing.
    fn own(&self) -> Result<serde_json::Value, String> {
        let Some(text) = self.sections.get(OWN_SECTION) else { return Ok(serde_json::Value::Null) };
        let text = text.as_deref().map_err(|problem| (*problem).to_owned())?;
        match serde_json::from_str(text) {
            Ok(own @ serde_json::Value::Object(_)) => Ok(own),
            Ok(_) => Err("is not a JSON object".to_owned()),
            Err(error) => Err(format!("is not JSON: {error}")),
        }
    }

    /// The newest version of the contract in its imports and exports.
    fn contract(&self, file: &str) -> Result<Version> {
        let names = self.imports.iter().chain(&self.exports).filter(|name| name.starts_with(PACKAGE));
        let versions = names.filter_map(|name| name.split_once('@')?.1.parse::<Version>().ok());
        let Some(version) = versions.max() else {
            return Err(Error::new(
                Kind::Plugin,
                format!("{file} is not an alekseylearn plugin: it does not use the driver contract"),
            )
            .hint("build plugins with alekseylearn-sdk"));
        };
        compatible(&version).map_err(|hint| {
            Error::new(
                Kind::Plugin,
                format!("{file} was built for contract {version}, but this alekseylearn supports {CONTRACT}"),
            )
            .hint(hint)
        })?;
        Ok(version)
    }

    fn wants(&self, file: &str) -> Result<Grants> {
        let mut wants = Grants::default();
        for import in &self.imports {
            match interface(import) {
                Some(name) if OPEN.contains(&name) => {}
                Some(name) => match Capability::of_interface(name) {
                    Some(_) if self.only_types.contains(import) => {}
                    Some(capability) => wants.add(capability.into()),
                    None => return Err(unknown_import(file, import)),
                },
                None if WASI.iter().any(|package| import.starts_with(package)) => {}
                None => return Err(unknown_import(file, import)),
            }
        }
        Ok(wants)
    }
}

/// Interfaces of the contract that need no grant.
const OPEN: [&str; 6] = ["types", "options", "run", "report", "progress", "credentials"];
/// The WASI packages that a plugin may import. The sockets exist, but cannot connect.
const WASI: [&str; 8] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:http/types@",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
    REQUESTS,
];
const REQUESTS: &str = "wasi:http/outgoing-handler@";

fn unknown_import(file: &str, import: &str) -> Error {
    Error::new(Kind::Plugin, format!("{file} imports {import}, which alekseylearn does not provide"))
        .hint("upgrade alekseylearn, or check that this is an alekseylearn plugin")
}

/// Checks that a contract version has the same `0.x` or major version as this program's, and is not newer. The error is
/// a hint.
pub(crate) fn compatible(version: &Version) -> Result<(), String> {
    let line = |version: &Version| match version.major {
        0 => (0, version.minor),
        major => (major, 0),
    };
    match line(version).cmp(&line(&CONTRACT)) {
        std::cmp::Ordering::Equal if *version <= CONTRACT => Ok(()),
        std::cmp::Ordering::Less => Err("upgrade the plugin: it was built for an older contract".into()),
        _ => Err(format!(
            "upgrade alekseylearn to a version that supports contract {version}, or install an older plugin version"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn contracts_of_the_same_line_up_to_this_one_are_supported() {
        let is = |text: &str| compatible(&text.parse().unwrap());
        assert_eq!((is("0.1.0"), is("0.1.1")), (Ok(()), Ok(())));
        assert!(is("0.1.2").unwrap_err().starts_with("upgrade alekseylearn"));
        assert!(is("0.2.0").unwrap_err().starts_with("upgrade alekseylearn"));
        assert!(is("1.0.0").unwrap_err().starts_with("upgrade alekseylearn"));
        assert!(is("0.0.9").unwrap_err().contains("upgrade the plugin"));
    }

    #[test]
    fn a_file_that_is_not_a_plugin_is_refused_without_compiling() {
        for (wasm, message) in [
            (&b"text"[..], "is not WebAssembly"),
            (b"", "is not WebAssembly"),
            (b"\0asm\x01\0\0\0", "is a core module"),
            (b"\0asm\x0d\0\x01\0", "does not use the driver contract"),
            (b"\0asm\x0d\0\x01\0\x0b\xff", "is damaged"),
        ] {
            let error = Manifest::read("a.wasm", wasm).unwrap_err();
            assert!(error.message().contains(message), "{error}");
            assert!(error.hint_text().is_some());
        }
    }

    /// Metadata that cannot be read must not count as missing: its origins would be dropped silently.
    #[test]
    fn broken_metadata_is_an_error() {
        let with = |name: &str, text: &[u8]| {
            let mut wasm = crate::plugin::package::fuzz::outlines().remove(0);
            let section = [&[u8::try_from(name.len()).unwrap()], name.as_bytes(), text].concat();
            let length = section.len();
            wasm.push(0);
            wasm.extend([(length & 0x7f) as u8 | 0x80, (length >> 7) as u8]);
            wasm.extend(section);
            Manifest::read("a.wasm", &wasm)
        };
        let long = format!(r#"{{"name": "{}"}}"#, "a".repeat(5_000));
        for (text, says) in [
            (&b"{"[..], "is not JSON"),
            (b"[]", "is not a JSON object"),
            (b"\xff", "is not UTF-8 text"),
            (long.as_bytes(), "is longer than 4 KiB"),
            (br#"{"name": "Bad Name"}"#, "which is not a valid name"),
            (br#"{"name": 3}"#, "which is not a valid name"),
            (br#"{"origins": "https://a.example"}"#, "its origins are not a list"),
        ] {
            let error = with(OWN_SECTION, text).unwrap_err();
            assert!(error.message().contains(says), "{error}");
        }
        for version in ["1.0", "2026.01.5", "one.two", "v1.2.3", "1.2.3.4"] {
            let error = with("version", version.as_bytes()).unwrap_err();
            assert!(error.message().contains("expected one like 1.2.3"), "{error}");
        }
        assert_eq!(with("version", b"1.2.3-rc.1").unwrap().version.unwrap().to_string(), "1.2.3-rc.1");
        assert_eq!(with(OWN_SECTION, br#"{"name": "acme"}"#).unwrap().name.as_deref(), Some("acme"));
    }

    #[test]
    fn origins_are_read_from_the_own_section() {
        let read = |text: &str| origins(&serde_json::from_str(text).unwrap());
        assert_eq!(read("{}"), Ok(Vec::new()));
        let wanted =
            read(r#"{"origins": ["https://api.example.com=env:TOKEN", "private:https://b.example"]}"#);
        let wanted: Vec<String> = wanted.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(wanted, ["https://api.example.com=env:TOKEN", "private:https://b.example"]);
        for wrong in [
            r#""https://a""#,
            r#"["docker"]"#,
            r#"["http://example.com"]"#,
            "[1]",
            r#"[""]"#,
            r#"["https://a=b"]"#,
        ] {
            assert!(read(&format!(r#"{{"origins": {wrong}}}"#)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_has_lowercase_letters_digits_and_dashes() {
        assert!(is_name("sagemaker") && is_name("ml-engine"));
        for name in ["", "-x", "A", "a/b", "..", "a b", &"x".repeat(65)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
