//! Lists the files of a project that may leave the machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use super::{
    contents::{self, Found},
    left::Left,
    rules::{self, Choice, Inside, Reason, Rules},
};
use crate::{
    disk::Folder,
    error::{Error, Kind, Result},
};

/// One file that may leave the machine, or a link to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path relative to the project root, with `/`.
    pub path: String,
    /// The path of its content.
    pub source: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it is executable.
    pub executable: bool,
    /// The target, if this is a link to another file or folder that is sent; relative to the link's folder.
    pub link: Option<String>,
    /// The content without the passwords in URLs, if it had any.
    pub cleaned: Option<Vec<u8>>,
}

impl File {
    /// Opens it without following a link: what has replaced it since it was listed is not read.
    ///
    /// # Errors
    /// It is gone, cannot be read, or is not a regular file any more.
    pub fn open(&self) -> io::Result<fs::File> {
        // For a link in a data folder, the source is its target without links.
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

/// The files of a project that are sent, and those that are not.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The files that may leave the machine, sorted by path.
    pub(super) files: Vec<File>,
    /// Folders that are sent empty, sorted.
    pub(super) folders: Vec<String>,
    /// The files that are not sent, by reason.
    pub(super) left: BTreeMap<Reason, Left>,
    /// Code with a password, which is sent unchanged.
    pub(super) in_code: Vec<String>,
    /// Files that the user includes by name, whatever they contain.
    pub(super) chosen: BTreeSet<String>,
    /// Folders with files that this program wrote.
    own: BTreeSet<PathBuf>,
    /// Number of excluded files that have been counted.
    counted: usize,
}

/// Lists `folder` by `.dockerignore`, or else by git's rules, and by the lists of secrets and clutter. `keep` is
/// always sent.
pub(super) fn list(folder: &Path, keep: &[&str], choice: &Choice) -> Result<Listing> {
    let (mut listing, links) = walk(folder, &Rules::of(folder, choice)?)?;
    listing.keep(folder, keep.iter().filter(|name| !links.contains(&folder.join(name))))?;
    listing.look_into_files(keep);
    listing.add_links(folder, links)?;
    // If a wanted file is a link to an excluded one, the file itself is sent.
    listing.keep(folder, keep.iter())?;
    listing.finish();
    Ok(listing)
}

/// Returns why a file is not sent even if another one needs it: it is a secret by its name, by its content, or because the
/// run says so.
pub(super) fn secret_of(file: &File, choice: &Choice) -> Option<Reason> {
    if let Some(reason) = rules::secret_by_name(&file.path, &file.source, choice) {
        return Some(reason);
    }
    match contents::look(file) {
        Found::Stays(reason @ Reason::Holds(_)) => Some(reason),
        _ => None,
    }
}

/// Lists the files of `folder` without its ignore files, except secrets and clutter.
pub(super) fn harmless(folder: &Path) -> Result<Vec<File>> {
    let folder = folder.canonicalize().map_err(|error| unreadable(folder, error))?;
    let (mut listing, links) = walk(&folder, &Rules::harmless(&folder))?;
    listing.add_links(&folder, links)?;
    listing.finish();
    Ok(listing.files)
}

/// Lists the files of a data folder, except secrets and clutter. A link is replaced by its target. A link out of the
/// folder is left out, unless it leads to the blobs of a Hugging Face cache, which make up a snapshot in it.
///
/// # Errors
/// There is no such folder, or it cannot be read.
pub fn data(folder: &Path) -> Result<Vec<File>> {
    if !folder.is_dir() {
        return Err(Error::new(Kind::NotFound, format!("there is no folder {}", folder.display()))
            .hint("give a folder on this machine, or a location such as s3://bucket/path"));
    }
    let folder = folder.canonicalize().map_err(|error| unreadable(folder, error))?;
    let (mut listing, mut links) = walk(&folder, &Rules::harmless(&folder))?;
    if let Some(blobs) = blobs_of(&folder) {
        let mut followed = Vec::new();
        links.retain(|link| match link.canonicalize() {
            Ok(target) if target.starts_with(&blobs) => {
                followed.push((link.clone(), target));
                false
            }
            _ => true,
        });
        for (link, target) in followed {
            let path = name_in(&folder, &link)?;
            listing.files.extend(regular(&folder, &link)?.map(|file| File { path, source: target, ..file }));
        }
    }
    listing.add_links(&folder, links)?;
    listing.finish();
    let files = listing.files.into_iter().filter(|file| file.source.is_file());
    let plain = |file: File| {
        let size = file.source.metadata().map_or(file.size, |data| data.len());
        File { link: None, executable: false, size, ..file }
    };
    Ok(files.map(plain).collect())
}

/// Returns the folder with the files of a snapshot in a Hugging Face cache; the snapshot itself only has links:
/// `models--NAME/snapshots/REVISION` and `models--NAME/blobs`.
pub fn blobs_of(folder: &Path) -> Option<PathBuf> {
    let folder = folder.canonicalize().ok()?;
    let snapshots =
        folder.parent().filter(|parent| parent.file_name().is_some_and(|name| name == "snapshots"))?;
    let blobs = snapshots.parent()?.join("blobs");
    blobs.is_dir().then_some(blobs)
}

/// Lists a folder without its links, and the links.
fn walk(folder: &Path, rules: &Rules) -> Result<(Listing, Vec<PathBuf>)> {
    let mut listing = Listing::default();
    let mut links = Vec::new();
    let mut folders: Vec<(PathBuf, Inside)> = vec![(folder.to_owned(), rules.above()?)];
    while let Some((current, found)) = folders.pop() {
        let around = rules.inside(&current, found)?;
        let entries = fs::read_dir(&current).map_err(|error| unreadable(&current, error))?;
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(&current, error))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(|error| unreadable(&path, error))?;
            let verdict = rules.judge(&path, kind.is_dir(), &around);
            match (verdict.reason, verdict.inside) {
                (Some(reason), None) => {
                    if kind.is_dir() && is_for_results(&path, &reason) {
                        listing.folders.push(name_in(folder, &path)?);
                    }
                    listing.leave(folder, &path, kind.is_dir(), reason);
                }
                (reason, Some(inside)) => {
                    if reason.is_none_or(|reason| is_for_results(&path, &reason)) {
                        listing.folders.push(name_in(folder, &path)?);
                    }
                    folders.push((path, inside));
                }
                (None, None) if kind.is_symlink() => links.push(path),
                (None, None) => match regular(folder, &path)? {
                    Some(file) => {
                        if verdict.chosen {
                            listing.chosen.insert(file.path.clone());
                        }
                        listing.files.push(file);
                    }
                    None => listing.leave(folder, &path, false, Reason::NoFile),
                },
            }
        }
    }
    Ok((listing, links))
}

/// Whether a folder that stays at home is sent as an empty one: scripts write into ignored folders, such as `models/`,
/// that are there. The metadata of a package means something even if it is empty.
fn is_for_results(path: &Path, reason: &Reason) -> bool {
    let is_metadata = path.extension().is_some_and(|ending| ending == "egg-info" || ending == "dist-info");
    matches!(reason, Reason::Ignored { .. }) && !is_metadata
}

impl Listing {
    /// Adds files that are wanted whatever the rules say.
    fn keep<'a>(&mut self, folder: &Path, names: impl Iterator<Item = &'a &'a str>) -> Result<()> {
        for name in names {
            if !self.files.iter().any(|file| file.path == *name) {
                self.files.extend(regular(folder, &folder.join(name))?);
            }
        }
        Ok(())
    }

    fn leave(&mut self, folder: &Path, path: &Path, is_folder: bool, reason: Reason) {
        let inside = path.strip_prefix(folder).unwrap_or(path);
        // Only ignored files are counted: a script may need them, other than clutter.
        let is_counted = matches!(reason, Reason::Ignored { .. });
        let mut counted = self.counted;
        let left = self.remember(reason, inside, is_folder);
        if is_counted {
            left.measure(folder, path, is_folder, &mut counted);
            self.counted = counted;
        }
    }

    fn remember(&mut self, reason: Reason, inside: &Path, is_folder: bool) -> &mut Left {
        if reason == Reason::Own {
            self.own.extend(inside.ancestors().skip(1).map(Path::to_owned));
        }
        let left = self.left.entry(reason).or_default();
        left.add(inside, is_folder);
        left
    }

    /// Excludes files with secrets, and removes passwords from URLs. `keep` is sent in any case.
    fn look_into_files(&mut self, keep: &[&str]) {
        let looked_into = |file: &File| {
            if self.chosen.contains(&file.path) { Found::Nothing } else { contents::look(file) }
        };
        let found: Vec<Found> = self.files.iter().map(looked_into).collect();
        let files = std::mem::take(&mut self.files);
        for (mut file, found) in files.into_iter().zip(found) {
            match found {
                Found::Nothing => {}
                Found::Cleaned(clean) => (file.size, file.cleaned) = (clean.len() as u64, Some(clean)),
                Found::Stays(reason) if !keep.contains(&file.path.as_str()) => {
                    self.remember(reason, Path::new(&file.path), false);
                    continue;
                }
                Found::InCode | Found::Stays(_) => self.in_code.push(file.path.clone()),
            }
            self.files.push(file);
        }
    }

    /// Sorts everything, and finds the folders that would otherwise be missing.
    fn finish(&mut self) {
        self.files.sort_by(|a, b| a.path.cmp(&b.path));
        for left in self.left.values_mut() {
            left.paths.sort();
        }
        self.folders.sort();
        let all = std::mem::take(&mut self.folders);
        let holds_file = |start: &str| {
            let at = self.files.partition_point(|file| file.path.as_str() < start);
            self.files.get(at).is_some_and(|file| file.path.starts_with(start))
        };
        let holds_folder = |start: &str| {
            let at = all.partition_point(|other| other.as_str() < start);
            all.get(at).is_some_and(|other| other.starts_with(start))
        };
        let is_empty = |name: &&String| {
            let start = format!("{name}/");
            !holds_file(&start) && !holds_folder(&start) && !self.own.contains(Path::new(name.as_str()))
        };
        self.folders = all.iter().filter(is_empty).cloned().collect();
    }

    /// Adds links as links, and only if their targets are sent: under another name, a secret would still be one.
    fn add_links(&mut self, folder: &Path, links: Vec<PathBuf>) -> Result<()> {
        if links.is_empty() {
            return Ok(());
        }
        let files = self.files.iter().map(|file| file.path.as_str());
        let sent: BTreeSet<PathBuf> = files
            .chain(self.folders.iter().map(String::as_str))
            .flat_map(|path| Path::new(path).ancestors().map(Path::to_owned).collect::<Vec<_>>())
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
        ErrorKind::PermissionDenied => "make it readable, or exclude it in .dockerignore",
        ErrorKind::IsADirectory => "give a file, not a folder",
        _ => "check the disk for errors",
    };
    Error::invalid(format!("cannot read {}", path.display())).hint(hint).source(error)
}

/// Returns a regular file; `None` for a socket, a pipe or a device.
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
            .hint("rename it, or exclude it in .dockerignore")
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::{super::left::REMEMBERED, *};

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

    fn listing_of(root: &Path) -> Result<Listing> {
        list(root, &[], &Choice::default())
    }

    fn listed(files: &[(&str, &str)], keep: &[&str]) -> Vec<String> {
        let (_folder, root) = folder(files);
        names(&list(&root, keep, &Choice::default()).unwrap()).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn secrets_and_clutter_are_not_sent() {
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
            ("hf_token.txt", ""),
            ("access_token.py", ""),
            ("credentials/__init__.py", ""),
            ("keys/credentials/aws", ""),
        ];
        assert_eq!(
            listed(&files, &[]),
            [".hidden.cfg", "a/b.py", "access_token.py", "credentials/__init__.py", "train.py"]
        );
    }

    #[test]
    fn gitignore_applies_without_a_dockerignore() {
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
    fn the_innermost_gitignore_decides_and_the_repositorys_applies() {
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
        let listing = list(&root.join("repo/models"), &[], &Choice::default()).unwrap();
        assert_eq!(names(&listing), ["kept/.gitignore", "kept/b.csv", "train.py"]);
    }

    #[test]
    fn dockerignore_anchors_patterns_and_has_exceptions() {
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
    fn ignored_folders_are_not_read() {
        for (name, rule) in [(".gitignore", "data\n"), (".dockerignore", "data\n!other/*.csv\n")] {
            let (_folder, root) = folder(&[("train.py", ""), ("data/x", ""), (name, rule)]);
            // A file that is too large to have been read, and a name that could not be sent.
            fs::File::create(root.join("data/big.bin")).unwrap().set_len(2 << 30).unwrap();
            let strange: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"\xff");
            fs::write(root.join("data").join(strange), "").unwrap();
            let listing = listing_of(&root).unwrap();
            assert_eq!(names(&listing), [name, "train.py"]);
            let left = &listing.left[&Reason::Ignored { file: name.into(), pattern: "data".into() }];
            assert_eq!((listing.left.len(), &left.paths[..], left.files), (1, &["data/".to_owned()][..], 3));
            assert_eq!((left.largest.clone(), left.size), (Some(("data/big.bin".into(), 2 << 30)), 2 << 30));
        }
    }

    #[test]
    fn excluded_files_are_listed_by_rule_up_to_a_limit() {
        let (_folder, root) = folder(&[("train.py", ""), (".env", ""), (".gitignore", "*.csv\n")]);
        for number in 0..REMEMBERED + 500 {
            fs::write(root.join(format!("{number}.csv")), "").unwrap();
        }
        let left = listing_of(&root).unwrap().left;
        assert_eq!(left[&Reason::Secret(".env".into())].paths, [".env"]);
        let csv = &left[&Reason::Ignored { file: ".gitignore".into(), pattern: "*.csv".into() }];
        assert_eq!((csv.count, csv.paths.len()), (REMEMBERED + 500, REMEMBERED));
    }

    #[test]
    fn the_artifact_is_never_ignored() {
        assert_eq!(listed(&[("train.py", ""), (".dockerignore", "*\n")], &["train.py"]), ["train.py"]);
    }

    #[test]
    fn links_inside_stay_links_and_others_are_not_sent() {
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
        let listing = listing_of(&root).unwrap();
        let links: Vec<(&str, &str)> = listing
            .files
            .iter()
            .filter_map(|file| Some((file.path.as_str(), file.link.as_deref()?)))
            .collect();
        assert_eq!(
            links,
            [
                ("absolute", "data"),
                ("b.py", "a.py"),
                ("newest", "data/one"),
                ("sub/c.py", "../a.py"),
                ("sub/here", "../sub")
            ]
        );
        assert_eq!(listing.left[&Reason::LeadsOut].count, 2);
        // To a secret, to nothing, and in circles.
        assert_eq!(listing.left[&Reason::LeadsNowhere].count, 3);
    }

    #[test]
    fn an_ignore_file_that_is_not_utf8_applies() {
        let (_folder, root) = folder(&[("train.py", ""), ("data/x", "")]);
        fs::write(root.join(".dockerignore"), b"data\xff\ndata\n").unwrap();
        assert_eq!(names(&listing_of(&root).unwrap()), [".dockerignore", "train.py"]);
    }

    fn choosing(root: &Path, include: &[&str]) -> Vec<String> {
        let include = include.iter().map(|pattern| (*pattern).to_owned()).collect();
        let listing = list(root, &[], &Choice { include, ..Choice::default() }).unwrap();
        names(&listing).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn a_run_sends_what_it_includes() {
        let (_folder, root) = folder(&[
            ("a.csv", ""),
            ("data/raw/b.csv", ""),
            ("data/raw/.env", ""),
            (".aws/config", ""),
            ("venv/pyvenv.cfg", ""),
            (".gitignore", "*.csv\ndata/\n"),
        ]);
        assert_eq!(choosing(&root, &[]), [".gitignore"]);
        assert_eq!(choosing(&root, &["data/"]), [".gitignore", "data/raw/b.csv"]);
        assert_eq!(choosing(&root, &["./data/raw/*.csv"]), [".gitignore", "data/raw/b.csv"]);
        fs::write(root.join("venv/x.csv"), "").unwrap();
        assert_eq!(choosing(&root, &["*.csv"]), [".gitignore", "a.csv", "data/raw/b.csv"]);
        fs::remove_file(root.join("venv/x.csv")).unwrap();
        assert_eq!(
            choosing(&root, &["*.csv", "/venv"]),
            [".gitignore", "a.csv", "data/raw/b.csv", "venv/pyvenv.cfg"]
        );
        // A secret is only sent by its own name.
        assert_eq!(choosing(&root, &[".e*", ".aws/*", "data/raw/.e?v"]), [".gitignore"]);
        assert_eq!(
            choosing(&root, &["data/raw/.env", ".aws/config"]),
            [".aws/config", ".gitignore", "data/raw/.env"]
        );
    }

    #[test]
    fn an_ignore_file_can_allow_what_a_list_excludes() {
        let files =
            [(".env.example", ""), ("certs/ca.pem", ""), ("x.pem", ""), ("wandb/a", ""), ("prod.env", "")];
        let (_folder, root) = folder(&files);
        assert_eq!(names(&listing_of(&root).unwrap()), [".env.example"]);
        for (name, text) in [
            (".gitignore", "!ca.pem\n!wandb/\n!*.env\n"),
            (".dockerignore", "!certs/ca.pem\n!wandb\n!*.env\n"),
        ] {
            fs::write(root.join(name), text).unwrap();
            let listing = listing_of(&root).unwrap();
            let ignores = [".dockerignore", ".gitignore"];
            let sent: Vec<&str> =
                names(&listing).into_iter().filter(|name| !ignores.contains(name)).collect();
            assert_eq!(sent, [".env.example", "certs/ca.pem", "wandb/a"], "{name}");
        }
        fs::write(root.join(".dockerignore"), "!certs/ca.pem\ncerts\n").unwrap();
        assert!(!names(&listing_of(&root).unwrap()).contains(&"certs/ca.pem"), "the last line decides");
    }

    #[test]
    fn folders_without_files_are_sent() {
        let (_folder, root) = folder(&[
            ("train.py", ""),
            ("out/model/a", ""),
            ("logs/x.log", ""),
            (".gitignore", "*.log\nkept/\n*.egg-info/\n"),
        ]);
        for name in ["empty/inner", "kept/x", "out/more", "a.egg-info"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        let results = [root.join("out/model/a")].into();
        let listing = list(&root, &[], &Choice { results, ..Choice::default() }).unwrap();
        assert_eq!(listing.folders, ["empty/inner", "kept", "logs", "out/more"]);
        assert_eq!(listing.left[&Reason::Own].paths, ["out/model/a"]);
    }

    #[test]
    fn a_snapshot_of_a_hugging_face_cache_is_complete() {
        let (_folder, root) = folder(&[("models--x/blobs/1a", "weights"), ("outside", "")]);
        let snapshot = root.join("models--x/snapshots/rev");
        fs::create_dir_all(snapshot.join("onnx")).unwrap();
        symlink("../../blobs/1a", snapshot.join("model.bin")).unwrap();
        symlink("../../../blobs/1a", snapshot.join("onnx/model.bin")).unwrap();
        symlink("../../../outside", snapshot.join("other")).unwrap();
        let files = data(&snapshot).unwrap();
        let found: Vec<_> =
            files.iter().map(|file| (file.path.as_str(), file.size, file.link.is_none())).collect();
        assert_eq!(found, [("model.bin", 7, true), ("onnx/model.bin", 7, true)]);
        assert!(files.iter().all(|file| file.source == root.join("models--x/blobs/1a")));
    }

    #[test]
    fn special_files_are_not_sent_and_special_ignore_files_are_errors() {
        let (_folder, root) = folder(&[("train.py", ""), ("data/x", "")]);
        let pipe = |name: &str| {
            let kind = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, root.join(name), kind, 0o600.into(), 0).unwrap();
        };
        pipe("data/pipe");
        let listing = listing_of(&root).unwrap();
        assert_eq!(names(&listing), ["data/x", "train.py"]);
        assert_eq!(listing.left[&Reason::NoFile].paths, ["data/pipe"]);
        for name in [".dockerignore", "data/.gitignore"] {
            pipe(name);
            assert!(listing_of(&root).unwrap_err().message().contains(name));
            fs::remove_file(root.join(name)).unwrap();
            symlink("/dev/zero", root.join(name)).unwrap();
            assert!(listing_of(&root).unwrap_err().message().contains(name));
            fs::remove_file(root.join(name)).unwrap();
        }
    }
}
