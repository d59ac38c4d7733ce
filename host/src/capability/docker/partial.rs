//! A file of a job's folder that is seen whole or not at all.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// On its way to its name. What a killed program left of it is written over by the next one: a job's folder has one
/// writer at a time.
pub(super) struct Partial {
    file: File,
    path: PathBuf,
    target: PathBuf,
    complete: bool,
}

impl Partial {
    pub(super) fn of(target: &Path) -> io::Result<Self> {
        let path = target.with_added_extension("part");
        Ok(Self { file: File::create(&path)?, path, target: target.to_owned(), complete: false })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn complete(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.target)?;
        self.complete = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.complete {
            // It is written over the next time.
            let _ = fs::remove_file(&self.path);
        }
    }
}
