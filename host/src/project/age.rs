//! Finds the last commit of a project's repository: the project worked with the package versions of that day.

use std::{
    fs,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use flate2::read::ZlibDecoder;
use jiff::Timestamp;

use crate::disk;

/// A day in seconds.
const DAY: i64 = 24 * 60 * 60;
/// Age in seconds after which a project may need older versions of its packages.
const OLD: i64 = 365 * DAY;
/// Maximum bytes that are read of a commit or of a small file.
const MAX_SIZE: u64 = 1 << 20;

/// Returns the day of the last commit in a folder's repository, such as `2019-05-01`, if it is more than a year ago.
pub fn long_ago(folder: &Path) -> Option<String> {
    let repository = Repository::above(folder)?;
    let seconds = repository.last_commit()?;
    let age = Timestamp::now().as_second() - seconds;
    // The next day, so that releases of the day itself count.
    let day = Timestamp::from_second(seconds.checked_add(DAY)?).ok()?;
    let day = day.to_string().split('T').next()?.to_owned();
    (age > OLD).then_some(day)
}

/// A git repository, read without git: its settings could run any program.
struct Repository {
    /// The git folder of this working tree.
    folder: PathBuf,
    /// The git folder that all working trees share.
    common: PathBuf,
}

impl Repository {
    fn above(folder: &Path) -> Option<Self> {
        let place = folder.ancestors().map(|folder| folder.join(".git")).find(|path| path.exists())?;
        let folder = if place.is_dir() {
            place
        } else {
            let text = small(&place)?;
            place.parent()?.join(text.strip_prefix("gitdir:")?.trim())
        };
        let common = small(&folder.join("commondir")).map(|text| folder.join(text.trim()));
        Some(Self { common: common.unwrap_or_else(|| folder.clone()), folder })
    }

    /// Returns the time of the last commit, in seconds since the Unix epoch.
    fn last_commit(&self) -> Option<i64> {
        let head = small(&self.folder.join("HEAD"))?;
        let id = match head.trim().strip_prefix("ref: ") {
            None => head.trim().to_owned(),
            Some(name) if name.contains("..") || name.starts_with('/') => return None,
            Some(name) => {
                let loose = [&self.folder, &self.common].iter().find_map(|folder| small(&folder.join(name)));
                loose.or_else(|| self.packed_reference(name))?.trim().to_owned()
            }
        };
        let id = hex::decode(id).ok().filter(|id| id.len() == 20)?;
        committed(&self.loose(&id).or_else(|| self.packed(&id))?)
    }

    fn packed_reference(&self, name: &str) -> Option<String> {
        let text = small(&self.common.join("packed-refs"))?;
        text.lines().find_map(|line| line.strip_suffix(name)?.strip_suffix(' ').map(str::to_owned))
    }

    fn loose(&self, id: &[u8]) -> Option<String> {
        let name = hex::encode(id);
        let file = disk::open(&self.common.join("objects").join(&name[..2]).join(&name[2..])).ok()?;
        inflated(file)
    }

    /// Reads a commit from a pack, if it is stored whole there, as the newest commit of a clone is.
    fn packed(&self, id: &[u8]) -> Option<String> {
        let entries = fs::read_dir(self.common.join("objects/pack")).ok()?;
        let mut indexes = entries.flatten().map(|entry| entry.path());
        indexes.find_map(|index| {
            let is_index = index.extension().is_some_and(|kind| kind == "idx");
            let offset = if is_index { offset(&index, id)? } else { return None };
            let mut pack = disk::open(&index.with_extension("pack")).ok()?;
            pack.seek(SeekFrom::Start(offset)).ok()?;
            let mut byte = [0; 1];
            pack.read_exact(&mut byte).ok()?;
            let is_commit = byte[0] >> 4 & 7 == 1;
            while byte[0] & 0x80 != 0 {
                pack.read_exact(&mut byte).ok()?;
            }
            if is_commit { inflated(pack) } else { None }
        })
    }
}

/// Returns the offset of an object in a pack, by the pack's index (version 2).
fn offset(index: &Path, id: &[u8]) -> Option<u64> {
    const HEAD: u64 = 8;
    const NAMES: u64 = HEAD + 256 * 4;
    let mut file = disk::open(index).ok()?;
    let mut number = |at: u64| {
        let mut bytes = [0; 4];
        file.seek(SeekFrom::Start(at)).ok()?;
        file.read_exact(&mut bytes).ok()?;
        Some(u64::from(u32::from_be_bytes(bytes)))
    };
    let first = u64::from(*id.first()?);
    let begin = if first == 0 { 0 } else { number(HEAD + (first - 1) * 4)? };
    let (end, count) = (number(HEAD + first * 4)?, number(HEAD + 255 * 4)?);
    if begin > end || end > count || (end - begin) * 20 > MAX_SIZE * 64 {
        return None;
    }
    let mut names = vec![0; usize::try_from((end - begin) * 20).ok()?];
    let mut again = disk::open(index).ok()?;
    again.seek(SeekFrom::Start(NAMES + begin * 20)).ok()?;
    again.read_exact(&mut names).ok()?;
    let place = begin + names.chunks(20).position(|name| name == id)? as u64;
    let offset = number(NAMES + count * 24 + place * 4)?;
    // Larger offsets are in a table of their own, which only packs beyond 2 GiB have.
    (offset < 1 << 31).then_some(offset)
}

fn inflated(from: impl Read) -> Option<String> {
    let mut bytes = Vec::new();
    ZlibDecoder::new(from).take(MAX_SIZE).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Returns the time of a commit, from its line `committer`.
fn committed(commit: &str) -> Option<i64> {
    let head = commit.split("\n\n").next().unwrap_or(commit);
    let line = head.lines().find_map(|line| line.strip_prefix("committer "))?;
    line.rsplit(' ').nth(1)?.parse().ok()
}

/// Reads a small text file of git.
fn small(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = disk::open(path).ok().filter(|file| file.metadata().is_ok_and(|data| data.is_file()))?;
    file.take(MAX_SIZE).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_last_commit_is_read_loose_and_packed() {
        let folder = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str]| {
            let status = Command::new("git")
                .args(arguments)
                .current_dir(folder.path())
                .env("GIT_COMMITTER_DATE", "2019-05-01T12:00:00Z")
                .env("GIT_AUTHOR_DATE", "2001-01-01T12:00:00Z")
                .env("GIT_CONFIG_GLOBAL", "/dev/null")
                .status();
            assert!(status.unwrap().success(), "git {arguments:?}");
        };
        assert_eq!(long_ago(&folder.path().join("below")), None, "no repository");
        let who = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
        git(&["init", "-q"]);
        assert_eq!(long_ago(folder.path()), None, "no commit");
        git(&[&who[..], &["commit", "-q", "--allow-empty", "-m", "one"]].concat());
        assert_eq!(long_ago(folder.path()).as_deref(), Some("2019-05-02"));
        git(&["pack-refs", "--all"]);
        git(&["gc", "-q", "--prune=now"]);
        assert_eq!(long_ago(folder.path()).as_deref(), Some("2019-05-02"), "in a pack");
        fs::write(folder.path().join(".git/HEAD"), "ref: ../../etc/passwd\n").unwrap();
        assert_eq!(long_ago(folder.path()), None);
    }
}
