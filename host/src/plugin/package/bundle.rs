//! Plugin bundles: one tar file with a list of plugins and their components, for machines without a network.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    path::Path,
};

use super::{
    candidate::Candidate,
    manifest::is_name,
    source::MAX_BYTES,
    store::{Installed, digest_of},
};
use crate::{
    disk::{self, PRIVATE},
    error::{Context, Error, Kind, Result},
};

const LIST: &str = "plugins.json";
const MAX_PLUGINS: usize = 1_000;

/// Writes plugins and their components to a file.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn write(path: &Path, plugins: &[(Installed, Vec<u8>)]) -> Result<()> {
    disk::write(path, PRIVATE, |file| pack(file, plugins))
        .context(|| format!("cannot write {}", path.display()))
}

pub(crate) fn pack(to: impl Write, plugins: &[(Installed, Vec<u8>)]) -> io::Result<()> {
    let list: Vec<&Installed> = plugins.iter().map(|(plugin, _)| plugin).collect();
    let mut tar = tar::Builder::new(to);
    append(&mut tar, LIST, &serde_json::to_vec_pretty(&list)?)?;
    for (plugin, wasm) in plugins {
        append(&mut tar, &file_of(&plugin.digest), wasm)?;
    }
    tar.into_inner()?.flush()
}

/// Reads a bundle that `write` wrote, and verifies the digest of each component.
///
/// # Errors
/// If the file is not a valid bundle.
pub(crate) fn read(path: &Path) -> Result<Vec<(Candidate, Installed)>> {
    let file = disk::open(path).map_err(|error| {
        Error::new(Kind::NotFound, format!("cannot read {}", path.display()))
            .hint("use a file from `alekseylearn plugin export FILE`")
            .source(error)
    })?;
    parse(path, io::BufReader::new(file))
}

pub(crate) fn parse(path: &Path, bundle: impl Read) -> Result<Vec<(Candidate, Installed)>> {
    let damaged = |why: &str| {
        Error::new(Kind::Plugin, format!("{} is not a valid plugin bundle: {why}", path.display()))
            .hint("create it again with `alekseylearn plugin export FILE`")
    };
    let files = contents(bundle).map_err(|error| damaged(&error.to_string()))?;
    let list = files.get(LIST).ok_or_else(|| damaged("plugins.json is missing"))?;
    let list: Vec<Installed> = serde_json::from_slice(list).map_err(|error| damaged(&error.to_string()))?;
    let mut plugins = Vec::new();
    for plugin in list {
        let wasm = files.get(&file_of(&plugin.digest)).ok_or_else(|| damaged("a component is missing"))?;
        if !is_name(&plugin.name) {
            return Err(damaged("a plugin has an invalid name"));
        }
        if digest_of(wasm) != plugin.digest {
            return Err(damaged(&format!("the component of {} does not match its digest", plugin.name)));
        }
        plugins.push((Candidate::of(&plugin, wasm.clone())?, plugin));
    }
    Ok(plugins)
}

fn append(tar: &mut tar::Builder<impl Write>, name: &str, content: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, content)
}

/// Reads the files into memory. Nothing is unpacked, so a bundle cannot choose a path.
fn contents(bundle: impl Read) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(bundle).entries()? {
        let entry = entry?;
        // Other kinds, such as sparse files, can grow far beyond the size of the bundle.
        let is_plain = entry.header().entry_type().is_file();
        if !is_plain || entry.size() > MAX_BYTES as u64 || files.len() > MAX_PLUGINS {
            return Err(io::Error::other("it contains more than plugins"));
        }
        let name = entry.path()?.to_string_lossy().into_owned();
        let mut content = Vec::new();
        entry.take(MAX_BYTES as u64).read_to_end(&mut content)?;
        files.insert(name, content);
    }
    Ok(files)
}

fn file_of(digest: &str) -> String {
    format!("{}.wasm", digest.trim_start_matches("sha256:"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::{
        package::{fuzz::outlines, source::Source},
        policy::grant::Grants,
    };

    fn packed(name: &str) -> Vec<u8> {
        let wasm = outlines().remove(0);
        let plugin = Installed {
            name: name.into(),
            version: None,
            digest: digest_of(&wasm),
            source: Source::File("/a.wasm".into()),
            contract: "0.1.0".into(),
            granted: Grants::default(),
            installed: "2026-01-01T00:00:00Z".into(),
            signature: None,
            own_name: None,
            wants: Grants::default(),
        };
        let mut packed = Vec::new();
        pack(&mut packed, &[(plugin, wasm)]).unwrap();
        packed
    }

    #[test]
    fn a_bundle_with_an_invalid_plugin_name_is_refused() {
        let path = Path::new("plugins.tar");
        assert_eq!(parse(path, packed("mine").as_slice()).unwrap()[0].0.name, "mine");
        for name in ["", "../mine", "a b", "\u{1b}[2J"] {
            let error = parse(path, packed(name).as_slice()).err().unwrap();
            assert!(error.message().contains("a plugin has an invalid name"), "{error}");
        }
    }

    /// A sparse file expands from a few bytes to gigabytes.
    #[test]
    fn a_bundle_with_a_sparse_file_is_refused() {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::GNUSparse);
        header.set_path("sparse").unwrap();
        header.set_size(0);
        let gnu = header.as_gnu_mut().unwrap();
        gnu.set_real_size(MAX_BYTES as u64);
        gnu.sparse[0].set_offset(MAX_BYTES as u64);
        gnu.sparse[0].set_length(0);
        header.set_cksum();
        let mut tar = tar::Builder::new(Vec::new());
        tar.append(&header, io::empty()).unwrap();
        let error = contents(tar.into_inner().unwrap().as_slice()).unwrap_err();
        assert!(error.to_string().contains("more than plugins"), "{error}");
    }
}
