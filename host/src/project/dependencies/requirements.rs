//! Reads `requirements.txt`: the files that its lines refer to, and the packages that they name.

use std::path::Path;

use super::{Content, Gathered, MAX_LISTS, text};
use crate::{
    disk,
    error::{Error, Result},
};

/// Adds the file, and those that it refers to.
pub(super) fn read(gathered: &mut Gathered<'_>, path: &Path) -> Result<()> {
    gathered.add(path)?;
    gathered.lists += 1;
    if gathered.lists > MAX_LISTS {
        return Err(Error::invalid(format!("{} refers to more than {MAX_LISTS} lists", gathered.names))
            .hint("join them into one file"));
    }
    let mut text = text(path)?;
    if path.extension().is_some_and(|kind| kind == "lock") {
        // Rye's locks list the project itself, which is sent as code and is not installed.
        let is_itself = |line: &&str| ["-e file:.", "-e .", "--editable file:."].contains(&line.trim());
        text = text.lines().filter(|line| !is_itself(line)).map(|line| format!("{line}\n")).collect();
        let name = gathered.inside(path)?;
        gathered.files.insert(name, Content::Text(text.clone()));
    } else if disk::read(path, super::MAX_SIZE)
        .is_ok_and(|bytes| bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]))
    {
        // Not every installer reads UTF-16.
        let name = gathered.inside(path)?;
        gathered.files.insert(name, Content::Text(text.clone()));
    }
    take(gathered, path, &text)
}

/// Reads the lines of `text`, as if they were in the file `path`.
pub(super) fn take(gathered: &mut Gathered<'_>, path: &Path, text: &str) -> Result<()> {
    let lines = logical_lines(text);
    let elsewhere: Vec<&str> = lines.iter().filter_map(|line| built_elsewhere(line)).collect();
    if !elsewhere.is_empty() {
        let list: String = elsewhere.iter().map(|line| format!("\n  {line}")).collect();
        return Err(Error::invalid(format!(
            "{} refers to files that only exist on the machine that built them",
            gathered.names
        ))
        .details(list.trim_start_matches('\n'))
        .hint(
            "conda adds such lines to `pip freeze`: use `pip list --format=freeze`, or write name==version",
        ));
    }
    for line in &lines {
        let named = |name: &str| path.parent().unwrap_or(path).join(local(name));
        match Line::of(line) {
            Line::Nothing => {}
            Line::Include(name) => {
                let included = named(name);
                let seen = gathered.inside(&included).is_ok_and(|name| gathered.files.contains_key(&name));
                if !seen {
                    read(gathered, &included)?;
                }
            }
            Line::Constraint(name) => {
                let constraint = named(name);
                let seen = gathered.inside(&constraint).is_ok_and(|name| gathered.files.contains_key(&name));
                if !seen {
                    let provided = gathered.provided.clone();
                    read(gathered, &constraint)?;
                    gathered.provided = provided;
                }
            }
            Line::Wheels(name) => gathered.add(&gathered.anchor.join(name))?,
            Line::Local(name) => {
                gathered.provides(line);
                gathered
                    .provided
                    .extend(Path::new(name).file_name().and_then(|name| name.to_str()).and_then(of_file));
                gathered.add(&gathered.anchor.join(name))?;
            }
            Line::Package => gathered.provides(line),
        }
    }
    Ok(())
}

/// Returns the normalized name of the package in a requirement: in lower case, with `-`.
pub(super) fn name_of(requirement: &str) -> Option<String> {
    let requirement = requirement.trim();
    let address = requirement.rsplit_once("#egg=").map(|(_, name)| name);
    let text = address.unwrap_or(requirement);
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(text.len());
    let is_address =
        text[end..].starts_with("://") || text[end..].starts_with('/') || text[end..].starts_with('+');
    (end > 0 && !is_address && !text.starts_with(['-', '.'])).then(|| normal(&text[..end]))
}

/// Normalizes the name of a package.
pub(super) fn normal(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_lowercase()
}

/// Returns the package of a file, such as `firstly` of `firstly-1.0-py3-none-any.whl`.
fn of_file(name: &str) -> Option<String> {
    let stem = name.strip_suffix(".whl").or_else(|| name.strip_suffix(".tar.gz"))?;
    Some(normal(stem.split('-').next().unwrap_or(stem)))
}

/// Returns the line if conda added it to a frozen list: a package in a folder of the machine that built it.
fn built_elsewhere(line: &str) -> Option<&str> {
    let (_, target) = line.split_once('@').filter(|(name, _)| is_name(name))?;
    let path = local(target.trim());
    let signs = ["/conda-bld/", "/feedstock_root/", "/croot/", "/bld/", "/ci_py", "/opt/conda/"];
    let is_conda = target.trim().starts_with("file:") && signs.iter().any(|sign| path.contains(sign));
    (is_conda && !Path::new(path).exists()).then_some(line)
}

/// The meaning of a line.
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
    /// A package from an index or a URL.
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

/// Returns only the path: without extras, markers, hashes and `file:`.
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

/// Whether the text is the name of a package, perhaps with extras.
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

/// Splits a text into lines without comments; lines that end with `\` are joined.
pub(super) fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    for line in text.trim_start_matches('\u{feff}').lines() {
        let line = if line.trim_start().starts_with('#') { "" } else { without_comment(line).trim() };
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

/// Removes a comment, which begins with `#` after a space or a tab.
fn without_comment(line: &str) -> &str {
    line.find(" #").or_else(|| line.find("\t#")).map_or(line, |comment| &line[..comment])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_classified() {
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
    fn package_names_are_normalized() {
        for (requirement, name) in [
            ("Scikit_Learn>=1", Some("scikit-learn")),
            ("ruamel.yaml==0.17 ; python_version > '3'", Some("ruamel-yaml")),
            ("a[b] @ https://x/a.whl", Some("a")),
            ("git+https://x/y.git#egg=Own_Name", Some("own-name")),
            ("git+https://x/y.git", None),
            ("https://x/a-1.0.whl", None),
            ("./libs/a", None),
            ("-e .", None),
        ] {
            assert_eq!(name_of(requirement).as_deref(), name, "{requirement}");
        }
    }

    #[test]
    fn comments_and_continuations() {
        let text = "# all\n  # indented\nsix==1.16.0 \\\n  --hash=sha256:1 \\\n  --hash=sha256:2 # end\nidna#x\ntqdm\t# why\n";
        assert_eq!(
            logical_lines(text),
            ["", "", "six==1.16.0  --hash=sha256:1  --hash=sha256:2", "idna#x", "tqdm"]
        );
    }
}
