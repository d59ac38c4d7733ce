//! Finds the job that a tag means: unrelated projects may have the same tag.

use std::path::{Path, PathBuf};

use crate::{
    error::{Error, Kind, Result},
    project,
};

/// The newest job of one artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) name: String,
    /// Absolute path of its artifact.
    pub(super) artifact: PathBuf,
    /// Its project root, if known.
    pub(super) root: Option<PathBuf>,
}

impl Candidate {
    /// Whether the current folder is in its project, or contains its artifact.
    fn is_here(&self, current: &Path) -> bool {
        let root = self.root.as_deref().or(self.artifact.parent());
        self.artifact.starts_with(current) || root.is_some_and(|root| current.starts_with(root))
    }

    /// Number of leading folders that its artifact has in common with the current folder.
    fn nearness(&self, current: &Path) -> usize {
        self.artifact.components().zip(current.components()).take_while(|(a, b)| a == b).count()
    }
}

/// Returns the job that a tag means in the current folder: the newest of this project, or else the only one. `None`
/// if no job has the tag.
///
/// # Errors
/// Several projects have the tag, or only other projects have it.
pub(super) fn which<'a>(
    tag: &str,
    candidates: &'a [Candidate],
    current: &Path,
) -> Result<Option<&'a Candidate>> {
    let here: Vec<&Candidate> = candidates.iter().filter(|one| one.is_here(current)).collect();
    let nearest = here.iter().map(|one| one.nearness(current)).max();
    let nearest: Vec<&Candidate> =
        here.into_iter().filter(|one| Some(one.nearness(current)) == nearest).collect();
    match (&nearest[..], candidates) {
        ([only], _) => Ok(Some(only)),
        ([], []) => Ok(None),
        ([], _) if let Some(artifact) = project::artifact_of_tag(tag, current) => {
            let message = format!("no job of {} has the tag `{tag}`", artifact.display());
            Err(Error::new(Kind::NotFound, format!("{message}; only other projects have one"))
                .details(listed(candidates.iter()))
                .hint("give the name of one of these jobs, or train this one: `alekseylearn fit PATH`"))
        }
        ([], [only]) => Ok(Some(only)),
        ([], all) => Err(ambiguous(tag, all.iter())),
        (several, _) => Err(ambiguous(tag, several.iter().copied())),
    }
}

fn ambiguous<'a>(tag: &str, candidates: impl Iterator<Item = &'a Candidate>) -> Error {
    Error::invalid(format!("several projects have jobs with the tag `{tag}`"))
        .details(listed(candidates))
        .hint("give the name of one of these jobs, or run the command in its project")
}

fn listed<'a>(candidates: impl Iterator<Item = &'a Candidate>) -> String {
    let line = |one: &Candidate| format!("{}  newest of {}", one.name, one.artifact.display());
    candidates.map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(name: &str, artifact: &str, root: Option<&str>) -> Candidate {
        Candidate { name: name.into(), artifact: artifact.into(), root: root.map(PathBuf::from) }
    }

    #[test]
    fn a_tag_means_the_newest_job_of_this_project() {
        let all = [
            candidate("a", "/a/src/train.py", Some("/a")),
            candidate("b", "/b/src/train.py", Some("/b")),
            candidate("c1", "/c/one/src/train.py", Some("/c")),
            candidate("c2", "/c/two/src/train.py", Some("/c")),
            candidate("old", "/old/src/train.py", None),
        ];
        let means = |current: &str| {
            which("src/train", &all, Path::new(current)).map(|found| found.map(|found| found.name.as_str()))
        };
        for (current, name) in [
            ("/a", "a"),
            ("/a/data", "a"),
            ("/b/src", "b"),
            ("/c/two", "c2"),
            ("/c/one/data", "c1"),
            ("/old", "old"),
            ("/old/src", "old"),
        ] {
            assert_eq!(means(current).unwrap(), Some(name), "{current}");
        }
        for (current, count) in [("/", 5), ("/elsewhere", 5), ("/c", 2)] {
            let error = means(current).unwrap_err();
            assert_eq!(error.details_text().unwrap().lines().count(), count, "{current}");
            assert!(error.hint_text().is_some());
        }
        let elsewhere = which("src/train", &all[..1], Path::new("/elsewhere")).unwrap();
        assert_eq!(elsewhere, Some(&all[0]), "the only job is found from everywhere");
        assert_eq!(which("src/train", &[], Path::new("/a")).unwrap(), None);
    }

    #[test]
    fn a_job_of_another_project_is_not_mistaken_for_this_ones() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().canonicalize().unwrap();
        std::fs::create_dir(here.join("src")).unwrap();
        std::fs::write(here.join("src/train.py"), "").unwrap();
        let all = [candidate("a", "/a/src/train.py", Some("/a"))];
        for current in [here.clone(), here.join("src")] {
            let error = which("src/train", &all, &current).unwrap_err();
            assert_eq!(error.kind(), Kind::NotFound);
            assert!(error.details_text().unwrap().contains("/a/src/train.py"));
        }
    }
}
