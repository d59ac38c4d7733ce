//! Which Python a project asks for, by its own word.

use std::path::PathBuf;

use super::dependencies::{self, Dependencies};
use crate::{
    disk,
    error::{Error, Result},
};

/// Beyond this, a `.python-version` names no Python.
const LARGEST: u64 = 1 << 20;

/// Those that there are, as minor versions of Python 3.
const KNOWN: std::ops::RangeInclusive<u32> = 8..=14;
/// Taken where the project leaves it open.
const USUAL: u32 = 11;

/// The Python that a project asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Python {
    /// All that will do, as `3.11`, the best first.
    pub versions: Vec<String>,
    /// What the project says, and where, for a person to read.
    pub origin: String,
}

/// By the environment file that was chosen, else by the nearest `.python-version`, else by what the dependency file or
/// the `pyproject.toml` requires. None where the project does not say.
pub(super) fn of(folders: &[PathBuf], dependencies: Option<&Dependencies>) -> Result<Option<Python>> {
    let declared = dependencies.and_then(|dependencies| dependencies.python.clone());
    let by_conda = declared.clone().filter(|(_, file)| file.ends_with(".yml") || file.ends_with(".yaml"));
    let pinned = || {
        folders.iter().find_map(|folder| {
            let text = disk::text(&folder.join(".python-version"), LARGEST).ok()?;
            let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
            Some((pin(line)?, ".python-version".to_owned()))
        })
    };
    let required = || {
        folders.iter().find_map(|folder| {
            let path = folder.join("pyproject.toml");
            let file = if path.is_file() { dependencies::toml(&path).ok()? } else { return None };
            Some((dependencies::requires_python(&file)?, "pyproject.toml".to_owned()))
        })
    };
    let Some((range, file)) = by_conda.or_else(pinned).or(declared).or_else(required) else {
        return Ok(None);
    };
    let origin = format!("Python {range} by {file}");
    let mut minors: Vec<u32> = KNOWN.filter(|minor| accepts(&range, *minor)).collect();
    // The usual one first, then newer ones, then older ones, each by its distance.
    minors.sort_by_key(|minor| if *minor >= USUAL { minor - USUAL } else { 100 + USUAL - minor });
    if minors.is_empty() {
        return Err(Error::invalid(format!("the project asks for {origin}, and there is no such Python"))
            .hint(format!("mend {file}: it can be 3.{} to 3.{}", KNOWN.start(), KNOWN.end())));
    }
    Ok(Some(Python { versions: minors.iter().map(|minor| format!("3.{minor}")).collect(), origin }))
}

/// `3.11.4`, also as uv writes it. Names of environments and other Pythons say nothing about a base image.
fn pin(line: &str) -> Option<String> {
    let version = line.strip_prefix("cpython").map_or(line, |rest| rest.trim_start_matches(['-', '@']));
    let version = version.split(['-', '+']).next().unwrap_or(version);
    let parts: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
    parts.filter(|parts| parts.len() > 1 && parts[0] == 3).map(|_| version.to_owned())
}

/// A range as PEP 440 or Poetry writes it takes some Python 3.`minor`.
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
        let dependencies = dependencies::of(&root, &folders, None)?;
        Ok(of(&folders, dependencies.as_ref())?.map(|python| (python.versions, python.origin)))
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
    fn the_projects_own_word_counts() {
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
        assert_eq!(
            first(&[("environment.yml", "dependencies: [python=3.10, six]\n")]).as_deref(),
            Some("3.10")
        );
        let none = of_files(&[(".python-version", "3.99\n")]).unwrap_err();
        assert!(none.message().contains("Python 3.99 by .python-version"), "{}", none.message());
    }
}
