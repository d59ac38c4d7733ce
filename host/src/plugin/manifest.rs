//! What a plugin's file says of itself, read without compiling or running any of it.
//!
//! What it exports and imports is taken from the component's own type, which cannot lie; name, version, authors,
//! licence and source are the ecosystem's standard custom sections, in the component or in the module within.

use std::collections::{BTreeMap, BTreeSet};

use semver::Version;
use wasmparser::{Parser, Payload};

use super::{
    grant::{Capability, Grant, Grants},
    limits::MOST_NAMES,
};
use crate::error::{Error, Kind, Result};

/// The contract that this program speaks.
pub const CONTRACT: Version = Version::new(0, 1, 0);

const PACKAGE: &str = "alekseylearn:driver/";
/// Our own section: a JSON object with what no standard section holds.
const OWN_SECTION: &str = "alekseylearn";
/// What is read of them, and the ecosystem's.
const SECTIONS: [&str; 6] = [OWN_SECTION, "version", "authors", "licenses", "source", "description"];
/// A section's text is a name or a sentence.
const LONGEST_TEXT: usize = 4 << 10;

/// What a driver is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DriverKind {
    /// Makes images.
    Build,
    /// Trains them.
    Train,
}

impl DriverKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Build, Self::Train];

    /// As in `--build-driver`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Train => "train",
        }
    }
}

/// A plugin, as its file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// As in `--train-driver NAME`; none where the file does not say.
    pub name: Option<String>,
    /// The plugin's own version.
    pub version: Option<Version>,
    /// Who wrote it.
    pub authors: Option<String>,
    /// An SPDX expression.
    pub licence: Option<String>,
    /// Where its source is.
    pub source: Option<String>,
    /// One sentence.
    pub description: Option<String>,
    /// What it drives.
    pub kinds: BTreeSet<DriverKind>,
    /// The parts of the contract that it imports, and the origins that its section names.
    pub wants: Grants,
    /// It can send requests, to origins that it was granted.
    pub sends_requests: bool,
    /// The contract it was built for.
    pub contract: Version,
}

impl Manifest {
    /// Reads a component.
    ///
    /// # Errors
    /// It is no component, is damaged, is no plugin, or was built for a contract that this program does not speak.
    pub fn read(file: &str, wasm: &[u8]) -> Result<Self> {
        let broken = |problem: &str| Error::new(Kind::Plugin, format!("{file} {problem}"));
        if !wasm.starts_with(b"\0asm") {
            return Err(
                broken("is not WebAssembly").hint("a plugin is one .wasm file, built for wasm32-wasip2")
            );
        }
        if Parser::is_core_wasm(wasm) {
            return Err(
                broken("is a core module, and no component").hint("build it with `--target wasm32-wasip2`")
            );
        }
        let outline = Outline::read(wasm).map_err(|error| {
            broken("is damaged")
                .hint("get the file again: it was cut off, or changed on its way")
                .source(error)
        })?;
        if outline.imports.len() > MOST_NAMES || outline.exports.len() > MOST_NAMES {
            return Err(broken(&format!("imports or exports more than {MOST_NAMES} things"))
                .hint("a driver needs some dozens: tell its author"));
        }
        let contract = outline.contract(file)?;
        let exported = |name: &str| outline.exports.iter().any(|export| interface(export) == Some(name));
        let kinds: BTreeSet<DriverKind> =
            DriverKind::ALL.into_iter().filter(|kind| exported(kind.name())).collect();
        if kinds.is_empty() {
            return Err(broken(
                "is no plugin of alekseylearn: it exports neither a build driver nor a train driver",
            )
            .hint("write one with alekseylearn-sdk"));
        }
        let fault = |problem: &str| broken(problem).hint("this is a fault of the plugin: tell its author");
        let own = outline.own().map_err(|problem| {
            fault(&format!(
                "describes itself in a way that cannot be read: its section `{OWN_SECTION}` {problem}"
            ))
        })?;
        // One line, so that none passes for a line of ours where it is shown.
        let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = |section: &str| {
            let text = outline.sections.get(section).and_then(|text| text.as_deref().ok());
            text.map(line).filter(|text| !text.is_empty())
        };
        let version = text("version").map(|version| {
            let wrong = |_| fault(&format!("has the version `{version}`, which is not a version like 1.2.3"));
            version.parse().map_err(wrong)
        });
        let mut wants = outline.wants(file)?;
        wants.extend(
            origins(&own).map_err(|problem| fault(&format!("asks for what cannot be granted: {problem}")))?,
        );
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

/// Lower-case letters, digits and dashes, as in a file's name.
pub fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=64).contains(&text.len()) && text.chars().all(plain) && !text.starts_with('-')
}

/// The name in our own section.
fn own_name(own: &serde_json::Value) -> Result<Option<String>, String> {
    match &own["name"] {
        serde_json::Value::Null => Ok(None),
        serde_json::Value::String(name) if is_name(name) => Ok(Some(name.clone())),
        other => Err(format!(
            "calls itself {other}, which is not a name: a plugin is named by lower-case letters, digits and dashes"
        )),
    }
}

/// The origins of our own section: `{"origins": ["https://api.example.com", "https://b.example.com=env:TOKEN"]}`.
fn origins(own: &serde_json::Value) -> Result<Vec<Grant>, String> {
    let texts = match &own["origins"] {
        serde_json::Value::Null => return Ok(Vec::new()),
        serde_json::Value::Array(texts) => texts,
        _ => return Err("its origins are no list".to_owned()),
    };
    let parse = |text: &serde_json::Value| match text.as_str().unwrap_or_default().parse::<Grant>()? {
        Grant::Capability(name) => Err(format!("`{}` is no origin", name.interface())),
        grant => Ok(grant),
    };
    texts.iter().map(parse).collect()
}

/// `docker` of `alekseylearn:driver/docker@0.1.0`.
pub(super) fn interface(name: &str) -> Option<&str> {
    name.strip_prefix(PACKAGE)?.split('@').next()
}

/// The outermost layer of a component, and its custom sections.
#[derive(Default)]
struct Outline {
    imports: Vec<String>,
    exports: Vec<String>,
    /// The text of each, or what is wrong with it.
    sections: BTreeMap<String, Result<String, &'static str>>,
}

impl Outline {
    fn read(wasm: &[u8]) -> Result<Self, wasmparser::BinaryReaderError> {
        let mut outline = Self::default();
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(wasm) {
            // One too many is enough to know.
            if outline.imports.len().max(outline.exports.len()) > MOST_NAMES {
                break;
            }
            match payload? {
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(imports) if depth == 1 => {
                    for import in imports.into_iter().take(MOST_NAMES + 1) {
                        outline.imports.push(import?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 1 => {
                    for export in exports.into_iter().take(MOST_NAMES + 1) {
                        outline.exports.push(export?.name.name.to_owned());
                    }
                }
                Payload::CustomSection(section) if SECTIONS.contains(&section.name()) => {
                    let text = match str::from_utf8(section.data()) {
                        Ok(text) if text.len() <= LONGEST_TEXT => Ok(text.to_owned()),
                        Ok(_) => Err("is longer than 4 KiB"),
                        Err(_) => Err("is not UTF-8 text"),
                    };
                    // The component's own come after those of the modules in it, and count for more.
                    outline.sections.insert(section.name().to_owned(), text);
                }
                _ => {}
            }
        }
        Ok(outline)
    }

    /// Our own section; an empty one if there is none.
    fn own(&self) -> Result<serde_json::Value, String> {
        let Some(text) = self.sections.get(OWN_SECTION) else { return Ok(serde_json::Value::Null) };
        let text = text.as_deref().map_err(|problem| (*problem).to_owned())?;
        match serde_json::from_str(text) {
            Ok(own @ serde_json::Value::Object(_)) => Ok(own),
            Ok(_) => Err("is not a JSON object".to_owned()),
            Err(error) => Err(format!("is not JSON: {error}")),
        }
    }

    /// The newest contract that any of its imports and exports names.
    fn contract(&self, file: &str) -> Result<Version> {
        let names = self.imports.iter().chain(&self.exports).filter(|name| name.starts_with(PACKAGE));
        let versions = names.filter_map(|name| name.split_once('@')?.1.parse::<Version>().ok());
        let Some(version) = versions.max() else {
            return Err(Error::new(
                Kind::Plugin,
                format!("{file} is no plugin of alekseylearn: it does not speak its contract"),
            )
            .hint("write one with alekseylearn-sdk"));
        };
        compatible(&version).map_err(|hint| {
            Error::new(
                Kind::Plugin,
                format!("{file} was built for version {version} of the contract, and this alekseylearn speaks {CONTRACT}"),
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

/// Parts of the contract that touch nothing but the call itself, and the origins that were granted.
const OPEN: [&str; 6] = ["types", "options", "run", "report", "progress", "credentials"];
/// What of WASI a plugin gets; sockets are there, and open nothing.
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
    Error::new(Kind::Plugin, format!("{file} asks for {import}, which this program does not have"))
        .hint("it may be built for another program, or for a newer alekseylearn")
}

/// Of the same line (`0.1` here, the major number from 1 on), and not newer than this program.
pub(super) fn compatible(version: &Version) -> Result<(), String> {
    let line = |version: &Version| match version.major {
        0 => (0, version.minor),
        major => (major, 0),
    };
    match line(version).cmp(&line(&CONTRACT)) {
        std::cmp::Ordering::Equal if *version <= CONTRACT => Ok(()),
        std::cmp::Ordering::Less => Err("the plugin is too old: upgrade the plugin".into()),
        _ => Err(format!(
            "upgrade alekseylearn to one that speaks {version}, or take an older version of the plugin"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn versions_of_one_line_are_spoken_up_to_this_one() {
        let is = |text: &str| compatible(&text.parse().unwrap());
        assert_eq!(is("0.1.0"), Ok(()));
        assert!(is("0.1.1").unwrap_err().starts_with("upgrade alekseylearn"));
        assert!(is("0.2.0").unwrap_err().starts_with("upgrade alekseylearn"));
        assert!(is("1.0.0").unwrap_err().starts_with("upgrade alekseylearn"));
        assert!(is("0.0.9").unwrap_err().contains("upgrade the plugin"));
    }

    #[test]
    fn what_is_no_component_is_said_before_anything_is_compiled() {
        for (wasm, message) in [
            (&b"text"[..], "is not WebAssembly"),
            (b"", "is not WebAssembly"),
            (b"\0asm\x01\0\0\0", "is a core module"),
            (b"\0asm\x0d\0\x01\0", "does not speak its contract"),
            (b"\0asm\x0d\0\x01\0\x0b\xff", "is damaged"),
        ] {
            let error = Manifest::read("a.wasm", wasm).unwrap_err();
            assert!(error.message().contains(message), "{error}");
            assert!(error.hint_text().is_some());
        }
    }

    /// Metadata that cannot be read must not read as none: the origins in it would be gone without a word.
    #[test]
    fn broken_metadata_is_an_error() {
        let with = |name: &str, text: &[u8]| {
            let mut wasm = crate::plugin::fuzz::outlines().remove(0);
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
            (br#"{"name": "Bad Name"}"#, "which is not a name"),
            (br#"{"name": 3}"#, "which is not a name"),
            (br#"{"origins": "https://a.example"}"#, "its origins are no list"),
        ] {
            let error = with(OWN_SECTION, text).unwrap_err();
            assert!(error.message().contains(says), "{error}");
        }
        for version in ["1.0", "2026.01.5", "one.two", "v1.2.3", "1.2.3.4"] {
            let error = with("version", version.as_bytes()).unwrap_err();
            assert!(error.message().contains("not a version like 1.2.3"), "{error}");
        }
        assert_eq!(with("version", b"1.2.3-rc.1").unwrap().version.unwrap().to_string(), "1.2.3-rc.1");
        assert_eq!(with(OWN_SECTION, br#"{"name": "acme"}"#).unwrap().name.as_deref(), Some("acme"));
    }

    #[test]
    fn origins_are_read_from_our_own_section() {
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
    fn names_are_those_of_files() {
        assert!(is_name("sagemaker") && is_name("ml-engine"));
        for name in ["", "-x", "A", "a/b", "..", "a b", &"x".repeat(65)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
