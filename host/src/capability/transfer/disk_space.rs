//! Free disk space.

use std::{io, path::Path};

use super::At;
use crate::{
    disk::{Folder, SHARED, cannot_read},
    error::{Error, Result},
};

/// The free disk space in bytes; `None` if the file system does not report it.
pub fn free_space(folder: &Path) -> Option<u64> {
    Folder::open(folder).ok()?.free_space()
}

/// # Errors
/// The disk does not have that much space.
pub(super) fn make_sure_of(needed: u64, folder: &Folder) -> Result<()> {
    match folder.free_space() {
        Some(free) if free < needed => {
            Err(full(folder.path()).source(format!("{needed} bytes needed, {free} free")))
        }
        _ => Ok(()),
    }
}

/// The error for a failed write to the folder.
pub(super) fn cannot_write(folder: &Path, error: io::Error) -> Error {
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        return full(folder).source(error);
    }
    Error::failed(format!("cannot write to {}", folder.display()))
        .hint("make it writable, or fetch into another folder")
        .source(error)
}

fn full(folder: &Path) -> Error {
    Error::failed(format!("the disk of {} is full", folder.display()))
        .hint("free some disk space, or fetch into another folder; nothing was written")
}

/// Copies a local file, and returns its size.
///
/// # Errors
/// The file cannot be read, the new name exists, or the disk is full.
pub fn copy(from: &At, to: &At) -> Result<u64> {
    let unreadable = |error| cannot_read(&from.path(), error);
    let mut source = from.folder.open_file(&from.name).map_err(unreadable)?;
    make_sure_of(source.metadata().map_err(unreadable)?.len(), &to.folder)?;
    let copied = to.folder.create(&to.name, SHARED).and_then(|mut target| io::copy(&mut source, &mut target));
    copied.map_err(|error| cannot_write(to.folder.path(), error))
}
