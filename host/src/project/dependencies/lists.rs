//! Recognises dependency files by their names.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The kind of a dependency file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Requirements,
    UvLock,
    PoetryLock,
    PdmLock,
    Pylock,
    PipfileLock,
    Pipfile,
    Pyproject,
    Pixi,
    Conda,
    MlProject,
    PythonEnv,
    SetupCfg,
    SetupPy,
    Unknown,
}

/// Dependency files in order of precedence. The first one that exists and declares anything is used: a
/// `pyproject.toml` may only configure tools.
const ORDER: [&str; 21] = [
    "requirements.txt",
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "pylock.toml",
    "requirements.lock",
    "Pipfile.lock",
    "Pipfile",
    "pixi.toml",
    "pyproject.toml",
    "MLproject",
    "environment.yml",
    "environment.yaml",
    "conda.yaml",
    "conda.yml",
    "env.yaml",
    "env.yml",
    "python_env.yaml",
    "requirements.in",
    "setup.cfg",
    "setup.py",
];
/// Locks that only their own tools can install from.
const UNREAD: [&str; 3] = ["conda-lock.yml", "conda-lock.yaml", "pixi.lock"];

/// A hint with the kinds of files that `--env-file` accepts.
pub(super) const KINDS: &str = "a dependency file is a requirements.txt, uv.lock, poetry.lock, pdm.lock, pylock.toml, \
                                Pipfile, Pipfile.lock, pyproject.toml, pixi.toml, environment.yml, setup.cfg or setup.py";

/// Returns the dependency files of a folder, in order of precedence.
pub(super) fn in_folder(folder: &Path) -> Vec<PathBuf> {
    let all = ORDER.iter().map(|name| folder.join(name));
    // What is there but is not a file, such as a pipe or a link to nothing, is an error when it is read.
    all.filter(|path| path.symlink_metadata().is_ok() && !path.is_dir()).collect()
}

/// Returns the locks in a folder that only their own tools can install from.
pub(super) fn unread(folder: &Path) -> Vec<PathBuf> {
    UNREAD.iter().map(|name| folder.join(name)).filter(|path| path.is_file()).collect()
}

/// Returns the kind of a file, by its name.
pub(super) fn kind(path: &Path) -> Kind {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    match name.as_str() {
        "uv.lock" => Kind::UvLock,
        "poetry.lock" => Kind::PoetryLock,
        "pdm.lock" => Kind::PdmLock,
        "pipfile.lock" => Kind::PipfileLock,
        "pipfile" => Kind::Pipfile,
        "pyproject.toml" => Kind::Pyproject,
        "pixi.toml" => Kind::Pixi,
        "mlproject" => Kind::MlProject,
        "setup.cfg" => Kind::SetupCfg,
        "setup.py" => Kind::SetupPy,
        name if UNREAD.contains(&name) => Kind::Unknown,
        name if name.starts_with("python_env.y") => Kind::PythonEnv,
        name if name.ends_with(".yml") || name.ends_with(".yaml") => Kind::Conda,
        name if name.starts_with("pylock.") && name.ends_with(".toml") => Kind::Pylock,
        // Rye's locks are requirements files.
        name if name.starts_with("requirements") && name.ends_with(".lock") => Kind::Requirements,
        name if [".toml", ".lock", ".cfg", ".py", ".json"].iter().any(|end| name.ends_with(end)) => {
            Kind::Unknown
        }
        _ => Kind::Requirements,
    }
}

/// Returns the files of a folder that may be meant as dependency files, by their names.
pub(super) fn near_misses(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let is_near = |name: &str| {
        let name = name.to_lowercase();
        let Some(stem) = name.strip_suffix(".txt").or_else(|| name.strip_suffix(".pip")) else {
            return false;
        };
        let first = stem.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        ["reqs", "req", "packages", "dependencies", "deps"].contains(&stem.trim())
            || first.len() > 5 && strsim::levenshtein(first, "requirements") < 4
    };
    let paths = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file());
    let named = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(is_near);
    let mut found: Vec<PathBuf> = paths.filter(named).collect();
    let below = folder.join("requirements");
    let lists = fs::read_dir(&below).into_iter().flatten().flatten().map(|entry| entry.path());
    found.extend(lists.filter(|path| path.extension().is_some_and(|kind| kind == "txt") && path.is_file()));
    found.sort();
    found
}

/// Whether `used` covers what `other` declares: a project's file beside its lock, or the source of a list.
pub(super) fn belongs_to(other: &str, used: &str) -> bool {
    let split = |path: &str| match path.rsplit_once('/') {
        Some((folder, name)) => (folder.to_owned(), name.to_owned()),
        None => (String::new(), path.to_owned()),
    };
    let ((folder, other), (of_used, used)) = (split(other), split(used));
    let parts: &[&str] = match used.as_str() {
        "uv.lock" | "poetry.lock" | "pdm.lock" | "pylock.toml" | "requirements.lock" => {
            &["pyproject.toml", "setup.cfg", "setup.py"]
        }
        "Pipfile.lock" => &["Pipfile"],
        "requirements.txt" => &["requirements.in"],
        "pyproject.toml" => &["setup.cfg", "setup.py"],
        "setup.cfg" => &["setup.py"],
        "MLproject" => &["conda.yaml", "conda.yml", "python_env.yaml"],
        "pixi.toml" => &["pixi.lock"],
        _ => &[],
    };
    folder == of_used && parts.contains(&other.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_with_similar_names_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let names = [
            "requirment.txt",
            "requirements .txt",
            "requirement.txt",
            "Requirements.txt",
            "requirements-gpu.txt",
            "reqs.txt",
            "notes.txt",
            "README.md",
            "requests.txt.md",
            "results.txt",
            "requirements/base.txt",
        ];
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "six\n").unwrap();
        }
        let found = near_misses(folder.path());
        let found: Vec<&str> =
            found.iter().map(|path| path.strip_prefix(folder.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(
            found,
            [
                "Requirements.txt",
                "reqs.txt",
                "requirement.txt",
                "requirements/base.txt",
                "requirements .txt",
                "requirements-gpu.txt",
                "requirment.txt",
            ]
        );
    }
}
