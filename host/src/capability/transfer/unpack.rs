//! Unpacks a `.tar.gz` into a folder, and nowhere else. Code on another machine made the archive, so nothing in it is
//! trusted.

use std::{
    cell::Cell,
    collections::{BTreeSet, VecDeque},
    ffi::{OsStr, OsString},
    fs::Permissions,
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use tar::{Archive, Entry, EntryType};

use super::{
    disk_space,
    staging::{At, Beside, Downloaded, PREFIX},
};
use crate::{
    disk::{Facts, Folder, PRIVATE, What},
    error::{Error, Result},
};

/// Maximum number of entries, including folders. Model artifacts have far fewer.
pub(super) const MAX_ENTRIES: usize = 1_000_000;
/// Maximum number of bytes of names, which are kept in memory, and padding between two files and after the last one.
const MAX_INTERVAL: u64 = 16 << 20;
/// A decompression bomb exceeds both limits. Normal archives, also sparse ones, stay below one of them.
const BOMB_RATIO: u64 = 200;
const BOMB_SIZE: u64 = 8 << 30;
/// Size of files from which the free disk space is checked first.
const WORTH_ASKING: u64 = 1 << 20;

/// The unpacking of an archive.
pub struct Unpack {
    /// The archive's name in messages.
    pub name: String,
    /// An empty folder. Nothing is written elsewhere.
    pub tree: Folder,
    /// Existing files that must not be replaced; `None` if they may be.
    pub beside: Option<Beside>,
}

impl Unpack {
    /// Unpacks an archive of this size.
    ///
    /// # Errors
    /// The archive is damaged or hostile, a file exists, or the disk is full.
    pub fn run(&self, size: u64, archive: impl Read) -> Result<Downloaded> {
        self.within(most_of(size), archive)
    }

    /// Unpacks at most `limit` bytes.
    pub(super) fn within(&self, limit: u64, archive: impl Read) -> Result<Downloaded> {
        self.all(archive, limit).map_err(|problem| match problem {
            Problem::Hostile(what) => Error::failed(format!("{} is unsafe: {what}", self.name))
                .hint("fetch it with --no-extract to inspect the archive; nothing was written"),
            Problem::Told(error) => error,
            Problem::Io(error) if error.raw_os_error().is_some() => {
                disk_space::cannot_write(self.tree.path(), error)
            }
            Problem::Io(error) => Error::failed(format!("{} is damaged", self.name))
                .hint("fetch it again; nothing was written")
                .source(error),
        })
    }
}

/// Maximum number of bytes in a normal archive of this size.
fn most_of(size: u64) -> u64 {
    size.saturating_mul(BOMB_RATIO).max(BOMB_SIZE)
}

enum Problem {
    Hostile(String),
    Told(Error),
    Io(io::Error),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::FileTooLarge if error.raw_os_error().is_none() => {
                Self::Hostile("it has too many bytes of names or padding".into())
            }
            // The staging folder was empty, so the name is from the archive.
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
                Self::Hostile("it has the same name twice".into())
            }
            _ => Self::Io(error),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Told(error)
    }
}

impl Unpack {
    fn all(&self, source: impl Read, limit: u64) -> Result<Downloaded, Problem> {
        let tree = &self.tree;
        let mut unpacked = Downloaded::default();
        let mut made = (PathBuf::new(), tree.clone());
        let mut seen = BTreeSet::new();
        let mut links = Vec::new();
        let mut size: u64 = 0;
        let left = Cell::new(MAX_INTERVAL);
        let plain = Metered { source: MultiGzDecoder::new(io::BufReader::new(source)), left: &left };
        let mut archive = Archive::new(plain);
        for (number, entry) in archive.entries()?.enumerate() {
            let mut entry = entry?;
            if number >= MAX_ENTRIES {
                return Err(Problem::Hostile(format!("it has more than {MAX_ENTRIES} files and folders")));
            }
            left.set(entry.size().saturating_add(MAX_INTERVAL));
            let path = safe_path(&entry.path()?).map_err(Problem::Hostile)?;
            if path.as_os_str().is_empty() {
                continue;
            }
            size = size.saturating_add(entry.size());
            if size > limit {
                return Err(Problem::Hostile(format!(
                    "it unpacks to more than {limit} bytes, like a decompression bomb"
                )));
            }
            if path.to_str().is_none() {
                unpacked.left_out.push(format!("{} (its name is not UTF-8)", path.display()));
                continue;
            }
            if let Some(beside) = &self.beside {
                beside.refuse(&path)?;
            }
            let kind = entry.header().entry_type();
            if kind.is_dir() {
                tree.make_below(&path)?;
                continue;
            }
            // Notes about the archive itself.
            if kind == EntryType::XGlobalHeader {
                continue;
            }
            let shown = path.display().to_string();
            if !seen.insert(path.clone()) {
                return Err(Problem::Hostile(format!("it has {shown} twice")));
            }
            let special = match kind {
                EntryType::Fifo => Some("a pipe"),
                EntryType::Block | EntryType::Char => Some("a device"),
                _ => None,
            };
            if let Some(special) = special {
                unpacked.left_out.push(format!("{shown} ({special})"));
                continue;
            }
            unpacked.size = unpacked.size.saturating_add(entry.size());
            if entry.size() >= WORTH_ASKING {
                disk_space::make_sure_of(entry.size(), tree)?;
            }
            // A folder's files mostly follow each other.
            if let Some(parent) = path.parent().filter(|parent| *parent != made.0) {
                made = (parent.to_owned(), tree.make_below(parent)?);
            }
            let target = At::new(&made.1, path.file_name().unwrap_or_default());
            match kind {
                EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                    write_file(&mut entry, &target)?
                }
                EntryType::Symlink => {
                    links.push((path.clone(), entry.link_name()?.unwrap_or_default().into_owned()))
                }
                EntryType::Link => {
                    let copied = copy_of(&entry, tree, &target, limit.saturating_sub(size))?;
                    size = size.saturating_add(copied);
                    unpacked.size = unpacked.size.saturating_add(copied);
                }
                other => {
                    return Err(Problem::Hostile(format!("{shown} is not a file or folder ({other:?})")));
                }
            }
            unpacked.files.push(path);
            left.set(MAX_INTERVAL);
        }
        // The tar may end before the stream: a truncated or corrupt tail is found only by reading it.
        io::copy(&mut archive.into_inner(), &mut io::sink())?;
        let lost = make_links(tree, &links)?;
        unpacked.files.retain(|path| !lost.contains(path));
        unpacked.left_out.extend(lost.iter().map(|link| format!("{} ({LEADS_OUT})", link.display())));
        unpacked.files.sort();
        Ok(unpacked)
    }
}

/// A reader that limits how many bytes an archive has without a file.
struct Metered<'a, R> {
    source: R,
    left: &'a Cell<u64>,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(to)?;
        let left = self.left.get().checked_sub(read as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        self.left.set(left);
        Ok(read)
    }
}

/// Checks that a path is relative, has no `..`, and does not use our names.
pub(super) fn safe_path(path: &Path) -> Result<PathBuf, String> {
    let mut safe = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) if safe.as_os_str().is_empty() && is_ours(name) => {
                return Err(format!("{} is a reserved name", path.display()));
            }
            Component::Normal(name) => safe.push(name),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => {
                return Err(format!("{} is an absolute path", path.display()));
            }
            Component::ParentDir => {
                return Err(format!("{} leads out of the folder", path.display()));
            }
        }
    }
    Ok(safe)
}

fn is_ours(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(PREFIX.as_bytes())
}

fn write_file<R: Read>(entry: &mut Entry<'_, R>, target: &At) -> Result<(), Problem> {
    use std::os::unix::fs::PermissionsExt;
    let mut file = target.folder.create(&target.name, PRIVATE)?;
    let copied = io::copy(entry, &mut file)?;
    if copied < entry.size() {
        return Err(Problem::Io(io::Error::from(io::ErrorKind::UnexpectedEof)));
    }
    let executable = entry.header().mode().is_ok_and(|mode| mode & 0o100 != 0);
    file.set_permissions(Permissions::from_mode(if executable { 0o755 } else { 0o644 }))?;
    Ok(())
}

/// Why a link is skipped.
const LEADS_OUT: &str = "a link to nothing in the folder";

/// Creates symbolic links last, so that no file is written through one. Links that do not lead to an entry of the
/// folder, also through others, are removed again and returned.
fn make_links(tree: &Folder, links: &[(PathBuf, PathBuf)]) -> io::Result<BTreeSet<PathBuf>> {
    let (absolute, mut made): (Vec<_>, Vec<_>) =
        links.iter().partition(|(_, points_to)| points_to.is_absolute());
    let mut lost: BTreeSet<PathBuf> = absolute.into_iter().map(|(link, _)| link.clone()).collect();
    for (link, points_to) in &made {
        tree.link(points_to, link)?;
    }
    loop {
        let (inside, out): (Vec<_>, Vec<_>) =
            made.into_iter().partition(|(link, _)| leads_inside(tree, link));
        for (link, _) in &out {
            tree.remove_file(link)?;
            lost.insert(link.clone());
        }
        // A link through a removed one is removed too. No path follows more links than this.
        if out.is_empty() {
            return Ok(lost);
        }
        made = inside;
    }
}

/// How many links a system follows in one path.
const MAX_LINKS: usize = 40;

/// Whether a path leads to an entry of the folder, following all links.
fn leads_inside(tree: &Folder, path: &Path) -> bool {
    let parts = |path: &Path| path.iter().map(OsStr::to_owned).collect::<Vec<OsString>>();
    let mut rest: VecDeque<OsString> = parts(path).into();
    let (mut at, mut links) = (PathBuf::new(), 0);
    while let Some(part) = rest.pop_front() {
        match part.as_encoded_bytes() {
            b"." => continue,
            b".." if at.pop() => continue,
            b".." | b"/" => return false,
            _ => at.push(part),
        }
        match tree.facts(&at) {
            Ok(Facts { what: What::Folder, .. }) => {}
            Ok(Facts { what: What::File, .. }) if rest.is_empty() => {}
            Ok(Facts { what: What::Link, .. }) if links < MAX_LINKS => {
                let Ok(target) = tree.target(&at) else { return false };
                at.pop();
                links += 1;
                parts(&target).into_iter().rev().for_each(|part| rest.push_front(part));
            }
            _ => return false,
        }
    }
    true
}

/// Unpacks a hard link to a file of the same archive as a copy of at most `most` bytes. Returns its size.
fn copy_of<R: Read>(entry: &Entry<'_, R>, tree: &Folder, target: &At, most: u64) -> Result<u64, Problem> {
    let name = entry.link_name()?.unwrap_or_default();
    let original = tree.open_file(&name);
    let Ok(mut original) = original else {
        return Err(Problem::Hostile(format!(
            "a link leads to {}, which is not one of its files",
            name.display()
        )));
    };
    let data = original.metadata()?;
    if data.len() > most {
        return Err(Problem::Hostile(
            "its links copy more than a model has, like a decompression bomb".into(),
        ));
    }
    if data.len() >= WORTH_ASKING {
        disk_space::make_sure_of(data.len(), tree)?;
    }
    let mut copy = target.folder.create(&target.name, PRIVATE)?;
    io::copy(&mut original, &mut copy)?;
    copy.set_permissions(data.permissions())?;
    Ok(data.len())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use flate2::{Compression, write::GzEncoder};

    use super::*;
    use crate::{capability::transfer::Staging, error::Kind};

    enum Item<'a> {
        File(&'a str, &'a [u8]),
        Symlink(&'a str, &'a str),
        HardLink(&'a str, &'a str),
        Device(&'a str),
        Pipe(&'a str),
    }
    use Item::*;

    /// Writes names unchecked, because `tar` itself refuses hostile ones.
    fn archive(items: &[Item<'_>]) -> Vec<u8> {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for item in items {
            let (name, kind, target, content): (_, _, _, &[u8]) = match item {
                File(name, content) => (name, EntryType::Regular, "", content),
                Symlink(name, target) => (name, EntryType::Symlink, *target, b""),
                HardLink(name, target) => (name, EntryType::Link, *target, b""),
                Device(name) => (name, EntryType::Char, "", b""),
                Pipe(name) => (name, EntryType::Fifo, "", b""),
            };
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o4755);
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
            header.set_cksum();
            tar.append(&header, content).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    fn unpack(bytes: &[u8], folder: &Path, overwrite: bool) -> Result<Downloaded> {
        let staging = Staging::open(folder, "job")?;
        let beside = (!overwrite).then(|| staging.beside());
        let size = bytes.len() as u64;
        let unpacked =
            Unpack { name: "model.tar.gz".into(), tree: staging.tree()?, beside }.run(size, bytes)?;
        staging.publish("it", &unpacked, overwrite)?;
        Ok(unpacked)
    }

    fn try_unpack(bytes: &[u8]) -> (tempfile::TempDir, Result<Downloaded>) {
        let root = tempfile::tempdir().unwrap();
        let result = unpack(bytes, &root.path().join("out"), false);
        (root, result)
    }

    #[test]
    fn a_normal_archive_is_unpacked() {
        let items = [
            File("./model.txt", b"abc"),
            File("a/b.txt", b"d"),
            Symlink("a/l", "../model.txt"),
            HardLink("h", "model.txt"),
        ];
        let (root, result) = try_unpack(&archive(&items));
        let unpacked = result.unwrap();
        assert_eq!(unpacked.files, ["a/b.txt", "a/l", "h", "model.txt"].map(PathBuf::from));
        let out = root.path().join("out");
        assert_eq!(fs::read_to_string(out.join("a/l")).unwrap(), "abc");
        assert_eq!(fs::read_to_string(out.join("h")).unwrap(), "abc");
        assert_eq!(fs::read_dir(&out).unwrap().count(), 3, "nothing but what was in the archive");
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            fs::metadata(out.join("model.txt")).unwrap().permissions().mode() & 0o7777,
            0o755,
            "no setuid"
        );
    }

    #[test]
    fn a_hostile_archive_leaves_nothing() {
        for items in [
            vec![File("../evil", b"x")],
            vec![File("/tmp/evil", b"x")],
            vec![File("a/../../evil", b"x")],
            vec![Symlink("d/l", ".."), Symlink("x", "d/l/.."), File("x/evil", b"x")],
            vec![File("a", b"x"), File("a/b", b"x")],
            vec![Symlink("l", "."), File("l/x", b"x"), File("l/../../evil", b"x")],
            vec![HardLink("h", "/etc/passwd")],
            vec![HardLink("h", "../model.tar.gz")],
            vec![Symlink("s", "x"), HardLink("h", "s")],
            vec![File("a", b"1"), File("./a", b"2")],
            vec![File(".alekseylearn-job/archive", b"x")],
        ] {
            let (root, result) = try_unpack(&archive(&items));
            let error = result.unwrap_err();
            assert!(error.message().contains("is unsafe"), "{error}");
            assert!(!root.path().join("out").exists());
            assert!(!root.path().join("evil").exists());
        }
    }

    #[test]
    fn skipped_entries_do_not_affect_others() {
        let items = [
            File("model.txt", b"abc"),
            File("caf\u{e9}/kept", b"x"),
            Symlink("good", "model.txt"),
            Symlink("l", "/etc"),
            Symlink("up", "../x"),
            Symlink("a/l", "../../x"),
            Symlink("d/l", ".."),
            Symlink("x", "d/l/.."),
            Symlink("dangling", "nothing"),
            Symlink("after", "dangling"),
            Symlink("loop", "loop"),
            Pipe("pipe"),
            Device("device"),
        ];
        let mut bytes = Vec::new();
        MultiGzDecoder::new(archive(&items).as_slice()).read_to_end(&mut bytes).unwrap();
        // A name in another encoding.
        let mut odd = tar::Header::new_gnu();
        odd.as_old_mut().name[..4].copy_from_slice(b"caf\xe9");
        odd.set_entry_type(EntryType::Regular);
        odd.set_size(3);
        odd.set_mode(0o644);
        odd.set_cksum();
        let mut block = odd.as_bytes().to_vec();
        block.extend_from_slice(b"xyz");
        block.resize(1024, 0);
        block.extend_from_slice(&bytes);
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        io::copy(&mut block.as_slice(), &mut packed).unwrap();
        let (root, result) = try_unpack(&packed.finish().unwrap());
        let unpacked = result.unwrap();
        let expected = ["caf\u{e9}/kept", "d/l", "good", "model.txt"].map(PathBuf::from);
        assert_eq!(unpacked.files, expected);
        let mut left_out = unpacked.left_out;
        left_out.sort();
        let links = ["a/l", "after", "dangling", "l", "loop", "up", "x"];
        let mut all: Vec<String> = links.map(|link| format!("{link} ({LEADS_OUT})")).into();
        all.extend(["pipe (a pipe)".to_owned(), "device (a device)".to_owned()]);
        all.extend(["caf\u{fffd} (its name is not UTF-8)".to_owned()]);
        all.sort();
        assert_eq!(left_out, all);
        let out = root.path().join("out");
        assert_eq!(fs::read_to_string(out.join("good")).unwrap(), "abc");
        for gone in links {
            assert!(out.join(gone).symlink_metadata().is_err(), "{gone}");
        }
        assert!(!root.path().join("x").exists());
    }

    #[test]
    fn a_file_cannot_be_written_through_a_link() {
        let (root, result) = try_unpack(&archive(&[Symlink("l", "m"), File("l", b"x")]));
        assert!(result.is_err());
        assert!(!root.path().join("out").exists());
    }

    /// A small archive without files.
    #[test]
    fn a_bomb_of_names_or_padding_is_refused() {
        let zeros = || io::repeat(0).take(MAX_INTERVAL + (1 << 20));
        let packed = |kind: Option<EntryType>| {
            let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
            let Some(kind) = kind else {
                io::copy(&mut zeros(), &mut gz).unwrap();
                return gz.finish().unwrap();
            };
            let mut tar = tar::Builder::new(gz);
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(zeros().limit());
            header.set_cksum();
            tar.append(&header, zeros()).unwrap();
            tar.into_inner().unwrap().finish().unwrap()
        };
        for kind in [None, Some(EntryType::GNULongName), Some(EntryType::XHeader)] {
            let bytes = packed(kind);
            assert!(bytes.len() < 1 << 20, "{}", bytes.len());
            let error = try_unpack(&bytes).1.unwrap_err();
            assert!(error.message().contains("too many bytes of names or padding"), "{kind:?}: {error}");
        }
    }

    #[test]
    fn a_bomb_is_found_before_it_fills_the_disk() {
        let root = tempfile::tempdir().unwrap();
        let tree = Folder::make(&root.path().join("tree")).unwrap();
        let unpack = Unpack { name: "model.tar.gz".into(), tree, beside: None };
        let files: Vec<String> = (0..64).map(|number| number.to_string()).collect();
        let of_files = files.iter().map(|name| File(name, &[0; 100_000])).collect();
        // A link is unpacked as a copy.
        let mut of_links = vec![File("whole", &[0; 100_000])];
        of_links.extend(files.iter().map(|name| HardLink(name, "whole")));
        for (items, says) in [
            (of_files, "it unpacks to more than 1048576 bytes"),
            (of_links, "its links copy more than a model has"),
        ] {
            unpack.tree.clear().unwrap();
            let error = unpack.within(1 << 20, archive(&items).as_slice()).unwrap_err();
            assert!(error.message().contains(says), "{error}");
            let written: u64 = fs::read_dir(unpack.tree.path())
                .unwrap()
                .map(|file| file.unwrap().metadata().unwrap().len())
                .sum();
            assert!(written <= 1 << 20, "{written}");
        }
        // Small archives are limited by size, large ones by the ratio.
        assert_eq!(most_of(1 << 10), BOMB_SIZE);
        assert_eq!(most_of(BOMB_SIZE), BOMB_SIZE * BOMB_RATIO);
    }

    #[test]
    fn a_damaged_archive_leaves_nothing() {
        let whole = archive(&[File("model.txt", &[7; 10_000])]);
        for bytes in [&whole[..whole.len() / 2], &whole[..whole.len() - 4], b"not an archive", b""] {
            let (root, result) = try_unpack(bytes);
            assert!(result.is_err(), "{} bytes", bytes.len());
            assert!(!root.path().join("out").exists());
        }
    }

    #[test]
    fn existing_files_are_kept_unless_replacing_is_allowed() {
        let root = tempfile::tempdir().unwrap();
        let file = archive(&[File("z.txt", b"z"), File("model.txt", b"new")]);
        let out = root.path().join("out");
        fs::create_dir(&out).unwrap();
        fs::write(out.join("model.txt"), "old").unwrap();
        let error = unpack(&file, &out, false).unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict);
        assert_eq!(fs::read_to_string(out.join("model.txt")).unwrap(), "old");
        assert!(!out.join("z.txt").exists());
        unpack(&file, &out, true).unwrap();
        assert_eq!(fs::read_to_string(out.join("model.txt")).unwrap(), "new");
    }
}
