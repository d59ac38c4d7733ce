//! Which files of a training folder may leave the machine.

use std::path::{Path, PathBuf};

use ignore::{
    WalkBuilder,
    gitignore::{Gitignore, GitignoreBuilder},
};

use crate::error::{Context, Error, Result};

/// One file that may leave the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Relative to the training folder, with `/`.
    pub path: String,
    /// Where it is.
    pub source: PathBuf,
    /// In bytes.
    pub size: u64,
    /// It may be executed.
    pub executable: bool,
}

/// Never sent, whatever the ignore files say: credentials and keys.
const SECRETS: &[&str] = &[
    ".env",
    ".env.*",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "id_rsa*",
    "id_ed25519*",
    "id_ecdsa*",
    ".aws",
    ".ssh",
    ".gnupg",
    ".kaggle",
    "kaggle.json",
    ".netrc",
    ".pypirc",
    ".git-credentials",
    ".docker",
    ".config/gcloud",
    "application_default_credentials.json",
];
/// Never of use in an image.
const CLUTTER: &[&str] = &[
    ".git",
    ".hg",
    ".svn",
    "__pycache__",
    "*.pyc",
    ".ipynb_checkpoints",
    ".venv",
    "venv",
    ".tox",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    "node_modules",
    ".DS_Store",
];

/// The files of `folder` by `.dockerignore`, else by `.gitignore`, less secrets and clutter; those of `keep` always.
pub(super) fn list(folder: &Path, keep: &[&str]) -> Result<Vec<File>> {
    let denied = never(folder)?;
    let docker = docker_rules(folder)?;
    let mut walk = WalkBuilder::new(folder);
    walk.standard_filters(false).hidden(false).follow_links(false);
    if docker.is_none() {
        walk.git_ignore(true).require_git(false).parents(true);
    }
    let root = folder.to_owned();
    walk.filter_entry(move |entry| {
        let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
        entry.path() == root || !denied.matched(entry.path(), is_folder).is_ignore()
    });
    let mut files = Vec::new();
    for entry in walk.build() {
        let entry = entry.map_err(|error| Error::failed("cannot list the training folder").source(error))?;
        let path = entry.path();
        let ignored =
            docker.as_ref().is_some_and(|rules| rules.matched_path_or_any_parents(path, false).is_ignore());
        if !ignored && let Some(file) = file(folder, path)? {
            files.push(file);
        }
    }
    for name in keep {
        if !files.iter().any(|file| file.path == *name) {
            files.extend(file(folder, &folder.join(name))?);
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn never(folder: &Path) -> Result<Gitignore> {
    let mut rules = GitignoreBuilder::new(folder);
    for pattern in SECRETS.iter().chain(CLUTTER) {
        rules.add_line(None, pattern).context(|| format!("the pattern {pattern} is wrong"))?;
    }
    rules.build().context(|| "the deny list is wrong".into())
}

/// `.dockerignore` anchors every pattern at the folder, where `.gitignore` lets one without a slash match anywhere.
fn docker_rules(folder: &Path) -> Result<Option<Gitignore>> {
    let path = folder.join(".dockerignore");
    let Ok(text) = std::fs::read_to_string(&path) else { return Ok(None) };
    let mut rules = GitignoreBuilder::new(folder);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (sign, pattern) = line.strip_prefix('!').map_or(("", line), |pattern| ("!", pattern));
        let anchored = format!("{sign}/{}", pattern.trim_start_matches("./").trim_start_matches('/'));
        rules.add_line(Some(path.clone()), &anchored).map_err(|error| {
            Error::invalid(format!("{} is wrong at `{line}`", path.display())).source(error)
        })?;
    }
    rules.build().map(Some).context(|| format!("{} is wrong", path.display()))
}

/// None for what is not a file, and for links that lead out of the folder.
fn file(folder: &Path, path: &Path) -> Result<Option<File>> {
    use std::os::unix::fs::PermissionsExt;
    let Ok(source) = path.canonicalize() else { return Ok(None) };
    if !source.starts_with(folder) || !source.is_file() {
        return Ok(None);
    }
    let Some(name) = path.strip_prefix(folder).ok().and_then(Path::to_str) else {
        return Err(Error::invalid(format!("the name of {} is not UTF-8", path.display()))
            .hint("rename it, or name it in .dockerignore"));
    };
    let data = source.metadata().context(|| format!("cannot read {}", path.display()))?;
    let executable = data.permissions().mode() & 0o111 != 0;
    Ok(Some(File { path: name.to_owned(), size: data.len(), executable, source }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn listed(files: &[(&str, &str)], keep: &[&str]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        list(&root, keep).unwrap().into_iter().map(|file| file.path).collect()
    }

    #[test]
    fn secrets_and_clutter_stay_here() {
        let files = [
            ("train.py", ""),
            (".env", "KEY=1"),
            ("keys/server.pem", ""),
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
    fn dockerignore_anchors_and_takes_back() {
        let files = [
            ("data/x", ""),
            ("a/data/x", ""),
            ("data/keep", ""),
            (".dockerignore", "data/*\n!data/keep\n.dockerignore\n"),
        ];
        assert_eq!(listed(&files, &[]), ["a/data/x", "data/keep"]);
    }

    #[test]
    fn the_artifact_is_never_ignored() {
        assert_eq!(listed(&[("train.py", ""), (".dockerignore", "*\n")], &["train.py"]), ["train.py"]);
    }

    #[test]
    fn links_out_of_the_folder_are_left() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::write(root.join("a.py"), "").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", root.join("b.py")).unwrap();
        std::os::unix::fs::symlink("a.py", root.join("c.py")).unwrap();
        let names: Vec<String> = list(&root, &[]).unwrap().into_iter().map(|file| file.path).collect();
        assert_eq!(names, ["a.py", "c.py"]);
    }
}
