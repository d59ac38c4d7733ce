//! Collects the files of a project that are not sent.

use std::{fs, path::Path};

/// Maximum paths that are remembered.
pub(super) const REMEMBERED: usize = 1_000;
/// Maximum entries of ignored folders that are counted: they may hold a million pictures.
const COUNTED: usize = 20_000;

/// The files that one rule excludes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// The first paths; folders end with `/`.
    pub paths: Vec<String>,
    /// Number of paths; a folder counts as one.
    pub count: usize,
    /// Number of files, including those in folders.
    pub files: usize,
    /// Total size of these files in bytes.
    pub size: u64,
    /// The largest file and its size.
    pub largest: Option<(String, u64)>,
    /// Whether there are more files than were counted.
    pub more: bool,
}

impl Left {
    /// Adds a path in the project.
    pub(super) fn add(&mut self, inside: &Path, is_folder: bool) {
        self.count += 1;
        if self.paths.len() < REMEMBERED {
            self.paths.push(format!("{}{}", inside.display(), if is_folder { "/" } else { "" }));
        }
    }

    /// Counts the files at a path without reading them; what cannot be counted is skipped.
    pub(super) fn measure(&mut self, folder: &Path, path: &Path, is_folder: bool, counted: &mut usize) {
        let mut folders = Vec::new();
        let mut files = Vec::new();
        if is_folder {
            folders.push(path.to_owned())
        } else {
            files.push(path.to_owned())
        }
        loop {
            for file in files.drain(..) {
                let Ok(data) = file.symlink_metadata() else { continue };
                self.files += 1;
                self.size += data.len();
                if self.largest.as_ref().is_none_or(|(_, largest)| data.len() > *largest) {
                    let name = file.strip_prefix(folder).unwrap_or(&file).display().to_string();
                    self.largest = Some((name, data.len()));
                }
            }
            let Some(current) = folders.pop() else { return };
            for entry in fs::read_dir(&current).into_iter().flatten().flatten() {
                *counted += 1;
                if *counted > COUNTED {
                    self.more = true;
                    return;
                }
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    Ok(_) => files.push(entry.path()),
                    Err(_) => {}
                }
            }
        }
    }
}
