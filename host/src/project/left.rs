//! What stays at home of a project, as far as anybody asks for it.

use std::{fs, path::Path};

/// As many paths as are remembered.
pub(super) const REMEMBERED: usize = 1_000;
/// As many entries of ignored folders are counted in all: they may hold a million pictures.
const COUNTED: usize = 20_000;

/// What one rule keeps at home.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// The first of them; folders end with `/`.
    pub paths: Vec<String>,
    /// How many there are, a folder counted as one.
    pub count: usize,
    /// The files, those in folders too.
    pub files: usize,
    /// Of all these files, in bytes.
    pub size: u64,
    /// The largest one, with its size.
    pub largest: Option<(String, u64)>,
    /// There are more files than were counted.
    pub more: bool,
}

impl Left {
    /// One more, by its path in the project.
    pub(super) fn add(&mut self, inside: &Path, is_folder: bool) {
        self.count += 1;
        if self.paths.len() < REMEMBERED {
            self.paths.push(format!("{}{}", inside.display(), if is_folder { "/" } else { "" }));
        }
    }

    /// Counts what lies there, without reading it; what cannot be counted is passed over.
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
