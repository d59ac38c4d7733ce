//! Access to a folder in which others may write. Everything below it is opened relative to its handle, one name at a time,
//! and neither links nor `..` are followed. Files with several names (hard links) are not written to.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, ErrorKind},
    os::{fd::OwnedFd, unix::ffi::OsStrExt, unix::fs::MetadataExt},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

#[cfg(target_os = "linux")]
use rustix::fs::{ResolveFlags, openat2};
use rustix::{
    fs::{
        AtFlags, CWD, Dir, FileType, Mode, OFlags, fsync, mkdirat, openat, renameat, statat, symlinkat,
        unlinkat,
    },
    io::Errno,
};

use super::{
    partial::Partial,
    read::{READ, at_most, regular},
};

#[cfg(target_os = "linux")]
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// The mode of folders, before the umask.
const MODE: u32 = 0o777;

/// An open folder. Clones share the handle.
#[derive(Clone, Debug)]
pub struct Folder {
    handle: Arc<OwnedFd>,
    path: PathBuf,
}

/// The type of an entry of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A pipe, a socket or a device.
    Other,
}

/// An entry of a folder.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name of the entry.
    pub name: OsString,
    /// The type; a link is not followed.
    pub what: What,
}

/// The metadata of an entry; a link is not followed.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The type.
    pub what: What,
    /// The size in bytes.
    pub size: u64,
    /// The device and the inode number.
    pub identity: (u64, u64),
}

impl Folder {
    /// Opens a folder that the user or the program named. Links in its path are followed.
    ///
    /// # Errors
    /// There is no such folder, or it cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self::new(openat(CWD, path, FOLDER, Mode::empty())?, path))
    }

    /// Opens a folder, and creates it and its parents if they are missing.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn make(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        Self::open(path)
    }

    fn new(handle: OwnedFd, path: &Path) -> Self {
        Self { handle: Arc::new(handle), path: path.to_owned() }
    }

    /// The path with which it was opened, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a folder below this one; this folder itself for an empty path.
    ///
    /// # Errors
    /// There is no such folder, or its path contains a link.
    pub fn below(&self, path: &Path) -> io::Result<Self> {
        names(path)?.into_iter().try_fold(self.clone(), |folder, name| folder.enter(name))
    }

    /// The same, but creates missing folders.
    ///
    /// # Errors
    /// A folder cannot be created, or the path contains a link.
    pub fn make_below(&self, path: &Path) -> io::Result<Self> {
        names(path)?.into_iter().try_fold(self.clone(), |folder, name| {
            match mkdirat(&*folder.handle, name, Mode::from(MODE)) {
                Ok(()) | Err(Errno::EXIST) => folder.enter(name),
                Err(error) => Err(error.into()),
            }
        })
    }

    fn enter(&self, name: &OsStr) -> io::Result<Self> {
        let handle = openat(&*self.handle, name, FOLDER | OFlags::NOFOLLOW, Mode::empty());
        Ok(Self::new(handle.map_err(|error| self.explain(name, error))?, &self.path.join(name)))
    }

    /// The parent folder of a path below this one, and the last name.
    fn place<'a>(&self, path: &'a Path) -> io::Result<(Self, &'a OsStr)> {
        let mut names = names(path)?;
        let name = names.pop().ok_or(ErrorKind::InvalidInput)?;
        Ok((names.into_iter().try_fold(self.clone(), |folder, name| folder.enter(name))?, name))
    }

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// There is no such file, it is not a regular file, or its path contains a link.
    pub fn open_file(&self, path: &Path) -> io::Result<File> {
        // One call if the kernel supports it; else, and to find the cause of an error, one name after the other.
        #[cfg(target_os = "linux")]
        if names(path).is_ok()
            && let Ok(file) = openat2(&*self.handle, path, READ, Mode::empty(), BENEATH)
        {
            return regular(file.into());
        }
        let (folder, name) = self.place(path)?;
        let file = openat(&*folder.handle, name, READ | OFlags::NOFOLLOW, Mode::empty());
        regular(file.map_err(|error| folder.explain(name, error))?.into())
    }

    /// Reads a regular file of at most `most` bytes.
    ///
    /// # Errors
    /// Those of [`Folder::open_file`], or it is larger.
    pub fn read(&self, path: &Path, most: u64) -> io::Result<Vec<u8>> {
        at_most(self.open_file(path)?, most)
    }

    /// Creates a file for reading and writing.
    ///
    /// # Errors
    /// The name exists already, or the folder is not writable.
    pub fn create(&self, path: &Path, mode: u32) -> io::Result<File> {
        let (folder, name) = self.place(path)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&*folder.handle, name, flags, Mode::from(mode))?.into())
    }

    /// Opens a file for reading and writing, and creates it if it is missing.
    ///
    /// # Errors
    /// It is not a regular file with a single name, or the folder is not writable.
    pub fn update(&self, path: &Path, mode: u32) -> io::Result<File> {
        let (folder, name) = self.place(path)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&*folder.handle, name, flags, Mode::from(mode));
        let file = regular(file.map_err(|error| folder.explain(name, error))?.into())?;
        if file.metadata()?.nlink() > 1 {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it is a hard link to another file"));
        }
        Ok(file)
    }

    /// Starts a file that gets its name when it is complete.
    ///
    /// # Errors
    /// The folder is not writable.
    pub fn begin(&self, path: &Path, mode: u32) -> io::Result<Partial> {
        let (folder, name) = self.place(path)?;
        Partial::begin(folder, name, mode)
    }

    /// Writes a whole file, and replaces what has its name.
    ///
    /// # Errors
    /// The folder is not writable, the disk is full, or `content` fails. Nothing changes then.
    pub fn write(
        &self,
        path: &Path,
        mode: u32,
        content: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut partial = self.begin(path, mode)?;
        content(partial.file_mut())?;
        partial.commit()
    }

    /// Creates a symbolic link.
    ///
    /// # Errors
    /// The name exists already, or the folder is not writable.
    pub fn link(&self, target: &Path, path: &Path) -> io::Result<()> {
        let (folder, name) = self.place(path)?;
        Ok(symlinkat(target, &*folder.handle, name)?)
    }

    /// The target of a link.
    ///
    /// # Errors
    /// There is no such link.
    pub fn target(&self, path: &Path) -> io::Result<PathBuf> {
        let (folder, name) = self.place(path)?;
        let target = rustix::fs::readlinkat(&*folder.handle, name, Vec::new())?;
        Ok(PathBuf::from(OsStr::from_bytes(target.as_bytes())))
    }

    /// Renames an entry, within this folder or to another one.
    ///
    /// # Errors
    /// There is no such entry, or a folder has the new name.
    pub fn rename(&self, path: &Path, to: &Self, new: &Path) -> io::Result<()> {
        let ((folder, name), (to, new)) = (self.place(path)?, to.place(new)?);
        Ok(renameat(&*folder.handle, name, &*to.handle, new)?)
    }

    /// Removes a file or a link.
    ///
    /// # Errors
    /// There is no such entry, or it cannot be removed.
    pub fn remove_file(&self, path: &Path) -> io::Result<()> {
        let (folder, name) = self.place(path)?;
        Ok(unlinkat(&*folder.handle, name, AtFlags::empty())?)
    }

    /// Removes an entry with its content. A missing entry is no error.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn remove_all(&self, path: &Path) -> io::Result<()> {
        let (folder, name) = match self.place(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            place => place?,
        };
        let unlinked = match folder.facts(Path::new(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Ok(Facts { what: What::Folder, .. }) => {
                folder.enter(name)?.clear()?;
                unlinkat(&*folder.handle, name, AtFlags::REMOVEDIR)
            }
            _ => unlinkat(&*folder.handle, name, AtFlags::empty()),
        };
        Ok(unlinked?)
    }

    /// Removes the content of this folder. Needs two handles, however deep the folders are: folders below are first moved
    /// up.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn clear(&self) -> io::Result<()> {
        loop {
            let entries = self.entries()?;
            if entries.is_empty() {
                return Ok(());
            }
            for Entry { name, what } in entries {
                if what != What::Folder {
                    unlinkat(&*self.handle, &name, AtFlags::empty())?;
                    continue;
                }
                let inner = self.enter(&name)?;
                for entry in inner.entries()? {
                    if entry.what == What::Folder {
                        let up = uuid::Uuid::new_v4().simple().to_string();
                        renameat(&*inner.handle, &entry.name, &*self.handle, up)?;
                    } else {
                        unlinkat(&*inner.handle, &entry.name, AtFlags::empty())?;
                    }
                }
                unlinkat(&*self.handle, &name, AtFlags::REMOVEDIR)?;
            }
        }
    }

    /// The entries of the folder, in no particular order.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(&*self.handle)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let what = match entry.file_type() {
                // Some file systems do not report the type.
                FileType::Unknown => match self.facts(Path::new(name)) {
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    facts => facts?.what,
                },
                kind => What::of(kind),
            };
            entries.push(Entry { name: name.to_owned(), what });
        }
        Ok(entries)
    }

    /// The metadata of an entry.
    ///
    /// # Errors
    /// There is no such entry.
    #[allow(clippy::unnecessary_cast, reason = "the types of a stat differ between systems")]
    pub fn facts(&self, path: &Path) -> io::Result<Facts> {
        let (folder, name) = self.place(path)?;
        let stat = statat(&*folder.handle, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Facts {
            what: What::of(FileType::from_raw_mode(stat.st_mode)),
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            identity: (stat.st_dev as u64, stat.st_ino as u64),
        })
    }

    /// Whether an entry exists; a dangling link counts.
    pub fn holds(&self, path: &Path) -> bool {
        self.facts(path).is_ok()
    }

    /// Waits until the entries of the folder are on the disk.
    ///
    /// # Errors
    /// The disk fails.
    pub fn sync(&self) -> io::Result<()> {
        Ok(fsync(&*self.handle)?)
    }

    /// Waits until everything written to its file system is on the disk: one call for a hundred thousand files.
    ///
    /// # Errors
    /// The disk fails.
    pub fn sync_all(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        rustix::fs::syncfs(&*self.handle)?;
        self.sync()
    }

    /// The free space of its file system in bytes; `None` if it is not reported.
    pub fn free_space(&self) -> Option<u64> {
        let disk = rustix::fs::fstatvfs(&*self.handle).ok()?;
        disk.f_bavail.checked_mul(disk.f_frsize)
    }

    /// The error of a failed open; says so if the name is a link.
    fn explain(&self, name: &OsStr, error: Errno) -> io::Error {
        let is_link = || {
            let stat = statat(&*self.handle, name, AtFlags::SYMLINK_NOFOLLOW);
            stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
        };
        if matches!(error, Errno::LOOP | Errno::NOTDIR | Errno::MLINK) && is_link() {
            return io::Error::new(ErrorKind::InvalidInput, format!("{} is a link", name.display()));
        }
        error.into()
    }
}

impl What {
    fn of(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Folder,
            FileType::Symlink => Self::Link,
            _ => Self::Other,
        }
    }
}

/// The names of a relative path without `..`.
fn names(path: &Path) -> io::Result<Vec<&OsStr>> {
    let refused =
        || io::Error::new(ErrorKind::InvalidInput, format!("{} is outside of the folder", path.display()));
    path.components()
        .filter(|part| !matches!(part, Component::CurDir))
        .map(|part| match part {
            Component::Normal(name) => Ok(name),
            _ => Err(refused()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write, os::unix::fs::symlink};

    use super::*;

    fn scene() -> (tempfile::TempDir, Folder) {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("inside/sub")).unwrap();
        fs::write(at("secret"), "secret").unwrap();
        fs::write(at("inside/sub/file"), "content").unwrap();
        symlink("../secret", at("inside/link")).unwrap();
        symlink("..", at("inside/up")).unwrap();
        symlink("sub", at("inside/near")).unwrap();
        symlink("nothing", at("inside/dangling")).unwrap();
        fs::hard_link(at("secret"), at("inside/hard")).unwrap();
        let folder = Folder::open(&at("inside")).unwrap();
        (root, folder)
    }

    const HOSTILE: &[&str] =
        &["link", "up/secret", "near/file", "../secret", "sub/../../secret", "/etc/hostname", "", "."];

    #[test]
    fn nothing_is_opened_through_a_link_or_upwards() {
        let (root, folder) = scene();
        assert_eq!(folder.read(Path::new("./sub/file"), 10).unwrap(), b"content");
        for path in HOSTILE.iter().map(Path::new) {
            assert!(folder.open_file(path).is_err(), "{}", path.display());
            assert!(folder.update(path, 0o600).is_err(), "{}", path.display());
            assert!(folder.create(path, 0o600).is_err(), "{}", path.display());
            assert!(folder.make_below(&path.join("new")).is_err() || path.as_os_str().len() < 2);
        }
        for path in ["dangling", "hard"].map(Path::new) {
            assert!(folder.update(path, 0o600).is_err(), "{}", path.display());
        }
        let error = folder.open_file(Path::new("link")).unwrap_err();
        assert_eq!(error.to_string(), "link is a link");
        // Writing replaces a link of that name; its target is unchanged.
        for path in ["link", "dangling", "hard"].map(Path::new) {
            folder.write(path, 0o600, |file| file.write_all(b"new")).unwrap();
            assert_eq!(folder.read(path, 3).unwrap(), b"new");
        }
        assert_eq!(fs::read(root.path().join("secret")).unwrap(), b"secret");
        assert!(!root.path().join("inside/nothing").exists() && !root.path().join("new").exists());
        assert!(folder.write(Path::new("up/x"), 0o600, |_| Ok(())).is_err());
        assert!(folder.rename(Path::new("sub/file"), &folder, Path::new("up/x")).is_err());
    }

    #[test]
    fn a_folder_is_removed_with_all_in_it_and_nothing_beyond_it() {
        let (root, folder) = scene();
        // Deeper than the limits of path length and open handles.
        let mut deep = folder.make_below(Path::new("deep")).unwrap();
        for _ in 0..3_000 {
            deep = deep.make_below(Path::new("d")).unwrap();
        }
        deep.create(Path::new("file"), 0o600).unwrap();
        symlink(root.path(), root.path().join("inside/sub/out")).unwrap();
        drop(deep);
        let outer = Folder::open(root.path()).unwrap();
        outer.remove_all(Path::new("inside/link")).unwrap();
        outer.remove_all(Path::new("inside/up")).unwrap();
        assert!(outer.holds(Path::new("secret")));
        outer.remove_all(Path::new("inside")).unwrap();
        outer.remove_all(Path::new("inside/sub")).unwrap();
        assert_eq!(outer.entries().unwrap().len(), 1);
        assert_eq!(outer.read(Path::new("secret"), 10).unwrap(), b"secret");
    }

    #[test]
    fn entries_have_their_types() {
        let (_root, folder) = scene();
        let mut entries = folder.entries().unwrap();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let found: Vec<_> = entries.iter().map(|entry| (entry.name.to_str().unwrap(), entry.what)).collect();
        let links = ["dangling", "hard", "link", "near", "sub", "up"];
        let whats = [What::Link, What::File, What::Link, What::Link, What::Folder, What::Link];
        assert_eq!(found, links.into_iter().zip(whats).collect::<Vec<_>>());
        assert_eq!(folder.facts(Path::new("sub/file")).unwrap().size, 7);
        assert_eq!(folder.target(Path::new("near")).unwrap(), Path::new("sub"));
        assert!(folder.holds(Path::new("dangling")) && !folder.holds(Path::new("sub/nothing")));
    }
}
