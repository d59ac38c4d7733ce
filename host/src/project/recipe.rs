//! A project's own Dockerfile and its files, in `alekseylearn/` beside the artifact. They replace what a build driver
//! would write.

use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
};

use super::{
    contents::{self, Found},
    files,
};
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
    /// Reads the recipe of a project; `None` if it has no Dockerfile of its own. Files with secrets are left out unless
    /// `is_chosen` says that the user includes them by name, and passwords in URLs are removed, except in the Dockerfile.
    ///
    /// # Errors
    /// It cannot be read, or is too large.
    pub fn read(project: &Path, is_chosen: &dyn Fn(&str) -> bool) -> Result<Option<Self>> {
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
            if file.path != DOCKERFILE && !is_chosen(&file.path) {
                match contents::look(&file) {
                    Found::Stays(_) => continue,
                    Found::Cleaned(clean) => content = clean,
                    Found::Nothing | Found::InCode => {}
                }
            }
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

    /// Returns the images that its build uses, as written: those that its stages start from, those that files are copied
    /// from, and the one that reads the Dockerfile.
    pub fn images(&self) -> Vec<&str> {
        let mut images = Vec::new();
        for line in self.dockerfile.lines().map_while(|line| line.trim().strip_prefix('#')) {
            let setting = line.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("syntax"));
            images.extend(setting.map(|(_, image)| image.trim()));
        }
        for words in self.instructions() {
            let Some((first, others)) = words.split_first() else { continue };
            if first.eq_ignore_ascii_case("FROM") {
                images.extend(others.iter().find(|word| !word.starts_with("--")));
            } else {
                let options = others.iter().take_while(|word| word.starts_with("--"));
                let parts = options.flat_map(|word| word.trim_start_matches('-').split(','));
                images
                    .extend(parts.filter_map(|part| part.trim_start_matches("mount=").strip_prefix("from=")));
            }
        }
        images.dedup();
        images
    }

    /// Returns the words of each instruction, which may have several lines.
    fn instructions(&self) -> Vec<Vec<&str>> {
        let mut all = Vec::new();
        let mut is_open = false;
        for line in self.dockerfile.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // A directive can make ` the sign that continues a line.
            let text = line.strip_suffix(['\\', '`']);
            if !is_open {
                all.push(Vec::new());
            }
            if let Some(words) = all.last_mut() {
                words.extend(text.unwrap_or(line).split_whitespace());
            }
            is_open = text.is_some();
        }
        all
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

    fn read(project: &Path) -> Result<Option<Recipe>> {
        Recipe::read(project, &|_| false)
    }

    #[test]
    fn a_recipe_is_a_dockerfile_and_what_lies_beside_it() {
        let folder = project(&[("alekseylearn/runner/a.py", "1")]);
        assert_eq!(read(folder.path()).unwrap(), None, "without a Dockerfile it means nothing");
        let folder = project(&[
            ("alekseylearn/Dockerfile", "FROM x"),
            ("alekseylearn/runner/a.py", "1"),
            ("alekseylearn/.env", "SECRET=1"),
        ]);
        let recipe = read(folder.path()).unwrap().unwrap();
        assert_eq!(recipe.dockerfile, "FROM x");
        assert_eq!(recipe.files.keys().collect::<Vec<_>>(), ["runner/a.py"]);
        let folder = project(&[("alekseylearn/Dockerfile", ""), ("alekseylearn/code/a.py", "1")]);
        assert!(read(folder.path()).unwrap_err().message().contains("has a folder `code`"));
    }

    #[test]
    fn all_images_of_a_build_are_found() {
        let recipe = Recipe {
            folder: "/x".into(),
            dockerfile: "# syntax = front/end:1\nFROM python:3.11-slim AS dependencies\nRUN x\n \
                         from --platform=linux/amd64 base\nFROM\ttabbed\nFROM \\\n # why\n continued\n\
                         COPY --chown=1 --from=files/of /a /b\nRUN --mount=type=bind,from=mounted,target=/x y --from=no\n"
                .into(),
            files: BTreeMap::new(),
        };
        assert_eq!(
            recipe.images(),
            ["front/end:1", "python:3.11-slim", "base", "tabbed", "continued", "files/of", "mounted"]
        );
    }

    #[test]
    fn secrets_beside_a_dockerfile_stay() {
        let key = format!("-----BEGIN PRIVATE {}-----\n{}\n", "KEY", "M".repeat(64));
        let folder = project(&[
            ("alekseylearn/Dockerfile", "FROM x\n# https://me:hunter2@a.example\n"),
            ("alekseylearn/deploy", &key),
            ("alekseylearn/list.txt", "https://me:hunter2@a.example/simple\n"),
        ]);
        let recipe = read(folder.path()).unwrap().unwrap();
        assert_eq!(
            recipe.files,
            BTreeMap::from([("list.txt".into(), b"https://a.example/simple\n".to_vec())])
        );
        assert!(recipe.dockerfile.contains("hunter2"), "it is run as it is written");
        let chosen = Recipe::read(folder.path(), &|file| file == "deploy").unwrap().unwrap();
        assert_eq!(chosen.files["deploy"], key.as_bytes());
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
