//! Finds the Python version that a project requires.

use std::{io::ErrorKind, path::PathBuf};

use super::dependencies::{self, Dependencies};
use crate::{
    disk,
    error::{Error, Result},
};

/// Maximum size of a `.python-version` in bytes.
const MAX_SIZE: u64 = 1 << 20;

/// The minor versions of Python 3 that are supported.
const KNOWN: std::ops::RangeInclusive<u32> = 8..=14;
/// The minor version to prefer if several match.
const USUAL: u32 = 11;

/// The Python that a project requires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Python {
    /// All versions that match, such as `3.11`, the best first.
    pub versions: Vec<String>,
    /// What the project requires, and where, for messages.
    pub origin: String,
}

/// Returns the Python that the chosen environment file or script header requires, or else the nearest
/// `.python-version`, or else the dependency file or the `pyproject.toml`. `None` if the project requires none. Versions
/// that are not used are added to `notes`.
pub(super) fn of(
    folders: &[PathBuf],
    dependencies: Option<&Dependencies>,
    notes: &mut Vec<String>,
) -> Result<Option<Python>> {
    let declared = dependencies.and_then(|dependencies| dependencies.python.clone());
    let is_whole = |file: &str| [".yml", ".yaml", ".py"].iter().any(|end| file.ends_with(end));
    let by_environment = declared.clone().filter(|(_, file)| is_whole(file) && !file.ends_with("setup.py"));
    let mut pinned = || {
        folders.iter().find_map(|folder| {
            let text = match disk::text(&folder.join(".python-version"), MAX_SIZE) {
                Ok(text) => text,
                Err(error) if [ErrorKind::NotFound, ErrorKind::IsADirectory].contains(&error.kind()) => {
                    return None;
                }
                Err(error) => {
                    notes.push(format!(".python-version is not used: {error}"));
                    return None;
                }
            };
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            let lines: Vec<&str> = lines.collect();
            let Some(pin) = lines.iter().find_map(|line| pin(line)) else {
                // The file may be a link to a secret.
                let is_shown = |line: &&str| line.len() < 40 && !line.contains([' ', '=', ':', '/']);
                let said = lines.first().filter(|line| is_shown(line)).unwrap_or(&"something");
                notes.push(format!(
                    ".python-version has {said}, which is not used: not a version of CPython 3; \
                     to use it, choose an image that has it with --config.base_image=IMAGE"
                ));
                return None;
            };
            if pin.is_free_threaded {
                let version = &pin.range;
                notes.push(format!(
                    ".python-version requires a free-threaded Python: using the standard {version} instead; \
                     to use it, choose an image that has it with --config.base_image=IMAGE"
                ));
            }
            Some((pin.range, ".python-version".to_owned()))
        })
    };
    let required = || {
        folders.iter().find_map(|folder| {
            let path = folder.join("pyproject.toml");
            let file = if path.is_file() { dependencies::toml(&path).ok()? } else { return None };
            Some((dependencies::requires_python(&file)?, "pyproject.toml".to_owned()))
        })
    };
    let Some((range, file)) = by_environment.or_else(&mut pinned).or(declared).or_else(required) else {
        return Ok(None);
    };
    let origin = format!("Python {range} ({file})");
    let mut minors: Vec<u32> = KNOWN.filter(|minor| accepts(&range, *minor)).collect();
    // The preferred one first, then newer ones, then older ones, each by its distance.
    minors.sort_by_key(|minor| if *minor >= USUAL { minor - USUAL } else { 100 + USUAL - minor });
    if minors.is_empty() {
        return Err(Error::invalid(format!("the project requires {origin}, which is not supported"))
            .hint(format!("change {file}: use 3.{} to 3.{}", KNOWN.start(), KNOWN.end())));
    }
    Ok(Some(Python { versions: minors.iter().map(|minor| format!("3.{minor}")).collect(), origin }))
}

/// A line of a `.python-version`.
#[derive(Debug, PartialEq, Eq)]
struct Pin {
    range: String,
    is_free_threaded: bool,
}

/// Parses a line such as `3.11.4`, `>=3.12`, `3.14.0rc2`, `3.13t` or `python-3.12.3`, also as uv writes them. `None` for
/// names of environments and other Pythons, for which there is no base image.
fn pin(line: &str) -> Option<Pin> {
    let line = line.to_lowercase();
    if line.starts_with(['>', '<', '=', '~', '!']) {
        return line
            .contains(|c: char| c.is_ascii_digit())
            .then_some(Pin { range: line, is_free_threaded: false });
    }
    let version = ["cpython", "python"].iter().find_map(|name| line.strip_prefix(name)).unwrap_or(&line);
    let version = version.trim_start_matches(['-', '@', ' ']);
    let (version, variant) = version.split_once(['-', '+']).unwrap_or((version, ""));
    let numbers = version.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(version.len());
    let (numbers, rest) = version.split_at(numbers);
    let is_pre_release = ["a", "b", "rc"]
        .iter()
        .any(|kind| rest.strip_prefix(kind).is_some_and(|number| number.chars().all(|c| c.is_ascii_digit())));
    let is_free_threaded = rest == "t" || variant.starts_with("freethreaded");
    let is_known = rest.is_empty() || rest == "t" || is_pre_release;
    let parts: Option<Vec<u32>> = numbers.split('.').map(|part| part.parse().ok()).collect();
    let parts = parts.filter(|parts| is_known && parts.first() == Some(&3))?;
    // For a pre-release, there is only an image of its minor version.
    let range = if is_pre_release { parts.iter().take(2) } else { parts.iter().take(3) };
    Some(Pin { range: range.map(u32::to_string).collect::<Vec<_>>().join("."), is_free_threaded })
}

/// Whether a range of PEP 440 or Poetry accepts some Python 3.`minor`.
fn accepts(range: &str, minor: u32) -> bool {
    range.split("||").any(|range| range.split(',').map(str::trim).all(|clause| clause_accepts(clause, minor)))
}

fn clause_accepts(clause: &str, minor: u32) -> bool {
    let start = clause.find(|c: char| c.is_ascii_digit() || c == '*').unwrap_or(clause.len());
    let (operator, version) = (clause[..start].trim(), &clause[start..]);
    let parts: Vec<u32> = version.split('.').map_while(|part| part.trim().parse().ok()).collect();
    let Some(&major) = parts.first() else { return true };
    let (this, that) = ((3, minor), (major, parts.get(1).copied().unwrap_or(0)));
    let has_patch = parts.len() > 2;
    match operator {
        ">=" => this >= that,
        ">" if has_patch => this >= that,
        ">" => this > that,
        "<=" => this <= that,
        "<" if has_patch && parts[2] > 0 => this <= that,
        "<" => this < that,
        "!=" => has_patch || parts.len() < 2 || this != that,
        "^" => this >= that && major == 3,
        "~=" if !has_patch => this >= that && major == 3,
        _ => major == 3 && (parts.len() < 2 || this == that),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn of_files(files: &[(&str, &str)]) -> Result<Option<(Vec<String>, String)>> {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for (name, text) in files {
            fs::write(root.join(name), text).unwrap();
        }
        let folders = [root.clone()];
        let choice = Default::default();
        let search = dependencies::Search { root: &root, folders: &folders, script: None, choice: &choice };
        let found = dependencies::of(&search, &dependencies::Wanted::default())?;
        let python = of(&folders, found.dependencies.as_ref(), &mut Vec::new())?;
        Ok(python.map(|python| (python.versions, python.origin)))
    }

    #[test]
    fn ranges() {
        for (range, expected) in [
            (">=3.9", "9 10 11 12 13 14"),
            (">=3.9,<3.12", "9 10 11"),
            (">3.9,<=3.11", "10 11"),
            (">=3.9.2, <3.11.5", "9 10 11"),
            ("<3.11.0", "8 9 10"),
            ("~=3.10", "10 11 12 13 14"),
            ("~=3.10.2", "10"),
            ("==3.10.*", "10"),
            ("3.10.4", "10"),
            ("^3.12", "12 13 14"),
            ("~3.12", "12"),
            (">=3.12,!=3.13.*", "12 14"),
            (">=3.12,!=3.13.1", "12 13 14"),
            ("<4.0", "8 9 10 11 12 13 14"),
            ("*", "8 9 10 11 12 13 14"),
            ("3.8.* || >=3.14", "8 14"),
            (">=2.7,<3", ""),
        ] {
            let minors: Vec<String> =
                KNOWN.filter(|minor| accepts(range, *minor)).map(|minor| minor.to_string()).collect();
            assert_eq!(minors.join(" "), expected, "{range}");
        }
    }

    #[test]
    fn pins_of_any_tool() {
        for (line, range, is_free_threaded) in [
            ("3.12.4", "3.12.4", false),
            ("3.13t", "3.13", true),
            ("3.13+freethreaded", "3.13", true),
            ("3.14.0rc2", "3.14", false),
            (">=3.12", ">=3.12", false),
            ("python-3.12.3", "3.12.3", false),
            ("cpython-3.12.1-linux-x86_64-gnu", "3.12.1", false),
            ("cpython@3.10", "3.10", false),
            ("3.12-dev", "3.12", false),
            ("3", "3", false),
        ] {
            assert_eq!(pin(line), Some(Pin { range: range.into(), is_free_threaded }), "{line}");
        }
        for line in ["pypy3.10", "my-env", "2.7.18", "graalpy-24", "3.x", "miniconda3-4.7", ">="] {
            assert_eq!(pin(line), None, "{line}");
        }
    }

    #[test]
    fn versions_that_are_not_used_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".python-version"), "pypy3.10\n").unwrap();
        let mut notes = Vec::new();
        assert_eq!(of(&[folder.path().to_owned()], None, &mut notes).unwrap(), None);
        assert!(notes[0].starts_with(".python-version has pypy3.10, which is not used"), "{notes:?}");
    }

    #[test]
    fn the_projects_own_version_is_used() {
        let first =
            |files: &[(&str, &str)]| of_files(files).unwrap().map(|(versions, _)| versions[0].clone());
        let project =
            |range: &str| format!("[project]\nname = 'x'\nversion = '1'\nrequires-python = '{range}'\n");
        assert_eq!(first(&[("requirements.txt", "six\n")]), None);
        assert_eq!(first(&[("pyproject.toml", &project(">=3.9"))]).as_deref(), Some("3.11"));
        assert_eq!(first(&[("pyproject.toml", &project(">=3.12"))]).as_deref(), Some("3.12"));
        assert_eq!(first(&[("pyproject.toml", &project("<3.11"))]).as_deref(), Some("3.10"));
        let both = [("pyproject.toml", project(">=3.9")), (".python-version", "3.13.1\n".to_owned())];
        let both = both.each_ref().map(|(name, text)| (*name, text.as_str()));
        assert_eq!(first(&both).as_deref(), Some("3.13"));
        assert_eq!(first(&[(".python-version", "my-env\n")]), None);
        assert_eq!(first(&[(".python-version", "pypy3.10\n3.10\n")]).as_deref(), Some("3.10"));
        assert_eq!(
            first(&[("environment.yml", "dependencies: [python=3.10, six]\n")]).as_deref(),
            Some("3.10")
        );
        let none = of_files(&[(".python-version", "3.99\n")]).unwrap_err();
        assert!(none.message().contains("Python 3.99 (.python-version)"), "{}", none.message());
    }
}
