//! Plugins in one file, for machines without a network: a tar of a list and the components that it names.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use super::{
    candidate::Candidate,
    source::MOST_BYTES,
    store::{Installed, digest_of},
};
use crate::error::{Context, Error, Kind, Result};

const LIST: &str = "plugins.json";
const MOST_PLUGINS: usize = 1_000;

/// Writes plugins and their components to a file.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write(path: &Path, plugins: &[(Installed, Vec<u8>)]) -> Result<()> {
    let failed = || format!("cannot write {}", path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut partial = tempfile::NamedTempFile::new_in(folder).context(failed)?;
    let list: Vec<&Installed> = plugins.iter().map(|(plugin, _)| plugin).collect();
    let list = serde_json::to_vec_pretty(&list).context(failed)?;
    let mut tar = tar::Builder::new(&mut partial);
    append(&mut tar, LIST, &list).context(failed)?;
    for (plugin, wasm) in plugins {
        append(&mut tar, &file_of(&plugin.digest), wasm).context(failed)?;
    }
    tar.into_inner().and_then(Write::flush).context(failed)?;
    partial.as_file().sync_all().context(failed)?;
    partial.persist(path).context(failed)?;
    Ok(())
}

/// Reads what `write` wrote; each component is what the list says of it.
///
/// # Errors
/// It is no such file, or is damaged.
pub(super) fn read(path: &Path) -> Result<Vec<(Candidate, Installed)>> {
    let damaged = |why: &str| {
        Error::new(Kind::Plugin, format!("{} is no bundle of plugins, or is damaged: {why}", path.display()))
            .hint("make it again with `alekseylearn plugin export FILE`")
    };
    let file = File::open(path).map_err(|error| {
        Error::new(Kind::NotFound, format!("cannot read {}", path.display()))
            .hint("give a file that `alekseylearn plugin export` made")
            .source(error)
    })?;
    let files = contents(file).map_err(|error| damaged(&error.to_string()))?;
    let list = files.get(LIST).ok_or_else(|| damaged("it has no list"))?;
    let list: Vec<Installed> = serde_json::from_slice(list).map_err(|error| damaged(&error.to_string()))?;
    let mut plugins = Vec::new();
    for plugin in list {
        let wasm = files.get(&file_of(&plugin.digest)).ok_or_else(|| damaged("a component is missing"))?;
        if digest_of(wasm) != plugin.digest {
            return Err(damaged(&format!("the component of {} is not what the list says", plugin.name)));
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

/// Read into memory by name: nothing of a bundle is ever unpacked to a path that it chose.
fn contents(file: File) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(io::BufReader::new(file)).entries()? {
        let entry = entry?;
        let name = entry.path()?.to_string_lossy().into_owned();
        let mut content = Vec::new();
        entry.take(MOST_BYTES as u64 + 1).read_to_end(&mut content)?;
        if content.len() > MOST_BYTES || files.len() > MOST_PLUGINS {
            return Err(io::Error::other("it holds more than plugins"));
        }
        files.insert(name, content);
    }
    Ok(files)
}

fn file_of(digest: &str) -> String {
    format!("{}.wasm", digest.trim_start_matches("sha256:"))
}
