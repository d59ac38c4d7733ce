//! Converts locks and lists of other tools to requirements: pdm's lock, Pipenv's files, and the standard
//! `pylock.toml`.

use std::path::Path;

use serde_json::Value as Json;
use toml::{Table, Value};

use super::{Form, Gathered, Said, requirements, script::strings, text, toml};
use crate::error::{Error, Result};

/// Remembers the packages of a `pylock.toml`.
pub(super) fn pylock(gathered: &mut Gathered<'_>, path: &Path) -> Result<()> {
    for package in packages(&toml(path)?, "packages") {
        gathered.provided.extend(package.get("name").and_then(Value::as_str).map(requirements::normal));
    }
    Ok(())
}

/// Reads a `pdm.lock`, except packages for developers.
pub(super) fn pdm(gathered: &mut Gathered<'_>, path: &Path, main: &str) -> Result<Said> {
    let lock = toml(path)?;
    let mut lines = Vec::new();
    for package in packages(&lock, "package") {
        let field = |key: &str| package.get(key).and_then(Value::as_str);
        let groups = strings(package.get("groups"));
        let (Some(name), Some(version)) = (field("name"), field("version")) else { continue };
        if !groups.is_empty() && !groups.iter().any(|group| group == "default") {
            continue;
        }
        let mut line = match (field("path"), field("url"), field("git")) {
            (Some(path), _, _) => format!("{name} @ file:{path}"),
            (_, Some(url), _) => format!("{name} @ {url}"),
            (_, _, Some(git)) => {
                format!("{name} @ git+{git}@{}", field("revision").or(field("ref")).unwrap_or("HEAD"))
            }
            _ => format!("{name}=={version}"),
        };
        let markers: Vec<String> =
            [field("marker"), field("markers")].into_iter().flatten().map(str::to_owned).collect();
        if !markers.is_empty() {
            line.push_str(&format!(" ; {}", markers.join(" and ")));
        }
        lines.push(line);
    }
    let python = lock.get("metadata").and_then(|data| data.get("requires_python")).and_then(Value::as_str);
    let python = python
        .map(str::to_owned)
        .or_else(|| beside(path, "pyproject.toml").as_ref().and_then(super::requires_python));
    listed(gathered, path, main, lines, python)
}

/// Reads the default packages of a `Pipfile.lock`.
pub(super) fn pipfile_lock(gathered: &mut Gathered<'_>, path: &Path, main: &str) -> Result<Said> {
    let lock: Json = serde_json::from_str(&text(path)?).map_err(|error| {
        Error::invalid(format!("{} is not valid JSON", path.display()))
            .hint("create it again with `pipenv lock`")
            .source(error)
    })?;
    let mut lines = Vec::new();
    for (name, package) in lock["default"].as_object().into_iter().flatten() {
        let field = |key: &str| package[key].as_str();
        let mut line = match (field("git"), field("path").or(field("file"))) {
            (Some(git), _) => format!("{name} @ git+{git}@{}", field("ref").unwrap_or("HEAD")),
            // The project itself is sent as code.
            (_, Some(".")) => continue,
            (_, Some(file)) if file.contains("://") => format!("{name} @ {file}"),
            (_, Some(file)) => format!("{name} @ file:{file}"),
            _ => format!("{}{}", with_extras(name, &package["extras"]), field("version").unwrap_or_default()),
        };
        if let Some(markers) = field("markers") {
            line.push_str(&format!(" ; {markers}"));
        }
        let hashes = package["hashes"].as_array().into_iter().flatten().filter_map(Json::as_str);
        line.extend(hashes.map(|hash| format!(" --hash={hash}")));
        lines.push(line);
    }
    let meta = &lock["_meta"];
    let sources = meta["sources"].as_array().into_iter().flatten();
    let sources = sources.filter_map(|source| Some((source["name"].as_str()?, source["url"].as_str()?)));
    let lines = [index_lines(sources), lines].concat();
    let requires = &meta["requires"];
    let python = requires["python_full_version"].as_str().or(requires["python_version"].as_str());
    listed(gathered, path, main, lines, python.map(|version| format!("=={version}")))
}

/// Reads a `Pipfile` without a lock.
pub(super) fn pipfile(gathered: &mut Gathered<'_>, path: &Path, main: &str) -> Result<Said> {
    let file = toml(path)?;
    let mut lines = Vec::new();
    for (name, wanted) in file.get("packages").and_then(Value::as_table).into_iter().flatten() {
        let field = |key: &str| wanted.get(key).and_then(Value::as_str);
        let version = wanted.as_str().or(field("version")).unwrap_or("*");
        let extras = strings(wanted.get("extras"));
        let mut line = match (field("git"), field("path").or(field("file"))) {
            (Some(git), _) => format!("{name} @ git+{git}@{}", field("ref").unwrap_or("HEAD")),
            (_, Some(".")) => continue,
            (_, Some(file)) if file.contains("://") => format!("{name} @ {file}"),
            (_, Some(file)) => format!("{name} @ file:{file}"),
            _ if version == "*" => with_extras(name, &extras.into()),
            // For Pipenv, a bare version means exactly this version.
            _ if version.starts_with(|c: char| c.is_ascii_digit()) => {
                format!("{}=={version}", with_extras(name, &extras.into()))
            }
            _ => format!("{}{version}", with_extras(name, &extras.into())),
        };
        if let Some(markers) = field("markers") {
            line.push_str(&format!(" ; {markers}"));
        }
        lines.push(line);
    }
    let sources = packages(&file, "source");
    let sources =
        sources.filter_map(|source| Some((source.get("name")?.as_str()?, source.get("url")?.as_str()?)));
    let lines = [index_lines(sources), lines].concat();
    let requires = |key: &str| Some(format!("=={}", file.get("requires")?.get(key)?.as_str()?));
    let python = requires("python_full_version").or_else(|| requires("python_version"));
    listed(gathered, path, main, lines, python)
}

/// Returns options for the sources of Pipenv. The public index, which Pipenv calls `pypi`, is left out, so that another
/// index of the user can replace it.
fn index_lines<'a>(sources: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    sources
        .enumerate()
        .filter(|(_, (name, _))| *name != "pypi")
        .map(|(number, (_, url))| match number {
            0 => format!("--index-url {url}"),
            _ => format!("--extra-index-url {url}"),
        })
        .collect()
}

fn with_extras(name: &str, extras: &Json) -> String {
    let extras: Vec<&str> = extras.as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    if extras.is_empty() { name.to_owned() } else { format!("{name}[{}]", extras.join(",")) }
}

fn listed(
    gathered: &mut Gathered<'_>,
    path: &Path,
    main: &str,
    lines: Vec<String>,
    python: Option<String>,
) -> Result<Said> {
    requirements::take(gathered, path, &lines.join("\n"))?;
    Ok(Said::new(Form::Requirements, gathered.write(main, &lines), python))
}

fn beside(path: &Path, name: &str) -> Option<Table> {
    let path = path.with_file_name(name);
    if path.is_file() { toml(&path).ok() } else { None }
}

fn packages<'a>(file: &'a Table, key: &str) -> impl Iterator<Item = &'a Table> {
    file.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs};

    use super::super::Content;
    use super::*;

    fn lines(name: &str, content: &str) -> (String, Option<String>) {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let path = folder.join(name);
        fs::write(&path, content).unwrap();
        let choice = Default::default();
        let mut gathered = Gathered::new(&folder, name.to_owned(), &choice);
        let said = match name {
            "pdm.lock" => pdm(&mut gathered, &path, name),
            "Pipfile" => pipfile(&mut gathered, &path, name),
            _ => pipfile_lock(&mut gathered, &path, name),
        };
        let said = said.unwrap();
        let files: BTreeMap<String, Content> = gathered.files;
        match &files[&said.main] {
            Content::Text(text) => (text.clone(), said.python),
            Content::File(_) => panic!("it is made of the lock"),
        }
    }

    #[test]
    fn locks_become_lists() {
        let lock = r#"{"_meta": {"requires": {"python_version": "3.11"}, "sources": [
            {"name": "pypi", "url": "https://public.example/simple"}, {"name": "own", "url": "https://own.example/simple"}]},
            "default": {"requests": {"version": "==2.31.0", "extras": ["socks"], "hashes": ["sha256:1"],
            "markers": "python_version >= '3.7'"}, "me": {"path": ".", "editable": true}},
            "develop": {"pytest": {"version": "==8.0"}}}"#;
        let text = "--extra-index-url https://own.example/simple\n\
                    requests[socks]==2.31.0 ; python_version >= '3.7' --hash=sha256:1\n";
        assert_eq!(lines("Pipfile.lock", lock), (text.to_owned(), Some("==3.11".to_owned())));
        let list = "[packages]\nsix = '==1.16.0'\nidna = '*'\ntqdm = { version = '>=4', extras = ['notebook'] }\n\
                    [dev-packages]\npytest = '*'\n[requires]\npython_version = '3.12'\n";
        let text = "idna\nsix==1.16.0\ntqdm[notebook]>=4\n";
        assert_eq!(lines("Pipfile", list), (text.to_owned(), Some("==3.12".to_owned())));
        let lock = "[metadata]\ngroups = ['default', 'dev']\n[[package]]\nname = 'six'\nversion = '1.16.0'\ngroups = ['default']\n\
                    [[package]]\nname = 'pytest'\nversion = '8.0'\ngroups = ['dev']\n";
        assert_eq!(lines("pdm.lock", lock), ("six==1.16.0\n".to_owned(), None));
    }
}
