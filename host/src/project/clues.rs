//! Finds clues in an artifact's code about the folders that it needs: the modules that it imports, and the paths in
//! its strings. Python is not parsed: a wrong clue only decides which of two project folders is sent.

use std::{
    collections::{BTreeSet, HashSet},
    fs,
    path::{Component, Path, PathBuf},
};

use super::imports;
use crate::disk;

/// Maximum modules of the project that are read for clues.
const MAX_MODULES: usize = 200;
/// Maximum size of a module in bytes; a larger one is data.
const MAX_SIZE: u64 = 1 << 20;
/// Maximum length of a path.
const MAX_PATH_LENGTH: usize = 200;

/// The clues of one artifact.
#[derive(Debug, Default)]
pub(super) struct Clues {
    /// Top-level names of the modules that it and the project's modules import, except Python's own.
    modules: HashSet<String>,
    /// Strings that may be paths.
    texts: HashSet<String>,
    /// Whether the code uses `__file__`.
    knows_its_file: bool,
}

impl Clues {
    /// Reads the clues of some code, and of the modules beside it and below `root` that it imports. `arguments` are
    /// those of the script.
    pub(super) fn read(code: Vec<String>, folder: &Path, root: &Path, arguments: &[String]) -> Self {
        let mut clues = Self::default();
        let mut queue = code;
        let mut read = 0;
        while let Some(code) = queue.pop() {
            clues.knows_its_file |= code.contains("__file__");
            clues.texts.extend(texts(&code).filter_map(|text| path_of(&text)));
            for module in imports::modules(&code) {
                if !clues.modules.insert(module.clone()) {
                    continue;
                }
                for base in [folder, root] {
                    for path in sources(base, &module) {
                        if read < MAX_MODULES
                            && let Ok(text) = disk::text(&path, MAX_SIZE)
                        {
                            read += 1;
                            queue.push(text);
                        }
                    }
                }
            }
        }
        let typed = arguments.iter().flat_map(|argument| argument.rsplit('=').chain([argument.as_str()]));
        clues.texts.extend(typed.filter_map(path_of));
        clues
    }

    /// Whether the code needs something that is in `outer` and not in `inner`, a folder below it.
    pub(super) fn need(&self, outer: &Path, inner: &Path, place: &Standpoint<'_>) -> bool {
        self.modules.iter().any(|module| {
            let within = [place.folder.to_owned(), inner.to_owned(), inner.join("src")];
            !within.iter().any(|base| is_module(base, module))
                && [outer.to_owned(), outer.join("src")].iter().any(|base| is_module(base, module))
        }) || self.texts.iter().any(|text| {
            let lies_in = |root: &Path| place.of(root, self).any(|base| place.lies_in(&base, text, root));
            !lies_in(inner) && lies_in(outer)
        })
    }

    /// Whether a string names something beside the artifact that is not in the current folder.
    pub(super) fn name_a_neighbour(&self, place: &Standpoint<'_>) -> bool {
        let is_there = |base: &Path, text: &String| base.join(text).exists();
        self.texts.iter().any(|text| is_there(place.folder, text) && !is_there(place.current, text))
    }
}

/// The folders that relative paths may start from.
pub(super) struct Standpoint<'a> {
    /// The artifact's folder.
    pub(super) folder: &'a Path,
    /// The current folder.
    pub(super) current: &'a Path,
    /// What earlier runs downloaded: a word such as `out` in the code does not mean it.
    pub(super) results: &'a BTreeSet<PathBuf>,
}

impl Standpoint<'_> {
    /// Whether `text` names something below `root`, and not `root` itself.
    fn lies_in(&self, base: &Path, text: &str, root: &Path) -> bool {
        let path = plain(&base.join(text));
        let is_there = path != root && path.starts_with(root) && path.exists();
        is_there && !self.results.iter().any(|result| result.starts_with(&path))
    }

    /// Returns the folders that relative paths may start from if `root` is the project root.
    fn of(&self, root: &Path, clues: &Clues) -> impl Iterator<Item = PathBuf> {
        let working = if self.current.starts_with(root) { self.current } else { root };
        let above = self.folder.ancestors().skip(1).take_while(|above| above.starts_with(root));
        let above: Vec<PathBuf> = above.filter(|_| clues.knows_its_file).map(Path::to_owned).collect();
        [working.to_owned(), self.folder.to_owned()].into_iter().chain(above)
    }
}

fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// Whether the folder has a module or a package of that name.
fn is_module(base: &Path, module: &str) -> bool {
    base.join(format!("{module}.py")).is_file() || !sources(base, module).is_empty()
}

/// Returns the files of a module or package in a folder.
fn sources(base: &Path, module: &str) -> Vec<PathBuf> {
    let file = base.join(format!("{module}.py"));
    if file.is_file() {
        return vec![file];
    }
    let mut found = Vec::new();
    let mut folders = vec![base.join(module)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(kind) if kind.is_file() && path.extension().is_some_and(|end| end == "py") => {
                    found.push(path);
                }
                _ => {}
            }
            if found.len() >= MAX_MODULES {
                return found;
            }
        }
    }
    found
}

/// Returns the start of a string that may be a relative path, up to what a program fills in.
fn path_of(text: impl AsRef<str>) -> Option<String> {
    let text = text.as_ref();
    let whole = text
        .find(['*', '?', '[', '{', '%', '\n'])
        .map_or(text, |end| text[..end].rfind('/').map_or("", |slash| &text[..slash]));
    let whole = whole.trim_end_matches('/');
    let is_path = !whole.is_empty()
        && whole.len() <= MAX_PATH_LENGTH
        && !whole.starts_with(['/', '~', '-'])
        && !whole.contains("://")
        && !matches!(whole, "." | "..");
    is_path.then(|| whole.to_owned())
}

/// Returns the contents of Python's string literals that are on one line.
fn texts(code: &str) -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    for line in code.lines() {
        let mut rest = line;
        while let Some(start) = rest.find(['"', '\'', '#']) {
            let quote = &rest[start..=start];
            if quote == "#" {
                break;
            }
            let Some(length) = rest[start + 1..].find(quote) else { break };
            found.push(rest[start + 1..start + 1 + length].to_owned());
            rest = &rest[start + length + 2..];
        }
    }
    found.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_paths_up_to_what_a_program_fills_in() {
        let found = |code: &str| texts(code).filter_map(path_of).collect::<Vec<_>>();
        assert_eq!(found("open('data/x.csv')  # 'not this'"), ["data/x.csv"]);
        assert_eq!(found(r#"p = f"data/{name}.csv" + 'x'"#), ["data", "x"]);
        assert_eq!(found("glob('raw/2*.csv')"), ["raw"]);
        assert_eq!(found("['/etc/x', 'https://a/b', '.', '', \"open"), [""; 0]);
        assert_eq!(found("\"\"\"One line.\"\"\"; x = 'größe/ä'"), ["One line.", "größe/ä"]);
    }
}
