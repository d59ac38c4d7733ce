//! Finds the project root of an artifact, and the folder in which the artifact runs.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::clues::{Clues, Standpoint};
use crate::error::{Error, Kind, Result};

/// Files or folders that mark a project root.
const MARKERS: [&str; 24] = [
    ".git",
    ".hg",
    ".jj",
    "alekseylearn.toml",
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "requirements.txt",
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "pylock.toml",
    "requirements.lock",
    "Pipfile",
    "Pipfile.lock",
    "pixi.toml",
    "pixi.lock",
    "environment.yml",
    "environment.yaml",
    "conda.yaml",
    "conda.yml",
    "MLproject",
    "dvc.yaml",
    ".dockerignore",
];
/// Markers of the top of a repository: nothing above it belongs to the project.
const TOPS: [&str; 3] = [".git", ".hg", ".jj"];
/// Usual names of folders that are a part of a project: what is run from the folder above needs that folder.
const PARTS: [&str; 20] = [
    "src",
    "source",
    "app",
    "bin",
    "code",
    "experiments",
    "jobs",
    "lib",
    "ml",
    "model",
    "models",
    "notebooks",
    "pipeline",
    "pipelines",
    "python",
    "script",
    "scripts",
    "tools",
    "train",
    "training",
];

/// The project root, and what follows from it.
#[derive(Debug)]
pub(super) struct Place {
    /// Absolute path of the project root.
    pub(super) root: PathBuf,
    /// The working folder, relative to the root; empty if it is the root.
    pub(super) workdir: String,
    /// Folders that may have dependency files: the artifact's folder and those above it, up to the top of the
    /// repository.
    pub(super) folders: Vec<PathBuf>,
}

/// What determines the project root.
pub(super) struct Asked<'a> {
    /// Absolute path of the artifact, in a folder without links.
    pub(super) artifact: &'a Path,
    /// Its Python code.
    pub(super) code: Vec<String>,
    /// The folder that it is imported from, if it is a module.
    pub(super) base: Option<&'a Path>,
    /// It runs in its own folder, as a notebook does.
    pub(super) in_its_folder: bool,
    /// Its arguments.
    pub(super) arguments: &'a [String],
    /// The current folder.
    pub(super) current: &'a Path,
    /// The user's home folder.
    pub(super) home: &'a Path,
    /// The project root, if the user names one.
    pub(super) root: Option<&'a Path>,
    /// What earlier runs downloaded.
    pub(super) results: &'a BTreeSet<PathBuf>,
}

impl Place {
    /// Finds the project of an artifact.
    ///
    /// The root is the nearest folder with a marker, at or above the artifact. An outer project is used instead if the
    /// code needs something of it, a module or a path that it names. It is also used if it is the current folder, and
    /// the artifact's folder is only a part by its name, such as `src`. Without any marker, the root is the artifact's
    /// folder, or the current folder under the same conditions.
    ///
    /// # Errors
    /// The root would be a home folder, or the user names one that does not contain the artifact.
    pub(super) fn find(asked: Asked<'_>) -> Result<Self> {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let (current, home) = (real(asked.current), real(asked.home));
        let folder = asked.artifact.parent().unwrap_or(Path::new("/"));
        let above = above(folder, &home);
        let root = match asked.root {
            Some(root) => named(root, asked.artifact, &home)?,
            None => found(&asked, folder, &above, &current, &home)?,
        };
        let working = match asked.in_its_folder {
            true => folder,
            false if current.starts_with(&root) => &current,
            false => &root,
        };
        let workdir = working.strip_prefix(&root).ok().and_then(Path::to_str).unwrap_or_default().to_owned();
        // Without a marker, files above the root may belong to something else.
        let last = above.iter().rposition(|above| has_marker(above) || **above == *root);
        let folders = above[..last.map_or(1, |last| last + 1).min(above.len())].to_vec();
        Ok(Self {
            root,
            workdir,
            folders: if folders.is_empty() { vec![folder.to_owned()] } else { folders },
        })
    }
}

fn found(
    asked: &Asked<'_>,
    folder: &Path,
    above: &[PathBuf],
    current: &Path,
    home: &Path,
) -> Result<PathBuf> {
    let base = asked.base.unwrap_or(folder);
    let marked = above.iter().find(|folder| has_marker(folder) && base.starts_with(folder));
    let inner = marked.map_or(base, PathBuf::as_path);
    if above.is_empty() {
        return Err(never_sent(folder, home));
    }
    let clues = Clues::read(asked.code.clone(), folder, inner, asked.arguments);
    let place = Standpoint { folder, current, results: asked.results };
    let package = package_parent(folder);
    let may_be = |outer: &Path| has_marker(outer) || outer == current || Some(outer) == package;
    let mut root = inner;
    for outer in above.iter().filter(|outer| may_be(outer)) {
        if !inner.starts_with(outer) || *outer == root {
            continue;
        }
        let is_part = |folder: &Path| {
            let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            PARTS.contains(&name.to_lowercase().as_str())
        };
        let stands_there = current.starts_with(outer) && root.starts_with(current) && root != current;
        if clues.need(outer, root, &place) || stands_there && is_part(root) && !clues.name_a_neighbour(&place)
        {
            root = outer;
        }
    }
    Ok(root.to_owned())
}

/// Returns the folder and those above it that may be a project root: up to the top of the repository, below the home
/// folder, and below folders that everybody may write to.
fn above(folder: &Path, home: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in folder.ancestors() {
        if is_too_wide(folder, home) {
            break;
        }
        found.push(folder.to_owned());
        if TOPS.iter().any(|top| folder.join(top).exists()) {
            break;
        }
    }
    found
}

/// Whether the folder can never be a project root: a home folder, one that contains it, or a shared folder.
fn is_too_wide(folder: &Path, home: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    const ALL_MAY_WRITE: u32 = 0o1002;
    let is_shared = |data: fs::Metadata| data.permissions().mode() & ALL_MAY_WRITE == ALL_MAY_WRITE;
    home.starts_with(folder) || folder.parent().is_none() || folder.metadata().is_ok_and(is_shared)
}

fn has_marker(folder: &Path) -> bool {
    MARKERS.iter().any(|marker| folder.join(marker).exists())
}

/// Returns the folder that contains the package of which `folder` is a part.
fn package_parent(folder: &Path) -> Option<&Path> {
    let mut ancestors = folder.ancestors();
    let first = ancestors.next().filter(|folder| folder.join("__init__.py").is_file())?;
    let top = ancestors.take_while(|folder| folder.join("__init__.py").is_file()).last();
    top.unwrap_or(first).parent()
}

fn named(root: &Path, artifact: &Path, home: &Path) -> Result<PathBuf> {
    let folder = root.canonicalize().ok().filter(|folder| folder.is_dir()).ok_or_else(|| {
        Error::new(Kind::NotFound, format!("there is no folder {}", root.display()))
            .hint("--root takes a path relative to the current folder")
    })?;
    if is_too_wide(&folder, home) {
        return Err(never_sent(&folder, home));
    }
    if !artifact.starts_with(&folder) {
        return Err(Error::invalid(format!("{} is not in the root {}", artifact.display(), root.display()))
            .hint("choose a folder at or above the artifact with --root"));
    }
    Ok(folder)
}

fn never_sent(folder: &Path, home: &Path) -> Error {
    let what = if folder == home {
        "your home folder"
    } else if home.starts_with(folder) {
        "a folder that contains your home folder"
    } else {
        "a folder that all users share"
    };
    Error::invalid(format!("cannot send {}: it is {what}", folder.display()))
        .hint("move the training artifact into a folder of its own")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Disk(#[expect(dead_code, reason = "it is removed with this")] tempfile::TempDir, PathBuf);

    impl Disk {
        fn new(files: &[(&str, &str)]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().canonicalize().unwrap();
            fs::create_dir(root.join("home")).unwrap();
            for (path, text) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Self(folder, root)
        }

        fn place(&self, artifact: &str, current: &str, arguments: &[&str]) -> Result<Place> {
            let path = self.1.join(artifact);
            let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
            Place::find(Asked {
                artifact: &path,
                code: vec![fs::read_to_string(&path).unwrap()],
                in_its_folder: artifact.ends_with(".ipynb"),
                arguments: &arguments,
                current: &self.1.join(current),
                home: &self.1.join("home"),
                root: None,
                base: None,
                results: &[self.1.join("x/out/m")].into(),
            })
        }

        /// The root and the working folder.
        fn found(&self, artifact: &str, current: &str) -> (String, String) {
            let place = self.place(artifact, current, &[]).unwrap();
            let root = place.root.strip_prefix(&self.1).unwrap().display().to_string();
            (root, place.workdir)
        }
    }

    fn both(root: &str, workdir: &str) -> (String, String) {
        (root.to_owned(), workdir.to_owned())
    }

    #[test]
    fn what_was_downloaded_is_not_what_the_code_names() {
        let files =
            &[("x/a/requirements.txt", ""), ("x/a/train.py", "print('out', 'data')"), ("x/out/m", "")];
        let disk = Disk::new(files);
        assert_eq!(disk.found("x/a/train.py", "x"), both("x/a", ""));
        fs::create_dir(disk.1.join("x/data")).unwrap();
        assert_eq!(disk.found("x/a/train.py", "x"), both("x", ""));
    }

    #[test]
    fn the_nearest_marker_makes_the_project() {
        let disk = Disk::new(&[
            ("x/.git/config", ""),
            ("x/src/train.py", ""),
            ("x/sub/requirements.txt", ""),
            ("x/sub/deep/train.py", ""),
            ("x/sub/deep/note.ipynb", ""),
        ]);
        assert_eq!(disk.found("x/src/train.py", "x"), both("x", ""));
        assert_eq!(disk.found("x/src/train.py", "x/src"), both("x", "src"));
        assert_eq!(disk.found("x/src/train.py", "home"), both("x", ""));
        assert_eq!(disk.found("x/sub/deep/train.py", "x"), both("x/sub", ""));
        assert_eq!(disk.found("x/sub/deep/note.ipynb", "x/sub"), both("x/sub", "deep"));
    }

    #[test]
    fn an_outer_project_that_the_code_needs_is_the_root() {
        for (code, files) in [
            ("from common.io import read", vec![("x/common/io.py", "")]),
            ("import mytrainer", vec![("x/src/mytrainer/__init__.py", "")]),
            ("open('data/x.csv')", vec![("x/data/x.csv", "")]),
            ("hydra.main(config_path='../conf')", vec![("x/conf/a.yaml", "")]),
            ("HERE = Path(__file__).parents[1] / 'data'", vec![("x/data/x.csv", "")]),
            ("import helper", vec![("x/sub/helper.py", "import common"), ("x/common.py", "")]),
        ] {
            let mut all =
                vec![("x/.git/config", ""), ("x/sub/requirements.txt", ""), ("x/sub/train.py", code)];
            all.extend(files);
            let disk = Disk::new(&all);
            assert_eq!(disk.found("x/sub/train.py", "x"), both("x", ""), "{code}");
        }
        let disk = Disk::new(&[
            ("x/.git/config", ""),
            ("x/sub/requirements.txt", ""),
            ("x/sub/train.py", "import sys"),
            ("x/sub/data/a.csv", ""),
            ("x/data/x.csv", ""),
        ]);
        assert_eq!(disk.found("x/sub/train.py", "x"), both("x/sub", ""));
        let place = disk.place("x/sub/train.py", "x", &["--data=data/x.csv"]).unwrap();
        assert_eq!((place.root, place.workdir), (disk.1.join("x"), String::new()));
    }

    #[test]
    fn without_a_marker_a_part_is_run_from_the_folder_above() {
        let disk = Disk::new(&[
            ("x/src/train.py", ""),
            ("x/foo/train.py", ""),
            ("x/models/train.py", "open('a.csv')"),
            ("x/models/a.csv", ""),
            ("x/bar/train.py", "import shared.io"),
            ("x/shared/io.py", ""),
            ("x/pkg/__init__.py", ""),
            ("x/pkg/train.py", "from pkg.model import Net"),
            ("x/pkg/model.py", ""),
        ]);
        assert_eq!(disk.found("x/src/train.py", "x"), both("x", ""));
        assert_eq!(disk.found("x/src/train.py", "x/src"), both("x/src", ""));
        assert_eq!(disk.found("x/foo/train.py", "x"), both("x/foo", ""));
        assert_eq!(disk.found("x/models/train.py", "x"), both("x/models", ""));
        assert_eq!(disk.found("x/bar/train.py", "x"), both("x", ""));
        assert_eq!(disk.found("x/pkg/train.py", "x/pkg"), both("x", "pkg"));
    }

    #[test]
    fn a_home_folder_is_never_sent() {
        let disk = Disk::new(&[
            ("home/requirements.txt", ""),
            ("home/.git/config", ""),
            ("home/train.py", "open('notes.txt')"),
            ("home/x/src/train.py", "open('notes.txt')"),
            ("home/notes.txt", ""),
        ]);
        assert_eq!(disk.found("home/x/src/train.py", "home"), both("home/x/src", ""));
        assert_eq!(disk.found("home/x/src/train.py", "home/x"), both("home/x", ""));
        let error = disk.place("home/train.py", "home", &[]).unwrap_err();
        assert!(error.message().contains("your home folder"), "{error}");
        let folders = disk.place("home/x/src/train.py", "home", &[]).unwrap().folders;
        assert!(folders.iter().all(|folder| folder.starts_with(disk.1.join("home/x"))), "{folders:?}");
    }

    #[test]
    fn a_marker_in_a_shared_folder_is_ignored() {
        use std::os::unix::fs::PermissionsExt;
        let disk = Disk::new(&[("tmp/requirements.txt", ""), ("tmp/x/train.py", "open('a')"), ("tmp/a", "")]);
        fs::set_permissions(disk.1.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
        let place = disk.place("tmp/x/train.py", "tmp", &[]).unwrap();
        assert_eq!((&place.root, place.folders.len()), (&disk.1.join("tmp/x"), 1));
    }
}
