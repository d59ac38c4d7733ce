//! `requirements.txt`: which other files its lines ask for.

use std::path::Path;

use super::{Content, Gathered, text};
use crate::error::Result;

/// Adds the file and those that it names. False where it asks for nothing.
pub(super) fn read(gathered: &mut Gathered<'_>, path: &Path) -> Result<bool> {
    gathered.add(path)?;
    let text = text(path)?;
    take(gathered, path, &text)
}

/// The lines of `text`, as if they stood in the file `path`.
pub(super) fn take(gathered: &mut Gathered<'_>, path: &Path, text: &str) -> Result<bool> {
    let mut asks = false;
    for line in logical_lines(text) {
        match Line::of(&line) {
            Line::Nothing => continue,
            Line::Include(name) => {
                let included = path.parent().unwrap_or(path).join(name);
                let seen = gathered.inside(&included).is_ok_and(|name| gathered.files.contains_key(&name));
                if !seen {
                    asks |= read(gathered, &included)?;
                }
                continue;
            }
            Line::Constraint(name) => {
                let named = path.parent().unwrap_or(path).join(name);
                let seen = gathered.inside(&named).is_ok_and(|name| gathered.files.contains_key(&name));
                if !seen {
                    read(gathered, &named)?;
                }
                continue;
            }
            Line::Wheels(name) => {
                gathered.add(&gathered.anchor.join(name))?;
                continue;
            }
            Line::Local(name) => gathered.add(&gathered.anchor.join(name))?,
            Line::Package => {}
        }
        asks = true;
    }
    Ok(asks)
}

/// What one line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    /// A comment, or an option.
    Nothing,
    Include(&'a str),
    Constraint(&'a str),
    /// A folder to find packages in.
    Wheels(&'a str),
    /// A file or a folder to install.
    Local(&'a str),
    /// From an index, or an address.
    Package,
}

impl<'a> Line<'a> {
    fn of(line: &'a str) -> Self {
        let option = |short: &str, long: &str| -> Option<&'a str> {
            let rest = line
                .strip_prefix(long)
                .or_else(|| line.strip_prefix(short).filter(|_| !line.starts_with("--")))?;
            Some(rest.trim_start_matches([' ', '\t', '=']))
        };
        let is_address = |text: &str| text.contains("://") && !text.starts_with("file:");
        if line.is_empty() {
            Self::Nothing
        } else if let Some(name) = option("-r", "--requirement") {
            if is_address(name) { Self::Package } else { Self::Include(name) }
        } else if let Some(name) = option("-c", "--constraint") {
            if is_address(name) { Self::Nothing } else { Self::Constraint(name) }
        } else if let Some(name) = option("-f", "--find-links") {
            if is_address(name) { Self::Nothing } else { Self::Wheels(local(name)) }
        } else if let Some(name) = option("-e", "--editable") {
            if is_address(name) || name.contains('@') { Self::Package } else { Self::Local(local(name)) }
        } else if line.starts_with('-') {
            Self::Nothing
        } else if let Some((_, target)) = line.split_once('@').filter(|(name, _)| is_name(name)) {
            let target = target.trim();
            if is_address(target) { Self::Package } else { Self::Local(local(target)) }
        } else if is_path(line) {
            Self::Local(local(line))
        } else {
            Self::Package
        }
    }
}

/// The path alone: without extras, markers, hashes and `file:`.
fn local(text: &str) -> &str {
    let text = text.split(" ;").next().unwrap_or(text).split(" --").next().unwrap_or(text).trim();
    let text = text.strip_prefix("file:").unwrap_or(text);
    let text = text.strip_prefix("//").unwrap_or(text);
    let text = text.split('#').next().unwrap_or(text);
    match text.split_once('[') {
        Some((path, extras)) if extras.ends_with(']') => path,
        _ => text,
    }
}

/// The name of a package, perhaps with extras.
fn is_name(text: &str) -> bool {
    let text = text.trim();
    let name = text.split('[').next().unwrap_or(text).trim_end();
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn is_path(line: &str) -> bool {
    let first = line.split_whitespace().next().unwrap_or_default();
    let first = first.split('[').next().unwrap_or(first);
    first == "."
        || first.starts_with("./")
        || first.starts_with("../")
        || first.starts_with('/')
        || first.starts_with("file:")
        || [".whl", ".tar.gz", ".zip"].iter().any(|end| first.ends_with(end)) && !first.contains("://")
}

/// Lines without comments, those that end with `\` joined.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    for line in text.trim_start_matches('\u{feff}').lines() {
        let line = match line.trim_start().starts_with('#') {
            true => "",
            false => line.find(" #").map_or(line, |comment| &line[..comment]).trim(),
        };
        match line.strip_suffix('\\') {
            Some(start) => {
                current.push_str(start);
                current.push(' ');
            }
            None => {
                current.push_str(line);
                lines.push(std::mem::take(&mut current).trim().to_owned());
            }
        }
    }
    if !current.trim().is_empty() {
        lines.push(current.trim().to_owned());
    }
    lines
}

/// Puts a text of our own beside the user's files.
pub(super) fn write(gathered: &mut Gathered<'_>, name: &str, text: String) {
    gathered.files.insert(name.to_owned(), Content::Text(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart() {
        for (line, expected) in [
            ("", Line::Nothing),
            ("--index-url https://x/simple", Line::Nothing),
            ("--pre", Line::Nothing),
            ("-r base.txt", Line::Include("base.txt")),
            ("-rbase.txt", Line::Include("base.txt")),
            ("--requirement=base.txt", Line::Include("base.txt")),
            ("-c https://x/constraints.txt", Line::Nothing),
            ("--constraint c.txt", Line::Constraint("c.txt")),
            ("-f wheels", Line::Wheels("wheels")),
            ("--find-links https://x", Line::Nothing),
            ("-e .", Line::Local(".")),
            ("-e ./libs/a[extra]", Line::Local("./libs/a")),
            ("--editable=libs/a", Line::Local("libs/a")),
            ("-e git+https://x/y.git@main", Line::Package),
            (".", Line::Local(".")),
            (".[train]", Line::Local(".")),
            (
                "./wheels/a-1.0-py3-none-any.whl --hash=sha256:1",
                Line::Local("./wheels/a-1.0-py3-none-any.whl"),
            ),
            ("wheels/a-1.0-py3-none-any.whl", Line::Local("wheels/a-1.0-py3-none-any.whl")),
            ("a @ file:wheels/a.whl", Line::Local("wheels/a.whl")),
            ("a[b] @ ./wheels/a.whl ; python_version > '3'", Line::Local("./wheels/a.whl")),
            ("a @ https://x/a.whl", Line::Package),
            ("https://x/a-1.0.whl", Line::Package),
            ("scikit-learn>=1 ; python_version > '3'", Line::Package),
        ] {
            assert_eq!(Line::of(line), expected, "{line}");
        }
    }

    #[test]
    fn comments_and_continuations() {
        let text =
            "# all\n  # indented\nsix==1.16.0 \\\n  --hash=sha256:1 \\\n  --hash=sha256:2 # end\nidna#x\n";
        assert_eq!(logical_lines(text), ["", "", "six==1.16.0  --hash=sha256:1  --hash=sha256:2", "idna#x"]);
    }
}
