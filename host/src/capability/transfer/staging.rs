//! The place beside the user's files where what comes is made whole, before all of it is moved there.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::room;
use crate::error::{Context, Error, Kind, Result};

/// What the names of all such places begin with; no archive may hold one.
pub(super) const PREFIX: &str = ".alekseylearn-";

/// What came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brought {
    /// The files, relative to the folder, sorted.
    pub files: Vec<PathBuf>,
    /// In bytes.
    pub size: u64,
}

/// A folder `.alekseylearn-NAME` in the user's folder, with
/// - `archive`, and beside it `archive.parts`: what came so far, for a next run to go on from;
/// - `coming`: the same for objects that are no archive;
/// - `tree`: what is to be moved to the user's folder;
/// - `ready`: written when the tree is whole. From then on it is only moved, by whoever comes next.
///
/// It is removed when it is dropped; a program that is killed leaves it to the next one.
pub struct Staging {
    folder: PathBuf,
    path: PathBuf,
    keep: bool,
    /// What goes from the user's folder where this comes, by its first names.
    replaceable: BTreeSet<OsString>,
    /// Folders that were missing, the innermost first: they go too, unless something came to them.
    made: Vec<PathBuf>,
    _lock: File,
}

impl Staging {
    /// Takes the place of that name, and removes what killed programs left under other names.
    ///
    /// # Errors
    /// Another program is there, or the folder cannot be written to.
    pub fn open(folder: &Path, name: &str) -> Result<Self> {
        let cannot_write = |error| room::cannot_write(folder, error);
        let missing = folder.ancestors().take_while(|folder| !folder.exists());
        let made = missing.map(Path::to_owned).collect();
        fs::create_dir_all(folder).context(|| format!("cannot make the folder {}", folder.display()))?;
        let path = folder.join(format!("{PREFIX}{name}"));
        sweep(folder, &path).map_err(cannot_write)?;
        let lock = loop {
            fs::create_dir_all(&path).map_err(cannot_write)?;
            match locked(&path).map_err(cannot_write)? {
                Lock::Held => {
                    return Err(Error::new(
                        Kind::Conflict,
                        format!("another alekseylearn is bringing {name} to {}", folder.display()),
                    )
                    .hint("wait for its end, or fetch into another folder"));
                }
                Lock::Gone => {}
                Lock::Taken(lock) => break lock,
            }
        };
        let (folder, replaceable) = (folder.to_owned(), BTreeSet::new());
        let staging = Self { folder, path, keep: false, replaceable, made, _lock: lock };
        if !staging.path.join("ready").exists() {
            staging.clear().map_err(cannot_write)?;
        }
        Ok(staging)
    }

    /// What lies in the user's folder under these names may go.
    pub fn may_replace(&mut self, names: BTreeSet<OsString>) {
        self.replaceable = names;
    }

    /// What may be in the way of what comes.
    pub fn beside(&self) -> Beside {
        Beside { folder: self.folder.clone(), replaceable: self.replaceable.clone() }
    }

    /// An empty tree.
    fn clear(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.tree()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::create_dir(self.tree()),
        }
    }

    /// Where an archive comes to.
    pub fn archive(&self) -> PathBuf {
        self.path.join("archive")
    }

    /// Where objects come to that are no archive.
    pub fn coming(&self) -> PathBuf {
        self.path.join("coming")
    }

    /// The archive is not needed any more.
    pub fn drop_archive(&self) {
        // What cannot be removed now is removed with all the rest.
        let _ = fs::remove_file(self.archive());
        let _ = fs::remove_file(self.notes());
    }

    /// The archive is what was wanted.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn take_archive(&self, target: &Path) -> Result<()> {
        fs::rename(self.archive(), target).map_err(|error| room::cannot_write(&self.folder, error))?;
        self.drop_archive();
        Ok(())
    }

    fn notes(&self) -> PathBuf {
        self.archive().with_added_extension("parts")
    }

    /// # Errors
    /// Something of the name is in the user's folder.
    pub fn refuse(&self, name: &Path) -> Result<()> {
        self.beside().refuse(name)
    }

    /// What is to be moved to the user's folder.
    pub fn tree(&self) -> PathBuf {
        self.path.join("tree")
    }

    /// What a killed program had brought, all but for the last moving.
    pub fn left(&self, of: &str) -> Result<Option<Brought>> {
        let Ok(text) = fs::read(self.path.join("ready")) else { return Ok(None) };
        if let Ok((what, brought)) = serde_json::from_slice::<(String, Brought)>(&text)
            && what == of
        {
            return Ok(Some(brought));
        }
        let removed = fs::remove_file(self.path.join("ready")).and_then(|()| self.clear());
        removed.map_err(|error| room::cannot_write(&self.folder, error))?;
        Ok(None)
    }

    /// Leaves to the next run what came, if anything did.
    pub fn keep(&mut self) {
        let objects = fs::read_dir(self.coming()).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut notes = objects.filter(|path| path.extension().is_some()).chain([self.notes()]);
        self.keep =
            notes.any(|notes| fs::read_to_string(notes).is_ok_and(|text| text.lines().nth(1).is_some()));
    }

    /// Moves the tree to the user's folder, all or nothing: what is cut off is finished by the next run. Files that
    /// are there already are refused, or replaced with `overwrite`; those that may be replaced go in any case.
    ///
    /// # Errors
    /// Something is in the way, or the folder cannot be written to.
    pub fn publish(&self, of: &str, brought: &Brought, overwrite: bool) -> Result<()> {
        let cannot_write = |error| room::cannot_write(&self.folder, error);
        let names = self.names().map_err(cannot_write)?;
        if !overwrite {
            names.iter().try_for_each(|name| self.refuse(Path::new(name)))?;
        }
        self.settle(of, brought).map_err(cannot_write)?;
        for name in &names {
            self.take_away(name).map_err(cannot_write)?;
            fs::rename(self.tree().join(name), self.folder.join(name)).map_err(cannot_write)?;
        }
        for name in self.replaceable.iter().filter(|name| !names.contains(name)) {
            self.take_away(name).map_err(cannot_write)?;
        }
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(cannot_write)
    }

    /// Moves away what is there of that name: what is replaced is never seen half-removed.
    fn take_away(&self, name: &OsString) -> io::Result<()> {
        let target = self.folder.join(name);
        if target.symlink_metadata().is_err() {
            return Ok(());
        }
        let replaced = self.path.join("replaced");
        fs::create_dir_all(&replaced)?;
        let away = tempfile::Builder::new().tempdir_in(&replaced)?.keep();
        fs::rename(&target, away.join(name))
    }

    fn names(&self) -> io::Result<Vec<OsString>> {
        fs::read_dir(self.tree())?.map(|entry| entry.map(|entry| entry.file_name())).collect()
    }

    /// On the disk, and said so.
    fn settle(&self, of: &str, brought: &Brought) -> io::Result<()> {
        let ready = self.path.join("ready");
        if ready.exists() {
            return Ok(());
        }
        // One call for a hundred thousand files.
        #[cfg(target_os = "linux")]
        rustix::fs::syncfs(&File::open(self.tree())?)?;
        let partial = self.path.join("ready.part");
        fs::write(&partial, serde_json::to_vec(&(of, brought))?)?;
        File::open(&partial)?.sync_all()?;
        fs::rename(partial, ready)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.keep {
            // Whoever comes next removes what could not be removed.
            let _ = fs::remove_dir_all(&self.path);
            // Not those that hold anything.
            let _ = self.made.iter().try_for_each(fs::remove_dir);
        }
    }
}

/// What lies in the user's folder already.
#[derive(Clone, Debug)]
pub struct Beside {
    folder: PathBuf,
    replaceable: BTreeSet<OsString>,
}

impl Beside {
    /// # Errors
    /// The first part of the path is in the folder, and may not be replaced.
    pub(super) fn refuse(&self, path: &Path) -> Result<()> {
        let Some(first) = path.iter().next().filter(|first| !self.replaceable.contains(*first)) else {
            return Ok(());
        };
        let first = self.folder.join(first);
        if first.symlink_metadata().is_ok() {
            return Err(Error::new(Kind::Conflict, format!("{} is there already", first.display()))
                .hint("fetch into another folder, or replace it with --overwrite"));
        }
        Ok(())
    }
}

enum Lock {
    Taken(File),
    /// By a program that lives.
    Held,
    /// The place was removed meanwhile.
    Gone,
}

fn locked(path: &Path) -> io::Result<Lock> {
    use std::os::unix::fs::MetadataExt;
    let lock = path.join("lock");
    let file = match File::options().create(true).append(true).open(&lock) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Lock::Gone),
        file => file?,
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Lock::Held),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    match lock.metadata() {
        Ok(there) if there.ino() == file.metadata()?.ino() => Ok(Lock::Taken(file)),
        _ => Ok(Lock::Gone),
    }
}

fn sweep(folder: &Path, but: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX) && entry.file_type()?.is_dir();
        if ours && entry.path() != but && !matches!(locked(&entry.path())?, Lock::Held) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brought(names: &[&str]) -> Brought {
        Brought { files: names.iter().map(PathBuf::from).collect(), size: 1 }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// What a kill leaves: the files, and no lock.
    fn killed(mut staging: Staging) {
        staging.keep = true;
    }

    #[test]
    fn what_was_cut_off_while_it_was_moved_is_finished() {
        let root = tempfile::tempdir().unwrap();
        let staging = Staging::open(root.path(), "job").unwrap();
        fs::write(staging.tree().join("a"), "a").unwrap();
        fs::write(staging.tree().join("b"), "b").unwrap();
        staging.settle("it", &brought(&["a", "b"])).unwrap();
        fs::rename(staging.tree().join("a"), root.path().join("a")).unwrap();
        killed(staging);
        let staging = Staging::open(root.path(), "job").unwrap();
        assert_eq!(staging.left("it").unwrap(), Some(brought(&["a", "b"])));
        staging.publish("it", &brought(&["a", "b"]), false).unwrap();
        drop(staging);
        assert_eq!(names(root.path()), ["a", "b"]);
        assert_eq!(fs::read_to_string(root.path().join("b")).unwrap(), "b");
    }

    #[test]
    fn what_is_left_of_something_else_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let staging = Staging::open(root.path(), "other").unwrap();
        fs::write(staging.tree().join("a"), "a").unwrap();
        staging.settle("it", &brought(&["a"])).unwrap();
        killed(staging);
        let staging = Staging::open(root.path(), "job").unwrap();
        assert_eq!(names(root.path()), [".alekseylearn-job"]);
        fs::write(staging.tree().join("a"), "a").unwrap();
        staging.settle("it", &brought(&["a"])).unwrap();
        killed(staging);
        let staging = Staging::open(root.path(), "job").unwrap();
        assert_eq!(staging.left("another way").unwrap(), None);
        assert!(staging.names().unwrap().is_empty());
    }

    #[test]
    fn a_folder_that_was_made_for_nothing_goes() {
        let root = tempfile::tempdir().unwrap();
        drop(Staging::open(&root.path().join("a/b"), "job").unwrap());
        assert!(names(root.path()).is_empty());
        fs::create_dir(root.path().join("a")).unwrap();
        drop(Staging::open(&root.path().join("a/b"), "job").unwrap());
        assert_eq!(names(root.path()), ["a"]);
        let staging = Staging::open(&root.path().join("a/b"), "job").unwrap();
        fs::write(staging.tree().join("m"), "m").unwrap();
        staging.publish("it", &brought(&["m"]), false).unwrap();
        drop(staging);
        assert_eq!(names(&root.path().join("a/b")), ["m"]);
    }

    #[test]
    fn what_may_be_replaced_goes_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        for name in ["a", "old", "mine"] {
            fs::write(root.path().join(name), "before").unwrap();
        }
        let mut staging = Staging::open(root.path(), "job").unwrap();
        fs::write(staging.tree().join("a"), "after").unwrap();
        assert_eq!(staging.refuse(Path::new("a")).unwrap_err().kind(), Kind::Conflict);
        staging.may_replace(["a", "old", "never there"].map(OsString::from).into());
        assert_eq!(staging.refuse(Path::new("mine/x")).unwrap_err().kind(), Kind::Conflict);
        staging.publish("it", &brought(&["a"]), false).unwrap();
        drop(staging);
        assert_eq!(names(root.path()), ["a", "mine"]);
        assert_eq!(fs::read_to_string(root.path().join("a")).unwrap(), "after");
    }

    #[test]
    fn one_program_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let first = Staging::open(root.path(), "job").unwrap();
        assert_eq!(Staging::open(root.path(), "job").err().unwrap().kind(), Kind::Conflict);
        let beside = Staging::open(root.path(), "other").unwrap();
        assert_eq!(names(root.path()).len(), 2, "what another program uses stays");
        drop((first, beside));
        assert!(names(root.path()).is_empty());
    }
}
