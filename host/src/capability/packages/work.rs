//! A temporary folder for an installation. What killed programs left is removed.

use std::{fs::File, io, path::Path};

use crate::disk::{Folder, What, lock_file};

const LOCK: &str = ".lock";

/// A temporary folder, removed with this value.
pub(super) struct Work {
    parent: Folder,
    name: String,
    folder: Folder,
    _lock: File,
}

impl Work {
    pub(super) fn begin(folder: &Path) -> io::Result<Self> {
        let parent = Folder::open(folder)?.make_below(Path::new("work"))?;
        for entry in parent.entries()?.into_iter().filter(|entry| entry.what == What::Folder) {
            let name = entry.name.to_string_lossy().into_owned();
            let lock = parent.open_file(Path::new(&format!("{name}{LOCK}")));
            // A program that still uses its folder holds the lock.
            if lock.is_err() || lock.is_ok_and(|lock| lock.try_lock().is_ok()) {
                remove(&parent, &name);
            }
        }
        let name = uuid::Uuid::new_v4().simple().to_string();
        let lock = lock_file(&parent.path().join(format!("{name}{LOCK}")))?;
        lock.lock()?;
        let folder = parent.make_below(Path::new(&name))?;
        Ok(Self { parent, name, folder, _lock: lock })
    }

    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The absolute path of something in the folder.
    pub(super) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        remove(&self.parent, &self.name);
    }
}

/// What cannot be removed now is removed by the next run.
fn remove(parent: &Folder, name: &str) {
    if parent.remove_all(Path::new(name)).is_ok() {
        let _ = parent.remove_file(Path::new(&format!("{name}{LOCK}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_uses_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join("work/left/deep");
        std::fs::create_dir_all(&left).unwrap();
        let one = Work::begin(folder.path()).unwrap();
        assert!(!left.exists());
        let two = Work::begin(folder.path()).unwrap();
        assert!(one.folder().path().exists() && two.folder().path().exists());
        drop((one, two));
        assert_eq!(folder.path().join("work").read_dir().unwrap().count(), 0);
    }
}
