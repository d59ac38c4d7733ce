//! The text of dependency files, and the names of files in them.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use super::MAX_SIZE;
use crate::{
    disk,
    error::{Error, Result, toml_problem},
    project::files,
};

/// Whether a file of this name may list packages and URLs.
pub(in crate::project) fn is_list(path: &str) -> bool {
    let kinds = ["txt", "in", "toml", "lock", "cfg", "yml", "yaml"];
    Path::new(path).extension().is_none_or(|kind| kinds.iter().any(|known| kind == *known))
}

/// Reads the text of a dependency file.
pub(super) fn text(path: &Path) -> Result<String> {
    let cannot_read = |error| files::unreadable(path, error);
    if fs::metadata(path).map_err(cannot_read)?.len() > MAX_SIZE {
        return Err(Error::invalid(format!("{} is too large to be a dependency file", path.display()))
            .hint("choose another one with --env-file"));
    }
    decoded(disk::read(path, MAX_SIZE).map_err(cannot_read)?).ok_or_else(|| {
        Error::invalid(format!("{} is neither UTF-8 nor UTF-16", path.display())).hint("save it as UTF-8")
    })
}

/// Decodes text as pip does: UTF-8, or what a byte order mark says.
pub(super) fn decoded(bytes: Vec<u8>) -> Option<String> {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> =
            bytes.chunks(2).map(|pair| unit([pair[0], pair.get(1).copied().unwrap_or(0)])).collect();
        String::from_utf16(&units).ok()
    };
    match bytes.as_slice() {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        _ => String::from_utf8(bytes).ok(),
    }
}

pub(in crate::project) fn toml(path: &Path) -> Result<toml::Table> {
    let text = text(path)?;
    text.parse().map_err(|error| {
        Error::invalid(format!("{} is not valid TOML", path.display()))
            .hint("fix its syntax")
            .source(toml_problem(&text, &error))
    })
}

/// Removes `.` and `..` without resolving links.
pub(super) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// Formats a path relative to a folder.
pub(super) fn name_from(folder: &Path, path: &Path) -> String {
    let mut up = String::new();
    for ancestor in folder.ancestors() {
        if let Ok(inside) = path.strip_prefix(ancestor) {
            return format!("{up}{}", inside.display());
        }
        up.push_str("../");
    }
    path.display().to_string()
}
