//! Caches the hashes of files, which are identified by size, times and inode.
//!
//! The cache has one small file per project. If it is damaged, all files are read again.

use std::{
    collections::HashMap,
    fs,
    io::Write,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sha2::{Digest, Sha256};

use super::context::Sum;
use crate::disk::{self, Folder, PRIVATE};

/// A file that changed this recently may change again without a new timestamp, as with git's index.
const RACY: Duration = Duration::from_secs(2);
/// How long the hashes of an unused project are kept.
const KEPT: Duration = Duration::from_secs(60 * 24 * 60 * 60);
/// Maximum size in bytes: more than a list of a million files has.
const MAX_SIZE: u64 = 512 << 20;
const HEADER: &str = "alekseylearn hashes 1";

/// Properties that change with a file: size, inode, device, and the times of content and entry.
type Stamp = [i128; 5];

/// The cached hashes of one project.
#[derive(Debug, Default)]
pub(super) struct Hashes {
    /// `None` if nothing is cached.
    path: Option<PathBuf>,
    before: HashMap<String, (Stamp, [u8; 32])>,
    now: HashMap<String, (Stamp, [u8; 32])>,
}

impl Hashes {
    /// Reads the hashes from a file, which may be missing.
    pub(super) fn open(path: &Path) -> Self {
        let before = disk::text(path, MAX_SIZE).ok().and_then(|text| parse(&text)).unwrap_or_default();
        Self { path: Some(path.to_owned()), before, now: HashMap::new() }
    }

    /// The hash of a file, from the cache or by `read`.
    pub(super) fn of<E>(&mut self, path: &Path, read: impl FnOnce() -> Result<Sum, E>) -> Result<Sum, E> {
        let (Some(name), Some(stamp)) = (path.to_str().filter(|name| !name.contains('\n')), stamp(path))
        else {
            return read();
        };
        let size = u64::try_from(stamp[0]).unwrap_or_default();
        let sum = match self.before.get(name) {
            Some((known, hash)) if *known == stamp => Sum { size, hash: *hash },
            _ => read()?,
        };
        // A file that changed while it was read, or just before, is read again next time.
        if self::stamp(path) == Some(stamp) && is_settled(&stamp) {
            self.now.insert(name.to_owned(), (stamp, sum.hash));
        }
        Ok(sum)
    }

    /// Saves the hashes that were used, and drops the others. A failure costs only time.
    pub(super) fn keep(&self) {
        let Some(path) = self.path.as_ref().filter(|_| self.now != self.before) else { return };
        let Some(cache) = path.parent() else { return };
        forget_old(cache);
        let Some(name) = path.file_name() else { return };
        let partial = Folder::open(cache).and_then(|cache| cache.begin(Path::new(name), PRIVATE));
        let Ok(mut partial) = partial else { return };
        if partial.file_mut().write_all(format(&self.now).as_bytes()).is_ok() {
            // If another process saved its own meanwhile, they are only computed again.
            let _ = partial.commit_unsynced();
        }
    }
}

/// The cache file of a project.
pub fn known_hashes(cache: &Path, folder: &Path) -> PathBuf {
    cache.join(hex::encode(Sha256::digest(folder.as_os_str().as_encoded_bytes())))
}

fn stamp(path: &Path) -> Option<Stamp> {
    let data = fs::metadata(path).ok()?;
    let time = |seconds: i64, nanoseconds: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    Some([
        data.len().into(),
        data.ino().into(),
        data.dev().into(),
        time(data.mtime(), data.mtime_nsec()),
        time(data.ctime(), data.ctime_nsec()),
    ])
}

fn is_settled(stamp: &Stamp) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as i128);
    stamp[3..].iter().all(|time| now - time > RACY.as_nanos() as i128)
}

/// Removes the files of unused projects.
fn forget_old(cache: &Path) {
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|data| data.modified()).ok();
        if modified.and_then(|time| time.elapsed().ok()).is_some_and(|age| age > KEPT) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The file's text: a header with the hash of the rest, and a line for each file.
fn format(hashes: &HashMap<String, (Stamp, [u8; 32])>) -> String {
    let mut lines = String::new();
    for (path, (stamp, hash)) in hashes {
        let numbers: Vec<String> = stamp.iter().map(i128::to_string).collect();
        lines.push_str(&format!("{} {} {path}\n", hex::encode(hash), numbers.join(" ")));
    }
    format!("{HEADER} {}\n{lines}", hex::encode(Sha256::digest(&lines)))
}

/// Parses a file's text. `None` if a single bit is wrong, because a wrong hash would find the wrong image.
fn parse(text: &str) -> Option<HashMap<String, (Stamp, [u8; 32])>> {
    let (header, lines) = text.split_once('\n')?;
    if header != format!("{HEADER} {}", hex::encode(Sha256::digest(lines))) {
        return None;
    }
    let parse_line = |line: &str| {
        let mut parts = line.splitn(7, ' ');
        let hash = hex::decode(parts.next()?).ok()?.try_into().ok()?;
        let mut stamp = Stamp::default();
        for number in &mut stamp {
            *number = parts.next()?.parse().ok()?;
        }
        Some((parts.next()?.to_owned(), (stamp, hash)))
    };
    lines.lines().map(parse_line).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::{File, FileTimes};

    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("cache")).unwrap();
            Self(folder)
        }

        fn file(&self) -> PathBuf {
            self.0.path().join("a b.csv")
        }

        /// Whether a new process has to read the file. Ends with `keep`.
        fn is_read(&self) -> bool {
            let mut hashes = Hashes::open(&self.kept());
            let mut read = false;
            let size = fs::metadata(self.file()).unwrap().len();
            let sum = hashes.of(&self.file(), || -> Result<Sum, ()> {
                read = true;
                Ok(Sum { size, hash: [7; 32] })
            });
            assert_eq!(sum, Ok(Sum { size, hash: [7; 32] }));
            hashes.keep();
            read
        }

        fn kept(&self) -> PathBuf {
            known_hashes(&self.0.path().join("cache"), self.0.path())
        }
    }

    #[test]
    fn an_unchanged_file_is_not_read_again() {
        let folder = Folder::new();
        let path = folder.file();
        fs::write(&path, "1").unwrap();
        assert!(
            folder.is_read() && folder.is_read(),
            "it changed just now, and may change again within a tick of the clock"
        );
        // The entry's time cannot be set, so the cached one is changed instead.
        let settled = |path: &Path| {
            let mut hashes = Hashes::open(&folder.kept());
            hashes.now.insert(path.to_str().unwrap().into(), (stamp(path).unwrap(), [7; 32]));
            hashes.keep();
        };
        settled(&path);
        let mut hashes = Hashes::open(&folder.kept());
        assert_eq!(hashes.of(&path, || Err("read")), Ok(Sum { size: 1, hash: [7; 32] }));
        // The same size and time, but written again.
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "2").unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_times(FileTimes::new().set_modified(time))
            .unwrap();
        assert!(folder.is_read());
        settled(&path);
        // Another file in its place.
        fs::write(path.with_extension("new"), "2").unwrap();
        fs::rename(path.with_extension("new"), &path).unwrap();
        assert!(folder.is_read());
    }

    #[test]
    fn a_damaged_cache_is_ignored() {
        let text = format(&[("/x/a b".to_owned(), ([1, 2, 3, -4, 5], [9; 32]))].into());
        assert_eq!(parse(&text).unwrap()["/x/a b"], ([1, 2, 3, -4, 5], [9; 32]));
        for at in 0..text.len() {
            assert_eq!(parse(&text[..at]), None, "cut at {at}");
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            assert_eq!(parse(&String::from_utf8(bytes).unwrap()), None, "a bit at {at}");
        }
        let folder = Folder::new();
        fs::write(folder.file(), "1").unwrap();
        fs::create_dir(folder.kept()).unwrap();
        assert!(folder.is_read(), "not even a file");
        assert!(folder.kept().is_dir());
    }
}
