//! How much a disk can still take.

use std::{io, path::Path};

use crate::error::{Error, Result};

/// In bytes; none where the file system does not tell.
pub fn room(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

/// # Errors
/// The disk cannot take as much.
pub(super) fn make_sure_of(needed: u64, folder: &Path) -> Result<()> {
    match room(folder) {
        Some(room) if room < needed => {
            Err(full(folder).source(format!("{needed} bytes are needed, {room} are free")))
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

/// A file of this machine, copied.
///
/// # Errors
/// It cannot be read, or the disk is full.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let folder = to.parent().unwrap_or(Path::new("."));
    let size = from
        .metadata()
        .map(|data| data.len())
        .map_err(|error| Error::failed(format!("cannot read {}", from.display())).source(error))?;
    make_sure_of(size, folder)?;
    std::fs::copy(from, to).map(drop).map_err(|error| cannot_write(folder, error))
}
