//! What code imports that does not come with Python: a proposal for who has no list of dependencies yet.

mod names;

use std::{
    collections::{BTreeSet, HashSet},
    path::Path,
};

use super::files::File;
use crate::disk;

/// Beyond this, a module is data.
const LARGEST: u64 = 1 << 20;
/// Of one project; who has more has a list of dependencies.
const MOST_MODULES: usize = 500;

/// The package to install for a module, as `scikit-learn` for `sklearn`.
pub fn package_of(module: &str) -> &str {
    let known = names::PACKAGES.iter().find(|(name, _)| *name == module);
    known.map_or(module, |(_, package)| package)
}

/// The top names of the modules that some code imports, without Python's own.
pub(super) fn modules(code: &str) -> Vec<String> {
    imports(code).into_iter().filter(|module| !names::STANDARD.contains(&module.as_str())).collect()
}

/// The packages that some code needs, and the modules of its own folder that it imports, sorted.
/// Own modules lie in `places`, which are folders of the project at `root`.
pub(super) fn packages(
    code: impl Iterator<Item = String>,
    root: &Path,
    places: &[&str],
    files: &[File],
) -> Vec<String> {
    let mut wanted = BTreeSet::new();
    let mut seen = HashSet::new();
    let mut queue: Vec<String> = code.collect();
    while let Some(code) = queue.pop() {
        for module in imports(&code) {
            if names::STANDARD.contains(&module.as_str()) || !seen.insert(module.clone()) {
                continue;
            }
            let own = own_files(&module, places, files);
            let is_folder = |place: &&str| root.join(place).join(&module).is_dir();
            if own.is_empty() && !places.iter().any(is_folder) {
                wanted.insert(package_of(&module).to_owned());
            }
            if seen.len() < MOST_MODULES {
                queue.extend(own.iter().filter_map(|file| disk::text(&file.source, LARGEST).ok()));
            }
        }
    }
    wanted.into_iter().collect()
}

/// The files of a module that lies in one of these folders.
fn own_files<'a>(module: &str, places: &[&str], files: &'a [File]) -> Vec<&'a File> {
    let (file, package) = (format!("{module}.py"), format!("{module}/"));
    let is_own = |path: &str| path == file || path.starts_with(&package) && path.ends_with(".py");
    let inside = |path: &str| {
        let rest = |place: &&str| {
            let rest = path.strip_prefix(place)?;
            if place.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
        };
        places.iter().filter_map(rest).any(is_own)
    };
    files.iter().filter(|file| inside(&file.path) && file.size <= LARGEST).collect()
}

/// The top names of what is imported.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for statement in statements(code) {
        let mut words = statement.split_whitespace();
        match words.next() {
            Some("import") => {
                let rest = statement.split_once(char::is_whitespace).map_or("", |(_, rest)| rest);
                found.extend(rest.split(',').filter_map(top));
            }
            Some("from") if statement.split_whitespace().nth(2) == Some("import") => {
                found.extend(words.next().and_then(top));
            }
            _ => {}
        }
    }
    found
}

/// `a` of `a.b as c`; none of a relative import, and of what is no name.
fn top(text: &str) -> Option<String> {
    let name = text.split_whitespace().next()?.split('.').next()?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    is_name.then(|| name.to_owned())
}

/// Python's simple statements, one a line: without comments and the contents of strings, brackets and `\` joined.
fn statements(code: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let mut current = String::new();
    let mut depth = 0_usize;
    let mut rest = code;
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        match c {
            '#' => length = rest.find('\n').unwrap_or(rest.len()),
            '"' | '\'' => {
                length = string_length(rest, c);
                // Not nothing: a text may not join what stands around it.
                current.push('"');
            }
            '\\' if rest[1..].starts_with(['\n', '\r']) => {
                length = rest.find('\n').map_or(rest.len(), |end| end + 1);
                current.push(' ');
            }
            '\n' | ';' | ':' if depth == 0 || (c == '\n' && starts_statement(&rest[1..])) => {
                depth = 0;
                statements.push(std::mem::take(&mut current).trim().to_owned());
            }
            '(' | '[' | '{' => {
                depth += 1;
                current.push(' ');
            }
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                current.push(' ');
            }
            c => current.push(c),
        }
        rest = &rest[length..];
    }
    statements.push(current.trim().to_owned());
    statements
}

/// A bracket in a magic or a shell line may stay open; no line within brackets begins so.
fn starts_statement(rest: &str) -> bool {
    ["import ", "from "].iter().any(|word| rest.starts_with(word))
}

/// From its first quote to behind its last, whole also where that is missing.
fn string_length(text: &str, quote: char) -> usize {
    let triple: String = [quote; 3].iter().collect();
    let (end, is_long) =
        if text.starts_with(&triple) { (triple.as_str(), true) } else { (&triple[..1], false) };
    let mut at = end.len();
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with(end) {
            return at + end.len();
        }
        if rest.starts_with('\n') && !is_long {
            return at;
        }
        let step = if rest.starts_with('\\') { 2 } else { 1 };
        at += rest.chars().take(step).map(char::len_utf8).sum::<usize>();
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn imports_are_found_and_nothing_else() {
        let code = r#"
"""Not this:
import nothing
"""
import os, numpy as np; import pandas.core
from sklearn.linear_model import (  # from here
    Ridge,
    Lasso,
)
from . import sibling
from .sibling import x
if True: import yaml
try:
    import torch
except ImportError:
    torch = None
text = 'import this' + "from that import it"
text = """from there import more""" \
    + "x"
import \
    scipy
%pip install foo (bar
import cv2
!echo it's
import PIL.Image
important = 1
from_here = 2
yield_from = [x for x in "import z"]
"#;
        let found = imports(code);
        let expected = ["os", "numpy", "pandas", "sklearn", "yaml", "torch", "scipy", "cv2", "PIL"];
        assert_eq!(found, expected);
    }

    #[test]
    fn broken_code_ends() {
        for code in
            ["\"", "'''", "(", "\\", "import", "from", "from x", "import é, 模", "#", "'\\", "\\\r\nimport a"]
        {
            imports(code);
        }
    }

    #[test]
    fn what_is_proposed_is_neither_pythons_nor_ones_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = |path: &str, text: &str| {
            let source = folder.path().join(path);
            fs::create_dir_all(source.parent().unwrap()).unwrap();
            fs::write(&source, text).unwrap();
            File {
                path: path.into(),
                source,
                size: text.len() as u64,
                executable: false,
                link: None,
                cleaned: None,
            }
        };
        let files = [
            file("helper.py", "import requests\nimport helper\nimport steps.one"),
            file("steps/one.py", "import bs4\n"),
            file("unused.py", "import tensorflow\n"),
        ];
        let code = "import helper, json, sklearn, tomllib\nfrom data import x\n".to_owned();
        fs::create_dir(folder.path().join("data")).unwrap();
        let found = packages([code].into_iter(), folder.path(), &[""], &files);
        assert_eq!(found, ["beautifulsoup4", "requests", "scikit-learn"]);
    }
}
