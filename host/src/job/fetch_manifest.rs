//! Remembers what was downloaded to a folder, and whether it has changed since: the next run may replace only
//! unchanged files.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs::File,
    io::{self, BufWriter},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    disk::{self, Folder, PRIVATE, What},
    environment::Environment,
    error::{Context, Result},
};

/// Folder beside the record, with a file for each folder that was a target of a download.
const FOLDER: &str = "fetched";
/// Maximum size of such a file in bytes, enough for a million files.
const MAX_SIZE: u64 = 256 << 20;
/// How long a target folder is remembered after its last download.
const MAX_KEPT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Shows whether a file has changed, without reading it: its size, its inode number, and when its inode changed last
/// (`ctime`) in nanoseconds, which cannot be set back.
type Stamp = (u64, u64, i128);

/// The newest results in a folder.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct FetchManifest {
    /// The job that they belong to.
    pub job: String,
    #[serde(default)]
    folder: PathBuf,
    files: BTreeMap<PathBuf, Stamp>,
}

impl FetchManifest {
    /// Reads what is known about a folder; empty if nothing is known.
    pub fn of(environment: &Environment, folder: &Path) -> Self {
        let known = disk::read(&place(environment, folder), MAX_SIZE).ok();
        let known: Self = known.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Self { folder: folder.to_owned(), ..known }
    }

    /// Stores the current stamps of these files.
    ///
    /// # Errors
    /// The disk is full.
    pub(super) fn keep(environment: &Environment, folder: &Path, job: &str, files: &[PathBuf]) -> Result<()> {
        let place = place(environment, folder);
        let all = place.parent().unwrap_or(&place).to_owned();
        Environment::private_folder(&all)?;
        tidy(&all);
        let stamped = files.iter().filter_map(|file| Some((file.clone(), stamp(&folder.join(file)).ok()?)));
        let earlier = Self { job: job.to_owned(), folder: whole(folder), files: stamped.collect() };
        let failed = || format!("cannot write {}", place.display());
        let write = |file: &mut File| Ok(serde_json::to_writer(BufWriter::new(file), &earlier)?);
        disk::write(&place, PRIVATE, write).context(failed)
    }

    /// Returns the entries of the folder that may be replaced: those that hold only unchanged files.
    pub fn unchanged(&self) -> BTreeSet<OsString> {
        let firsts = self.files.keys().filter_map(|file| file.iter().next());
        let firsts: BTreeSet<OsString> = firsts.map(OsString::from).collect();
        let Ok(folder) = Folder::open(&self.folder) else { return BTreeSet::new() };
        firsts.into_iter().filter(|first| self.is_unchanged(&folder, Path::new(first))).collect()
    }

    /// Returns a file that has changed and still exists, if there is one.
    pub fn changed(&self) -> Option<PathBuf> {
        let mut paths = self.files.iter().map(|(file, stamp)| (self.folder.join(file), stamp));
        paths.find(|(path, known)| stamp(path).is_ok_and(|now| now != **known)).map(|(path, _)| path)
    }

    fn is_unchanged(&self, folder: &Folder, path: &Path) -> bool {
        let Ok(facts) = folder.facts(path) else { return false };
        if facts.what != What::Folder {
            let full = self.folder.join(path);
            return self.files.get(path).is_some_and(|known| stamp(&full).is_ok_and(|now| now == *known));
        }
        let Ok(entries) = folder.below(path).and_then(|below| below.entries()) else { return false };
        // An empty folder may belong to the training or to the user: nothing in it can be lost.
        entries.iter().all(|entry| self.is_unchanged(folder, &path.join(&entry.name)))
    }
}

/// Returns the unchanged downloads in folders that may belong to the same project as `folder`, as absolute paths.
pub(super) fn results_near(environment: &Environment, folder: &Path) -> BTreeSet<PathBuf> {
    let folder = whole(folder);
    // A folder that contains the home folder is not a project.
    let home = &environment.packages.home;
    let root = folder.ancestors().filter(|above| !home.starts_with(above)).last().unwrap_or(&folder);
    let mut all = BTreeSet::new();
    for entry in environment.data.join(FOLDER).read_dir().into_iter().flatten().flatten() {
        let known = disk::read(&entry.path(), MAX_SIZE).ok();
        let Some(known) = known.and_then(|text| serde_json::from_slice::<FetchManifest>(&text).ok()) else {
            continue;
        };
        if known.folder.starts_with(root) {
            let files = known.files.iter().map(|(file, stamp)| (known.folder.join(file), *stamp));
            all.extend(
                files
                    .filter(|(path, known)| stamp(path).is_ok_and(|now| now == *known))
                    .map(|(path, _)| path),
            );
        }
    }
    all
}

/// Resolves links.
fn whole(folder: &Path) -> PathBuf {
    folder.canonicalize().unwrap_or_else(|_| folder.to_owned())
}

fn place(environment: &Environment, folder: &Path) -> PathBuf {
    let name = hex::encode(Sha256::digest(whole(folder).as_os_str().as_encoded_bytes()));
    environment.data.join(FOLDER).join(name)
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let data = path.symlink_metadata()?;
    let changed = i128::from(data.ctime()) * 1_000_000_000 + i128::from(data.ctime_nsec());
    Ok((data.len(), data.ino(), changed))
}

fn tidy(folder: &Path) {
    let is_old = |path: &Path| {
        let age = path
            .metadata()
            .and_then(|data| data.modified())
            .map(|time| SystemTime::now().duration_since(time));
        age.is_ok_and(|age| age.is_ok_and(|age| age > MAX_KEPT))
    };
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        if is_old(&entry.path()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_unchanged_files_may_be_replaced() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("out");
        let files = ["m", "a/1", "a/b/2", "c/3", "d/4", "gone/5"];
        for file in files {
            let path = out.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        let stamped = files.map(|file| (PathBuf::from(file), stamp(&out.join(file)).unwrap()));
        let earlier = FetchManifest { job: "j".into(), folder: out.clone(), files: stamped.into() };
        let unchanged =
            || earlier.unchanged().into_iter().map(|name| name.into_string().unwrap()).collect::<Vec<_>>();
        assert_eq!(
            (unchanged(), earlier.changed()),
            (["a", "c", "d", "gone", "m"].map(String::from).into(), None)
        );

        fs::write(out.join("c/the user's"), "x").unwrap();
        fs::remove_dir_all(out.join("gone")).unwrap();
        assert_eq!((unchanged(), earlier.changed()), (["a", "d", "m"].map(String::from).into(), None));
        // The same size and modification time.
        let then = out.join("a/b/2").metadata().unwrap().modified().unwrap();
        fs::write(out.join("a/b/2"), "A/B/2").unwrap();
        File::options().append(true).open(out.join("a/b/2")).unwrap().set_modified(then).unwrap();
        assert_eq!(
            (unchanged(), earlier.changed()),
            (["d", "m"].map(String::from).into(), Some(out.join("a/b/2")))
        );
        // Another file in its place.
        fs::write(out.join("other"), "m").unwrap();
        fs::rename(out.join("other"), out.join("m")).unwrap();
        assert_eq!(unchanged(), ["d"]);
    }
}
