//! Writes a file atomically: it appears complete or not at all.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    path::Path,
};

use super::folder::Folder;

const SUFFIX: &str = ".part";
const RANDOM: usize = 8;

/// A temporary file that gets its name by [`Partial::commit`]. Without that, it is removed.
pub struct Partial {
    file: File,
    folder: Folder,
    temporary: OsString,
    name: OsString,
    is_whole: bool,
}

impl Partial {
    /// Starts the file. Removes leftovers of killed programs that wrote the same file.
    pub(super) fn begin(folder: Folder, name: &OsStr, mode: u32) -> io::Result<Self> {
        let prefix = format!(".{}.", name.to_string_lossy());
        for entry in folder.entries()? {
            // A program that is still writing holds a lock on its file.
            if entry.name.to_str().is_some_and(|name| is_partial(&prefix, name))
                && folder.open_file(Path::new(&entry.name)).is_ok_and(|left| left.try_lock().is_ok())
            {
                let _ = folder.remove_file(Path::new(&entry.name));
            }
        }
        let random = uuid::Uuid::new_v4().simple().to_string();
        let temporary = OsString::from(format!("{prefix}{}{SUFFIX}", &random[..RANDOM]));
        let file = folder.create(Path::new(&temporary), mode)?;
        let partial = Self { file, folder, temporary, name: name.to_owned(), is_whole: false };
        partial.file.lock()?;
        Ok(partial)
    }

    /// The file to write to.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The file to write to, mutably.
    pub fn file_mut(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives the file its name, and replaces what has that name. The file is then on the disk.
    ///
    /// # Errors
    /// The disk is full, or a folder has the name.
    pub fn commit(self) -> io::Result<()> {
        self.file.sync_all()?;
        let folder = self.folder.clone();
        self.commit_unsynced()?;
        folder.sync()
    }

    /// Gives the file another name than the one it was started with, such as one made of its content.
    ///
    /// # Errors
    /// The disk is full, or a folder has the name.
    pub fn commit_as(mut self, name: &OsStr) -> io::Result<()> {
        self.name = name.to_owned();
        self.commit()
    }

    /// Gives the file its name. A power cut may leave it damaged.
    ///
    /// # Errors
    /// A folder has the name.
    pub fn commit_unsynced(mut self) -> io::Result<()> {
        self.folder.rename(Path::new(&self.temporary), &self.folder, Path::new(&self.name))?;
        self.is_whole = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_whole {
            // If this fails, the next run removes the file.
            let _ = self.folder.remove_file(Path::new(&self.temporary));
        }
    }
}

fn is_partial(prefix: &str, name: &str) -> bool {
    name.strip_prefix(prefix)
        .and_then(|name| name.strip_suffix(SUFFIX))
        .is_some_and(|random| random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write, os::unix::fs::PermissionsExt};

    use crate::disk::{lock_file, write};

    use super::*;

    #[test]
    fn only_leftovers_of_killed_programs_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let others = [".a.part", ".b.12345678.part", "a.12345678.part", ".a.notahexx.part"];
        for name in others.into_iter().chain([".a.12345678.part", ".a.87654321.part"]) {
            fs::write(at(name), "half").unwrap();
        }
        let writing = File::open(at(".a.87654321.part")).unwrap();
        writing.lock().unwrap();
        write(&at("a"), 0o640, |file| file.write_all(b"whole")).unwrap();
        assert_eq!(fs::read(at("a")).unwrap(), b"whole");
        assert_eq!(at("a").metadata().unwrap().permissions().mode() & 0o777, 0o640);
        let entries = fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        let mut expected = [&others[..], &[".a.87654321.part", "a"]].concat();
        expected.sort_unstable();
        assert_eq!(names, expected);
        let failed = write(&at("a"), 0o640, |_| Err(io::Error::other("no")));
        assert!(failed.is_err() && fs::read(at("a")).unwrap() == b"whole");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), names.len());
    }

    #[test]
    fn a_link_is_replaced_and_its_target_untouched() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("target"), "before").unwrap();
        std::os::unix::fs::symlink("target", at("link")).unwrap();
        assert!(lock_file(&at("link")).is_err());
        write(&at("link"), 0o600, |file| file.write_all(b"after")).unwrap();
        assert_eq!(fs::read(at("target")).unwrap(), b"before");
        assert!(at("link").symlink_metadata().unwrap().is_file());
        lock_file(&at("lock")).unwrap().lock().unwrap();
    }
}
