//! Which files of a training folder may leave the machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use super::rules::{Chain, Reason, Rules};
use crate::{
    disk::Folder,
    error::{Error, Kind, Result},
};

/// As many examples of what a rule keeps at home as are shown.
const EXAMPLES: usize = 3;

/// One file that may leave the machine, or a link to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Relative to the training folder, with `/`.
    pub path: String,
    /// Where its content is.
    pub source: PathBuf,
    /// In bytes.
    pub size: u64,
    /// It may be executed.
    pub executable: bool,
    /// It is a link to another file or folder that is sent: where it leads, relative to where it lies.
    pub link: Option<String>,
    /// The content without the logins in its addresses, where there were any.
    pub cleaned: Option<String>,
}

impl File {
    /// Opens it without following a link: what took its place since it was listed is not read.
    ///
    /// # Errors
    /// It is gone, cannot be read, or is not a regular file any more.
    pub fn open(&self) -> io::Result<fs::File> {
        // Of a link in a folder of data, the source is the target, as it was found: no link led to it.
        let (root, path) = match self.source.to_str().and_then(|source| source.strip_suffix(&self.path)) {
            Some(root) if root.ends_with('/') => (Path::new(root), Path::new(&self.path)),
            _ => (Path::new("/"), self.source.strip_prefix("/").unwrap_or(&self.source)),
        };
        Folder::open(root)?.open_file(path)
    }

    /// Reads it, if it has at most `most` bytes.
    ///
    /// # Errors
    /// Those of [`File::open`], or it is larger.
    pub fn read(&self, most: u64) -> io::Result<Vec<u8>> {
        crate::disk::at_most(self.open()?, most)
    }
}

/// What one rule keeps at home.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// The first few; folders end with `/`, and are not looked into.
    pub examples: Vec<String>,
    /// How many there are.
    pub count: usize,
}

/// A training folder, parted.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// What may leave the machine, sorted by path.
    pub(super) files: Vec<File>,
    /// What stays, by the reason for it.
    pub(super) left: BTreeMap<Reason, Left>,
}

/// Parts `folder` by `.dockerignore`, else by `.gitignore`, and by the lists of secrets and clutter; `keep` always goes.
pub(super) fn list(folder: &Path, keep: &[&str]) -> Result<Listing> {
    let mut listing = walk(folder, &Rules::of(folder)?)?;
    for name in keep {
        if !listing.files.iter().any(|file| file.path == *name) {
            listing.files.extend(regular(folder, &folder.join(name))?);
        }
    }
    listing.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(listing)
}

/// The files of `folder` whatever the ignore files say, less secrets and clutter.
pub(super) fn harmless(folder: &Path) -> Result<Vec<File>> {
    let folder = folder.canonicalize().map_err(|error| unreadable(folder, error))?;
    Ok(walk(&folder, &Rules::without_ignore_files(&folder)?)?.files)
}

/// The files of a folder of data: all but secrets and clutter. Of a link, what it leads to; one that leads to another
/// folder is left.
///
/// # Errors
/// There is no such folder, or it cannot be read.
pub fn data(folder: &Path) -> Result<Vec<File>> {
    if !folder.is_dir() {
        return Err(Error::new(Kind::NotFound, format!("there is no folder {}", folder.display()))
            .hint("name a folder of this machine, or a place as s3://bucket/path"));
    }
    let files = harmless(folder)?.into_iter().filter(|file| file.source.is_file());
    let plain = |file: File| {
        let size = file.source.metadata().map_or(file.size, |data| data.len());
        File { link: None, executable: false, size, ..file }
    };
    Ok(files.map(plain).collect())
}

fn walk(folder: &Path, rules: &Rules) -> Result<Listing> {
    let mut listing = Listing::default();
    let mut links = Vec::new();
    let mut folders: Vec<(PathBuf, Chain)> = vec![(folder.to_owned(), rules.above()?)];
    while let Some((current, outer)) = folders.pop() {
        let chain = rules.inside(&current, outer)?;
        let entries = fs::read_dir(&current).map_err(|error| unreadable(&current, error))?;
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(&current, error))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(|error| unreadable(&path, error))?;
            let reason = rules.reason(&path, kind.is_dir(), &chain);
            if let Some(reason) = reason {
                if kind.is_dir() && rules.takes_back_in(&path, &reason) {
                    folders.push((path, chain.clone()));
                } else {
                    listing.leave(folder, &path, kind.is_dir(), reason);
                }
            } else if kind.is_dir() {
                folders.push((path, chain.clone()));
            } else if kind.is_symlink() {
                links.push(path);
            } else {
                listing.files.extend(regular(folder, &path)?);
            }
        }
    }
    listing.add_links(folder, links)?;
    listing.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(listing)
}

impl Listing {
    fn leave(&mut self, folder: &Path, path: &Path, is_folder: bool, reason: Reason) {
        let left = self.left.entry(reason).or_default();
        left.count += 1;
        if left.examples.len() < EXAMPLES {
            let inside = path.strip_prefix(folder).unwrap_or(path).display();
            left.examples.push(format!("{inside}{}", if is_folder { "/" } else { "" }));
        }
    }

    /// A link goes as a link, and only where what it leads to goes too: under another name, a secret would still be one.
    fn add_links(&mut self, folder: &Path, links: Vec<PathBuf>) -> Result<()> {
        let sent: BTreeSet<PathBuf> = self
            .files
            .iter()
            .flat_map(|file| Path::new(&file.path).ancestors().map(Path::to_owned).collect::<Vec<_>>())
            .collect();
        for path in links {
            let Ok(source) = path.canonicalize() else {
                self.leave(folder, &path, false, Reason::LeadsNowhere);
                continue;
            };
            let Ok(target) = source.strip_prefix(folder) else {
                self.leave(folder, &path, false, Reason::LeadsOut);
                continue;
            };
            if !sent.contains(target) {
                self.leave(folder, &path, false, Reason::LeadsNowhere);
                continue;
            }
            let name = name_in(folder, &path)?;
            let up = "../".repeat(name.matches('/').count());
            let link = match target.to_str() {
                Some("") => format!("{up}."),
                Some(target) => format!("{up}{target}"),
                None => continue,
            };
            self.files.push(File {
                path: name,
                source,
                size: 0,
                executable: false,
                link: Some(link),
                cleaned: None,
            });
        }
        Ok(())
    }
}

pub(super) fn unreadable(path: &Path, error: io::Error) -> Error {
    let hint = match error.kind() {
        ErrorKind::PermissionDenied => "allow yourself to read it, or name it in .dockerignore",
        ErrorKind::IsADirectory => "it is a folder: name a file",
        _ => "see whether its disk is well",
    };
    Error::invalid(format!("cannot read {}", path.display())).hint(hint).source(error)
}

/// None for what is not a file: a socket, a device.
fn regular(folder: &Path, path: &Path) -> Result<Option<File>> {
    use std::os::unix::fs::PermissionsExt;
    let data = path.metadata().map_err(|error| unreadable(path, error))?;
    if !data.is_file() {
        return Ok(None);
    }
    let executable = data.permissions().mode() & 0o111 != 0;
    let path_inside = name_in(folder, path)?;
    Ok(Some(File {
        path: path_inside,
        source: path.to_owned(),
        size: data.len(),
        executable,
        link: None,
        cleaned: None,
    }))
}

fn name_in(folder: &Path, path: &Path) -> Result<String> {
    let name = path.strip_prefix(folder).ok().and_then(Path::to_str);
    name.map(str::to_owned).ok_or_else(|| {
        Error::invalid(format!("the name of {} is not UTF-8", path.display()))
            .hint("rename it, or name it in .dockerignore")
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        (folder, root)
    }

    fn names(listing: &Listing) -> Vec<&str> {
        listing.files.iter().map(|file| file.path.as_str()).collect()
    }

    fn listed(files: &[(&str, &str)], keep: &[&str]) -> Vec<String> {
        let (_folder, root) = folder(files);
        names(&list(&root, keep).unwrap()).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn secrets_and_clutter_stay_here() {
        let files = [
            ("train.py", ""),
            (".env", "KEY=1"),
            ("keys/server.pem", ""),
            ("keys/OTHER.PEM", ""),
            (".git/config", ""),
            ("a/__pycache__/x.pyc", ""),
            (".aws/credentials", ""),
            ("a/b.py", ""),
            (".hidden.cfg", ""),
        ];
        assert_eq!(listed(&files, &[]), [".hidden.cfg", "a/b.py", "train.py"]);
    }

    #[test]
    fn gitignore_counts_where_there_is_no_dockerignore() {
        let files = [("train.py", ""), ("data/big.bin", ""), (".gitignore", "data/\n"), ("sub/data/x", "")];
        assert_eq!(listed(&files, &[]), [".gitignore", "train.py"]);
        let files = [
            ("train.py", ""),
            ("data/x", ""),
            (".gitignore", "data/\n"),
            (".dockerignore", "*.md\n"),
            ("a.md", ""),
        ];
        assert_eq!(listed(&files, &[]), [".dockerignore", ".gitignore", "data/x", "train.py"]);
    }

    #[test]
    fn the_innermost_gitignore_decides_and_the_repositorys_counts() {
        let files = [
            ("repo/.git/config", ""),
            ("repo/.gitignore", "*.csv\n*.bin\n"),
            (".gitignore", "*.py\n"),
            ("repo/models/train.py", ""),
            ("repo/models/a.csv", ""),
            ("repo/models/kept/b.csv", ""),
            ("repo/models/kept/.gitignore", "!*.csv\n"),
            ("repo/models/kept/c.bin", ""),
        ];
        let (_folder, root) = folder(&files);
        let listing = list(&root.join("repo/models"), &[]).unwrap();
        assert_eq!(names(&listing), ["kept/.gitignore", "kept/b.csv", "train.py"]);
    }

    #[test]
    fn dockerignore_anchors_and_takes_back() {
        let files = [
            ("data/x", ""),
            ("a/data/x", ""),
            ("data/keep", ""),
            (".dockerignore", "data/*\n!data/keep\n.dockerignore\n"),
        ];
        assert_eq!(listed(&files, &[]), ["a/data/x", "data/keep"]);
        let files = [
            ("train.py", ""),
            ("data/a/keep.csv", ""),
            ("data/a/other.bin", ""),
            (".dockerignore", "*\n!train.py\n!data/*/keep.csv\n"),
        ];
        assert_eq!(listed(&files, &[]), ["data/a/keep.csv", "train.py"]);
    }

    #[test]
    fn what_is_ignored_is_not_even_looked_into() {
        for (name, rule) in [(".gitignore", "data\n"), (".dockerignore", "data\n!other/*.csv\n")] {
            let (_folder, root) = folder(&[("train.py", ""), ("data/x", ""), (name, rule)]);
            // Two gigabytes that nobody can have read, in a folder that is none of a name that can be sent.
            fs::File::create(root.join("data/big.bin")).unwrap().set_len(2 << 30).unwrap();
            let strange: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"\xff");
            fs::write(root.join("data").join(strange), "").unwrap();
            let listing = list(&root, &[]).unwrap();
            assert_eq!(names(&listing), [name, "train.py"]);
            let left = Left { examples: vec!["data/".into()], count: 1 };
            let reason = Reason::Ignored { file: name.into(), pattern: "data".into() };
            assert_eq!(listing.left, [(reason, left)].into());
        }
    }

    #[test]
    fn what_stays_is_told_by_its_rule_and_briefly() {
        let (_folder, root) = folder(&[("train.py", ""), (".env", ""), (".gitignore", "*.csv\n")]);
        for number in 0..1000 {
            fs::write(root.join(format!("{number}.csv")), "").unwrap();
        }
        let left = list(&root, &[]).unwrap().left;
        assert_eq!(left[&Reason::Secret(".env".into())].examples, [".env"]);
        let csv = &left[&Reason::Ignored { file: ".gitignore".into(), pattern: "*.csv".into() }];
        assert_eq!((csv.count, csv.examples.len()), (1000, EXAMPLES));
    }

    #[test]
    fn the_artifact_is_never_ignored() {
        assert_eq!(listed(&[("train.py", ""), (".dockerignore", "*\n")], &["train.py"]), ["train.py"]);
    }

    #[test]
    fn links_inside_stay_links_and_others_are_left() {
        let (_folder, root) = folder(&[("a.py", ""), ("data/one/x.csv", ""), (".env", "SECRET=1")]);
        fs::create_dir(root.join("sub")).unwrap();
        for (target, link) in [
            ("a.py", "b.py"),
            ("../a.py", "sub/c.py"),
            ("data/one", "newest"),
            (".", "sub/here"),
            (root.join("data").to_str().unwrap(), "absolute"),
            ("/etc/passwd", "out.txt"),
            ("../..", "sub/above"),
            (".env", "settings.txt"),
            ("nothing", "dangling"),
            ("loop", "loop"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        let listing = list(&root, &[]).unwrap();
        let links: Vec<(&str, &str)> = listing
            .files
            .iter()
            .filter_map(|file| Some((file.path.as_str(), file.link.as_deref()?)))
            .collect();
        assert_eq!(
            links,
            [("absolute", "data"), ("b.py", "a.py"), ("newest", "data/one"), ("sub/c.py", "../a.py")]
        );
        assert_eq!(listing.left[&Reason::LeadsOut].count, 2);
        // A folder without files is not sent; neither is what leads to a secret, to nothing, or in circles.
        assert_eq!(listing.left[&Reason::LeadsNowhere].count, 4);
    }

    #[test]
    fn an_ignore_file_that_cannot_be_read_is_no_licence_to_send() {
        let (_folder, root) = folder(&[("train.py", ""), ("data/x", "")]);
        fs::write(root.join(".dockerignore"), b"data\xff\ndata\n").unwrap();
        assert_eq!(names(&list(&root, &[]).unwrap()), [".dockerignore", "train.py"]);
    }
}
