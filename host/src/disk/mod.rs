//! The only module that opens files. Files that others can write are read with a size limit and without blocking. Folders
//! that others can write are accessed through a handle that follows no links. Files are written atomically.
//!
//! `host/clippy.toml` forbids the standard library's functions for opening files outside of this module.

mod folder;
#[cfg(any(test, fuzzing))]
mod fuzz;
mod owner;
mod partial;
mod read;

use std::{fs::File, io, path::Path};

pub use folder::{Facts, Folder, What};
#[cfg(any(test, fuzzing))]
pub use fuzz::FUZZ;
pub use owner::{is_private, read_own, require_own};
pub use partial::Partial;
pub use read::{at_most, cannot_read, open, optional, read, text};

/// The mode of a file that the program keeps for itself.
pub const PRIVATE: u32 = 0o600;
/// The mode of a file that the user asked for, before the umask.
pub const SHARED: u32 = 0o644;

/// Writes a whole file: a temporary file in the same folder, synced, then renamed to `path`. A link at `path` is
/// replaced, not followed.
///
/// # Errors
/// The folder is not writable, the disk is full, or `content` fails. `path` is unchanged then.
pub fn write(path: &Path, mode: u32, content: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let (folder, name) = split(path)?;
    Folder::open(folder)?.write(name, mode, content)
}

/// Opens a lock file of the program, and creates it if it is missing.
///
/// # Errors
/// The folder is not writable, or something else has the name.
pub fn lock_file(path: &Path) -> io::Result<File> {
    let (folder, name) = split(path)?;
    Folder::open(folder)?.update(name, PRIVATE)
}

/// Splits a path into the folder and the file's name.
fn split(path: &Path) -> io::Result<(&Path, &Path)> {
    let name =
        path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it has no name"))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((folder, Path::new(name)))
}
