//! How much a disk can still take.

use std::{io, path::Path};

use super::At;
use crate::{
    disk::{Folder, SHARED, cannot_read},
    error::{Error, Result},
};

/// In bytes; `None` if the file system does not tell.
pub fn room(folder: &Path) -> Option<u64> {
    Folder::open(folder).ok()?.room()
}

/// # Errors
/// The disk cannot take as much.
pub(super) fn make_sure_of(needed: u64, folder: &Folder) -> Result<()> {
    match folder.room() {
        Some(room) if room < needed => {
            Err(full(folder.path()).source(format!("{needed} bytes are needed, {room} are free")))
        }
        _ => Ok(()),
    }
}

/// A failed write to the folder.
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
        .hint("nothing was written: free some of it, or fetch into another folder")
}

/// Copies a file of this machine, and tells its size.
///
/// # Errors
/// It cannot be read, something has the new name, or the disk is full.
pub fn copy(from: &At, to: &At) -> Result<u64> {
    let unreadable = |error| cannot_read(&from.path(), error);
    let mut source = from.folder.open_file(&from.name).map_err(unreadable)?;
    make_sure_of(source.metadata().map_err(unreadable)?.len(), &to.folder)?;
    let copied = to.folder.create(&to.name, SHARED).and_then(|mut target| io::copy(&mut source, &mut target));
    copied.map_err(|error| cannot_write(to.folder.path(), error))
}
