//! The staging folder beside the user's files, where downloads are completed before they are moved into place.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::{File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::disk_space;
use crate::{
    disk::{Folder, PRIVATE, What},
    error::{Context, Error, Kind, Result},
};

/// Prefix of all staging folders. No archive may have an entry with it.
pub(super) const PREFIX: &str = ".alekseylearn-";
/// Maximum size of a list of files or parts in bytes: more than a million entries have.
const MAX_LIST_LENGTH: u64 = 256 << 20;

/// A path in a folder.
#[derive(Clone, Debug)]
pub struct At {
    /// The folder.
    pub folder: Folder,
    /// The path relative to it.
    pub name: PathBuf,
}

impl At {
    /// A path in a folder.
    pub fn new(folder: &Folder, name: impl Into<PathBuf>) -> Self {
        Self { folder: folder.clone(), name: name.into() }
    }

    /// The whole path, for messages.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    /// The list of downloaded parts, beside the file.
    pub(super) fn notes(&self) -> PathBuf {
        self.name.with_added_extension("parts")
    }
}

/// The downloaded files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Downloaded {
    /// The files, relative to the folder, sorted.
    pub files: Vec<PathBuf>,
    /// Their size in bytes.
    pub size: u64,
    /// Entries of an archive that were skipped, each with the reason, for a person.
    #[serde(default)]
    pub left_out: Vec<String>,
}

/// A folder `.alekseylearn-NAME` in the user's folder, with
/// - `archive`, and beside it `archive.parts`: the download so far, which the next run can resume;
/// - `coming`: the same for objects that are not an archive;
/// - `tree`: the files to move to the user's folder;
/// - `ready`: written when the tree is complete. From then on it is only moved, if necessary by the next run.
///
/// It is removed when it is dropped. The next run removes it for a killed program.
pub struct Staging {
    target: Folder,
    name: PathBuf,
    folder: Folder,
    keep: bool,
    /// Entries of the user's folder that may be replaced.
    replaceable: BTreeSet<OsString>,
    /// Folders that were created, innermost first. They are removed again if they stay empty.
    made: Vec<PathBuf>,
    _lock: File,
}

impl Staging {
    /// Opens the staging folder of this name, and removes those that killed programs left under other names.
    ///
    /// # Errors
    /// Another program uses it, or the folder cannot be written to.
    pub fn open(folder: &Path, name: &str) -> Result<Self> {
        let cannot_write = |error| disk_space::cannot_write(folder, error);
        let missing = folder.ancestors().take_while(|folder| !folder.exists());
        let made = missing.map(Path::to_owned).collect();
        let target =
            Folder::make(folder).context(|| format!("cannot create the folder {}", folder.display()))?;
        let place = PathBuf::from(format!("{PREFIX}{name}"));
        sweep(&target, &place).map_err(cannot_write)?;
        let (inner, lock) = loop {
            let inner = target.make_below(&place).map_err(cannot_write)?;
            match locked(&target, &place).map_err(cannot_write)? {
                Lock::Held => {
                    return Err(Error::new(
                        Kind::Conflict,
                        format!("another alekseylearn is fetching {name} into {}", folder.display()),
                    )
                    .hint("wait until it has finished, or fetch into another folder"));
                }
                Lock::Gone => {}
                Lock::Taken(lock) => break (inner, lock),
            }
        };
        let replaceable = BTreeSet::new();
        let staging =
            Self { target, name: place, folder: inner, keep: false, replaceable, made, _lock: lock };
        if !staging.folder.holds(Path::new("ready")) {
            staging.clear().map_err(cannot_write)?;
        }
        Ok(staging)
    }

    /// Allows replacing entries of the user's folder with these names.
    pub fn may_replace(&mut self, names: BTreeSet<OsString>) {
        self.replaceable = names;
    }

    /// The existing entries that must not be replaced.
    pub fn beside(&self) -> Beside {
        Beside { folder: self.target.clone(), replaceable: self.replaceable.clone() }
    }

    /// Empties the tree.
    fn clear(&self) -> io::Result<()> {
        self.folder.remove_all(Path::new("tree"))?;
        self.folder.make_below(Path::new("tree")).map(drop)
    }

    /// The path of the downloaded archive.
    pub fn archive(&self) -> At {
        At::new(&self.folder, "archive")
    }

    /// The folder of downloaded objects that are not an archive.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn coming(&self) -> Result<Folder> {
        self.folder.make_below(Path::new("coming")).map_err(|error| self.cannot_write(error))
    }

    /// Removes the archive.
    pub fn drop_archive(&self) {
        // If it cannot be removed now, it is removed with the rest.
        let archive = self.archive();
        let _ = archive.folder.remove_file(&archive.name);
        let _ = archive.folder.remove_file(&archive.notes());
    }

    /// Moves the archive itself to its destination.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn take_archive(&self, to: &At) -> Result<()> {
        let archive = self.archive();
        let moved = archive.folder.rename(&archive.name, &to.folder, &to.name);
        moved.map_err(|error| self.cannot_write(error))?;
        self.drop_archive();
        Ok(())
    }

    fn cannot_write(&self, error: io::Error) -> Error {
        disk_space::cannot_write(self.target.path(), error)
    }

    /// # Errors
    /// The user's folder has an entry of this name.
    pub fn refuse(&self, name: &Path) -> Result<()> {
        self.beside().refuse(name)
    }

    /// The files to move to the user's folder.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn tree(&self) -> Result<Folder> {
        self.folder.below(Path::new("tree")).map_err(|error| self.cannot_write(error))
    }

    /// A complete download that a killed program did not move into place.
    pub fn left(&self, of: &str) -> Result<Option<Downloaded>> {
        let Ok(text) = self.folder.read(Path::new("ready"), MAX_LIST_LENGTH) else { return Ok(None) };
        if let Ok((what, brought)) = serde_json::from_slice::<(String, Downloaded)>(&text)
            && what == of
        {
            return Ok(Some(brought));
        }
        let removed = self.folder.remove_file(Path::new("ready")).and_then(|()| self.clear());
        removed.map_err(|error| self.cannot_write(error))?;
        Ok(None)
    }

    /// Keeps the download for the next run, if there is any.
    pub fn keep(&mut self) {
        let coming = self.folder.below(Path::new("coming"));
        let entries = coming.and_then(|coming| coming.entries()).unwrap_or_default();
        let objects = entries.iter().map(|entry| Path::new("coming").join(&entry.name));
        let mut notes = objects.filter(|path| path.extension().is_some()).chain([self.archive().notes()]);
        self.keep = notes.any(|notes| {
            let text = self.folder.read(&notes, MAX_LIST_LENGTH);
            text.is_ok_and(|text| {
                text.split(|byte| *byte == b'\n').nth(1).is_some_and(|line| !line.is_empty())
            })
        });
    }

    /// Moves the tree to the user's folder, all or nothing: the next run finishes an interrupted move. Existing files
    /// are an error, or replaced with `overwrite`; those that may be replaced always are.
    ///
    /// # Errors
    /// A file exists, or the folder cannot be written to.
    pub fn publish(&self, of: &str, brought: &Downloaded, overwrite: bool) -> Result<()> {
        let cannot_write = |error| self.cannot_write(error);
        let tree = self.tree()?;
        let names = names(&tree).map_err(cannot_write)?;
        if !overwrite {
            names.iter().try_for_each(|name| self.refuse(Path::new(name)))?;
        }
        self.settle(of, brought).map_err(cannot_write)?;
        for name in &names {
            self.take_away(name).map_err(cannot_write)?;
            tree.rename(Path::new(name), &self.target, Path::new(name)).map_err(cannot_write)?;
        }
        for name in self.replaceable.iter().filter(|name| !names.contains(name)) {
            self.take_away(name).map_err(cannot_write)?;
        }
        self.target.sync().map_err(cannot_write)
    }

    /// Moves an existing entry away, so that it is never visible half-removed.
    fn take_away(&self, name: &OsString) -> io::Result<()> {
        if !self.target.holds(Path::new(name)) {
            return Ok(());
        }
        let replaced = self.folder.make_below(Path::new("replaced"))?;
        let away = replaced.make_below(Path::new(&uuid::Uuid::new_v4().to_string()))?;
        self.target.rename(Path::new(name), &away, Path::new(name))
    }

    /// Syncs the tree to the disk, and marks it as ready.
    fn settle(&self, of: &str, brought: &Downloaded) -> io::Result<()> {
        let ready = Path::new("ready");
        if self.folder.holds(ready) {
            return Ok(());
        }
        self.folder.sync_all()?;
        let content = serde_json::to_vec(&(of, brought))?;
        self.folder.write(ready, PRIVATE, |file| file.write_all(&content))
    }
}

fn names(tree: &Folder) -> io::Result<Vec<OsString>> {
    Ok(tree.entries()?.into_iter().map(|entry| entry.name).collect())
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.keep {
            // The next run removes what could not be removed.
            let _ = self.target.remove_all(&self.name);
            // Folders that are not empty are kept.
            let _ = self.made.iter().try_for_each(std::fs::remove_dir);
        }
    }
}

/// The existing entries of the user's folder.
#[derive(Clone, Debug)]
pub struct Beside {
    folder: Folder,
    replaceable: BTreeSet<OsString>,
}

impl Beside {
    /// # Errors
    /// The first part of the path exists, and must not be replaced.
    pub(super) fn refuse(&self, path: &Path) -> Result<()> {
        let Some(first) = path.iter().next().filter(|first| !self.replaceable.contains(*first)) else {
            return Ok(());
        };
        if self.folder.holds(Path::new(first)) {
            let first = self.folder.path().join(first);
            return Err(Error::new(Kind::Conflict, format!("{} already exists", first.display()))
                .hint("fetch into another folder, or use --overwrite to replace it"));
        }
        Ok(())
    }
}

enum Lock {
    Taken(File),
    /// A running program holds the lock.
    Held,
    /// The folder was removed meanwhile.
    Gone,
}

fn locked(target: &Folder, place: &Path) -> io::Result<Lock> {
    use std::os::unix::fs::MetadataExt;
    let lock = place.join("lock");
    let file = match target.update(&lock, PRIVATE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Lock::Gone),
        file => file?,
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Lock::Held),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let data = file.metadata()?;
    match target.facts(&lock) {
        Ok(there) if there.identity == (data.dev(), data.ino()) => Ok(Lock::Taken(file)),
        _ => Ok(Lock::Gone),
    }
}

/// Removes staging folders that killed programs left under other names: those without a held lock.
fn sweep(target: &Folder, but: &Path) -> io::Result<()> {
    for entry in target.entries()? {
        let ours = entry.name.to_string_lossy().starts_with(PREFIX) && entry.what == What::Folder;
        let place = Path::new(&entry.name);
        if ours && place != but && !matches!(locked(target, place), Ok(Lock::Held)) {
            target.remove_all(place)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn brought(names: &[&str]) -> Downloaded {
        Downloaded { files: names.iter().map(PathBuf::from).collect(), size: 1, ..Downloaded::default() }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Simulates a kill: the files stay, but not the lock.
    fn killed(mut staging: Staging) {
        staging.keep = true;
    }

    #[test]
    fn an_interrupted_move_is_finished() {
        let root = tempfile::tempdir().unwrap();
        let staging = Staging::open(root.path(), "job").unwrap();
        fs::write(staging.tree().unwrap().path().join("a"), "a").unwrap();
        fs::write(staging.tree().unwrap().path().join("b"), "b").unwrap();
        staging.settle("it", &brought(&["a", "b"])).unwrap();
        fs::rename(staging.tree().unwrap().path().join("a"), root.path().join("a")).unwrap();
        killed(staging);
        let staging = Staging::open(root.path(), "job").unwrap();
        assert_eq!(staging.left("it").unwrap(), Some(brought(&["a", "b"])));
        staging.publish("it", &brought(&["a", "b"]), false).unwrap();
        drop(staging);
        assert_eq!(names(root.path()), ["a", "b"]);
        assert_eq!(fs::read_to_string(root.path().join("b")).unwrap(), "b");
    }

    #[test]
    fn leftovers_of_another_job_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let staging = Staging::open(root.path(), "other").unwrap();
        fs::write(staging.tree().unwrap().path().join("a"), "a").unwrap();
        staging.settle("it", &brought(&["a"])).unwrap();
        killed(staging);
        let staging = Staging::open(root.path(), "job").unwrap();
        assert_eq!(names(root.path()), [".alekseylearn-job"]);
        fs::write(staging.tree().unwrap().path().join("a"), "a").unwrap();
        staging.settle("it", &brought(&["a"])).unwrap();
        killed(staging);
        let staging = Staging::open(root.path(), "job").unwrap();
        assert_eq!(staging.left("another way").unwrap(), None);
        assert!(super::names(&staging.tree().unwrap()).unwrap().is_empty());
    }

    #[test]
    fn a_created_folder_that_stays_empty_is_removed() {
        let root = tempfile::tempdir().unwrap();
        drop(Staging::open(&root.path().join("a/b"), "job").unwrap());
        assert!(names(root.path()).is_empty());
        fs::create_dir(root.path().join("a")).unwrap();
        drop(Staging::open(&root.path().join("a/b"), "job").unwrap());
        assert_eq!(names(root.path()), ["a"]);
        let staging = Staging::open(&root.path().join("a/b"), "job").unwrap();
        fs::write(staging.tree().unwrap().path().join("m"), "m").unwrap();
        staging.publish("it", &brought(&["m"]), false).unwrap();
        drop(staging);
        assert_eq!(names(&root.path().join("a/b")), ["m"]);
    }

    #[test]
    fn only_replaceable_entries_are_replaced() {
        let root = tempfile::tempdir().unwrap();
        for name in ["a", "old", "mine"] {
            fs::write(root.path().join(name), "before").unwrap();
        }
        let mut staging = Staging::open(root.path(), "job").unwrap();
        fs::write(staging.tree().unwrap().path().join("a"), "after").unwrap();
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
        assert_eq!(names(root.path()).len(), 2, "a folder that another program uses is kept");
        drop((first, beside));
        assert!(names(root.path()).is_empty());
    }

    /// Links under our names that somebody else put into the user's folder before.
    #[test]
    fn existing_links_are_not_followed() {
        use std::os::unix::fs::symlink;
        for link in ["", "lock", "tree", "archive", "archive.parts", "coming", "ready", "replaced"] {
            let root = tempfile::tempdir().unwrap();
            let (out, victim) = (root.path().join("out"), root.path().join("victim"));
            fs::create_dir_all(out.join(".alekseylearn-job")).unwrap();
            fs::create_dir(&victim).unwrap();
            fs::write(victim.join("kept"), "kept").unwrap();
            let place = out.join(".alekseylearn-job").join(link);
            if link.is_empty() {
                fs::remove_dir(out.join(".alekseylearn-job")).unwrap();
                symlink(&victim, out.join(".alekseylearn-job")).unwrap();
            } else {
                symlink(victim.join(if link == "coming" { "" } else { "kept" }), &place).unwrap();
            }
            let tried = || -> Result<()> {
                let staging = Staging::open(&out, "job")?;
                fs::write(staging.tree()?.path().join("m"), "m").unwrap();
                let object =
                    super::super::Object { size: 3, etag: Some("e".into()), checksum: None, in_parts: true };
                let at = At::new(&staging.coming()?, "x");
                for at in [at, staging.archive()] {
                    let (_, file) = super::super::parts::Parts::open(&at, &object)
                        .map_err(|error| staging.cannot_write(error))?;
                    (&file).write_all(b"new").unwrap();
                }
                staging.publish("it", &brought(&["m"]), true)
            };
            // Whether it succeeds or not, nothing behind the link is changed.
            let _ = tried();
            assert_eq!(names(&victim), ["kept"], "{link}");
            assert_eq!(fs::read(victim.join("kept")).unwrap(), b"kept", "{link}");
        }
    }
}
