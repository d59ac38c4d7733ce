//! A project's own Dockerfile and its files, in `alekseylearn/` beside the artifact. They replace what a build driver
//! would write.

use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
};

use super::files;
use crate::{
    disk,
    error::{Error, Result},
};

/// The recipe's folder beside the artifact, which is used if it has a Dockerfile.
pub const RECIPE_FOLDER: &str = "alekseylearn";
/// The file that makes the folder a recipe.
const DOCKERFILE: &str = "Dockerfile";
/// The part of a build driver's own files that a recipe replaces as a whole.
pub const RUNNER: &str = "runner/";
/// Maximum size of a recipe in bytes: it is held in memory.
const MAX_BYTES: u64 = 16 << 20;

/// The user's own Dockerfile and its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Absolute path of the folder.
    pub folder: PathBuf,
    /// The Dockerfile's text.
    pub dockerfile: String,
    /// Files for the build, by their paths beside `code/`.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Recipe {
    /// Reads the recipe of a project; `None` if it has no Dockerfile of its own.
    ///
    /// # Errors
    /// It cannot be read, or is too large.
    pub fn read(project: &Path) -> Result<Option<Self>> {
        let folder = project.join(RECIPE_FOLDER);
        if !folder.join(DOCKERFILE).is_file() {
            return Ok(None);
        }
        let mut contents = BTreeMap::new();
        let mut room = MAX_BYTES;
        for file in files::harmless(&folder)? {
            let cannot_read = |error| files::unreadable(&file.source, error);
            let mut content = Vec::new();
            let source = disk::open(&file.source).map_err(cannot_read)?;
            source.take(room + 1).read_to_end(&mut content).map_err(cannot_read)?;
            room = room.checked_sub(content.len() as u64).ok_or_else(|| {
                Error::invalid(format!("{} is larger than 16 MiB", folder.display()))
                    .hint("move data out of it: it is only for the Dockerfile and its files")
            })?;
            contents.insert(file.path, content);
        }
        if contents.keys().any(|path| path.starts_with("code/")) {
            return Err(Error::invalid(format!("{} has a folder `code`", folder.display()))
                .hint("rename it: the build uses that name for the project"));
        }
        let dockerfile = contents.remove(DOCKERFILE).unwrap_or_default();
        let dockerfile = String::from_utf8(dockerfile).map_err(|error| {
            Error::invalid(format!("{} is not UTF-8", folder.join(DOCKERFILE).display())).source(error)
        })?;
        Ok(Some(Self { folder, dockerfile, files: contents }))
    }

    /// Path of the Dockerfile.
    pub fn dockerfile_path(&self) -> PathBuf {
        self.folder.join(DOCKERFILE)
    }

    /// Returns the images that its stages start from, as written.
    pub fn base_images(&self) -> impl Iterator<Item = &str> {
        let is_from = |line: &&str| line.get(..5).is_some_and(|word| word.eq_ignore_ascii_case("FROM "));
        let lines = self.dockerfile.lines().map(str::trim).filter(is_from);
        lines.filter_map(|line| line.split_whitespace().skip(1).find(|word| !word.starts_with("--")))
    }

    /// Returns the line of the instruction that a builder's message names, counted from 1.
    pub fn line_of(&self, said: &str) -> Option<usize> {
        let said = plain(said);
        let mut start = None;
        let mut instruction = String::new();
        for (number, line) in self.dockerfile.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            start.get_or_insert(number + 1);
            instruction.push_str(line.trim_end_matches('\\'));
            instruction.push(' ');
            if !line.ends_with('\\') {
                if said.contains(&plain(&instruction)) {
                    return start;
                }
                start = None;
                instruction.clear();
            }
        }
        None
    }
}

/// Unifies spaces, which builders change when they print an instruction.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn a_recipe_is_a_dockerfile_and_what_lies_beside_it() {
        let folder = project(&[("alekseylearn/runner/a.py", "1")]);
        assert_eq!(Recipe::read(folder.path()).unwrap(), None, "without a Dockerfile it means nothing");
        let folder = project(&[
            ("alekseylearn/Dockerfile", "FROM x"),
            ("alekseylearn/runner/a.py", "1"),
            ("alekseylearn/.env", "SECRET=1"),
        ]);
        let recipe = Recipe::read(folder.path()).unwrap().unwrap();
        assert_eq!(recipe.dockerfile, "FROM x");
        assert_eq!(recipe.files.keys().collect::<Vec<_>>(), ["runner/a.py"]);
        let folder = project(&[("alekseylearn/Dockerfile", ""), ("alekseylearn/code/a.py", "1")]);
        assert!(Recipe::read(folder.path()).unwrap_err().message().contains("has a folder `code`"));
    }

    #[test]
    fn base_images_are_those_of_all_stages() {
        let recipe = Recipe {
            folder: "/x".into(),
            dockerfile: "FROM python:3.11-slim AS dependencies\nRUN x\n from --platform=linux/amd64 base\n"
                .into(),
            files: BTreeMap::new(),
        };
        assert_eq!(recipe.base_images().collect::<Vec<_>>(), ["python:3.11-slim", "base"]);
    }

    #[test]
    fn a_failed_step_is_found_in_the_dockerfile() {
        let recipe = Recipe {
            folder: "/x".into(),
            dockerfile: "# one\nFROM base\n\nRUN a && \\\n    b\nRUN false\n".into(),
            files: BTreeMap::new(),
        };
        assert_eq!(recipe.line_of("the build failed at [2/3] RUN a &&     b"), Some(4));
        assert_eq!(recipe.line_of("the build failed at [3/3] RUN false"), Some(6));
        assert_eq!(recipe.line_of("something else"), None);
    }
}
