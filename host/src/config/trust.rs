//! The folders that the user trusts, and what each was trusted with: `trust.json` in the data folder.
//!
//! A project's own files can name a cloud account, a role, a machine type or a Dockerfile. They come from whoever wrote
//! the project, so the user confirms them once, as direnv and editors ask.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    disk,
    environment::Environment,
    error::{Context, Error, Result},
};

const FILE: &str = "trust.json";
/// The maximum size of the file, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// What the user trusts, as read from the disk.
#[derive(Debug)]
pub struct Trust {
    path: PathBuf,
    entries: Vec<TrustedFolder>,
}

/// One trusted folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustedFolder {
    /// Absolute, without links.
    pub folder: PathBuf,
    /// The user id of the folder's owner at that time. A folder whose owner changes is no longer trusted.
    pub owner: u32,
    /// The lines that were shown and confirmed.
    pub claims: BTreeSet<String>,
}

impl Trust {
    /// Reads the file; nothing is trusted if there is none.
    ///
    /// # Errors
    /// The file cannot be read or is not JSON.
    pub fn read(environment: &Environment) -> Result<Self> {
        let path = environment.data.join(FILE);
        let entries = match disk::read_own(&path, MAX_FILE, Some("remove it: you will be asked again"))? {
            Some(text) => serde_json::from_slice(&text).map_err(|error| {
                Error::failed(format!("cannot read {}", path.display()))
                    .hint("remove it: you will be asked again")
                    .source(error)
            })?,
            None => Vec::new(),
        };
        Ok(Self { path, entries })
    }

    /// All trusted folders, sorted by path.
    pub fn folders(&self) -> &[TrustedFolder] {
        &self.entries
    }

    /// The claims of a folder that were not confirmed yet.
    pub fn unconfirmed<'a>(&self, folder: &Path, claims: &'a BTreeSet<String>) -> Vec<&'a str> {
        let owner = owner(folder);
        let known = self.entries.iter().find(|entry| entry.folder == folder && Some(entry.owner) == owner);
        let is_new = |claim: &&String| known.is_none_or(|entry| !entry.claims.contains(*claim));
        claims.iter().filter(is_new).map(String::as_str).collect()
    }

    /// Trusts a folder with these claims, beside what it was trusted with before.
    ///
    /// # Errors
    /// The folder is gone, or the file cannot be written.
    pub fn confirm(&mut self, folder: &Path, claims: BTreeSet<String>) -> Result<()> {
        let owner = owner(folder).ok_or_else(|| {
            Error::invalid(format!("cannot read {}", folder.display())).hint("give the path of a folder")
        })?;
        let known = self.entries.iter_mut().find(|entry| entry.folder == folder && entry.owner == owner);
        match known {
            Some(entry) => entry.claims.extend(claims),
            None => {
                self.entries.retain(|entry| entry.folder != folder);
                self.entries.push(TrustedFolder { folder: folder.to_owned(), owner, claims });
            }
        }
        self.write()
    }

    /// Forgets a folder; false if it was not trusted.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn revoke(&mut self, folder: &Path) -> Result<bool> {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.folder != folder);
        let is_revoked = self.entries.len() < before;
        if is_revoked {
            self.write()?;
        }
        Ok(is_revoked)
    }

    fn write(&mut self) -> Result<()> {
        self.entries.sort_by(|a, b| a.folder.cmp(&b.folder));
        let folder = self.path.parent().unwrap_or(Path::new("."));
        Environment::private_folder(folder)?;
        let failed = || format!("cannot write {}", self.path.display());
        let text = serde_json::to_vec_pretty(&self.entries).context(failed)?;
        disk::write(&self.path, disk::PRIVATE, |file| file.write_all(&text)).context(failed)
    }
}

/// The user id of a folder's owner.
fn owner(folder: &Path) -> Option<u32> {
    fs::symlink_metadata(folder).ok().filter(fs::Metadata::is_dir).map(|data| data.uid())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(lines: &[&str]) -> BTreeSet<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn what_was_confirmed_is_not_asked_again() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("project");
        fs::create_dir(&folder).unwrap();
        let path = place.path().join("data").join(FILE);
        let mut trust = Trust { path: path.clone(), entries: Vec::new() };
        let asked = claims(&["role_name = r", "train driver sagemaker"]);
        assert_eq!(trust.unconfirmed(&folder, &asked).len(), 2);
        trust.confirm(&folder, asked.clone()).unwrap();
        assert!(trust.unconfirmed(&folder, &asked).is_empty());

        let more = claims(&["role_name = other", "train driver sagemaker"]);
        assert_eq!(trust.unconfirmed(&folder, &more), ["role_name = other"]);
        assert_eq!(trust.unconfirmed(place.path(), &asked).len(), 2, "another folder");
        let kept: Vec<TrustedFolder> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(kept, trust.folders());

        assert!(trust.revoke(&folder).unwrap() && !trust.revoke(&folder).unwrap());
        assert_eq!(trust.unconfirmed(&folder, &asked).len(), 2);
    }

    #[test]
    fn a_folder_with_a_new_owner_is_not_trusted() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().to_owned();
        let asked = claims(&["train driver sagemaker"]);
        let stranger = TrustedFolder { folder: folder.clone(), owner: u32::MAX - 1, claims: asked.clone() };
        let trust = Trust { path: folder.join(FILE), entries: vec![stranger] };
        assert_eq!(trust.unconfirmed(&folder, &asked).len(), 1);
    }
}
