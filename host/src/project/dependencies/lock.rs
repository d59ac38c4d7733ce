//! Reads `uv.lock` and `poetry.lock`: the Python they were made for, and their packages in local folders.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{Gathered, requirements::normal, toml};
use crate::error::{Error, Result};

/// Returns the folder above that holds the lock of a uv workspace with the member `folder`, and the member's name.
pub(super) fn workspace_of<'a>(folder: &Path, above: &'a [PathBuf]) -> Option<(&'a Path, String)> {
    above.iter().find_map(|workspace| {
        let path = workspace.join("uv.lock");
        let lock = if path.is_file() { toml(&path).ok()? } else { return None };
        let member = packages(&lock).find(|package| {
            local(package).is_some_and(|member| super::plain(&workspace.join(member)) == folder)
        })?;
        Some((workspace.as_path(), member.get("name")?.as_str()?.to_owned()))
    })
}

/// Returns the folder of a package that is not from an index.
fn local(package: &Table) -> Option<&str> {
    let source = package.get("source")?;
    ["virtual", "editable", "directory"].iter().find_map(|kind| source.get(*kind)?.as_str())
}

/// Adds a `uv.lock`, its project and its local packages; of the workspace member `wanted`, only its
/// `pyproject.toml`. Returns the Python that the lock was made for.
pub(super) fn uv(gathered: &mut Gathered<'_>, path: &Path, wanted: Option<&str>) -> Result<Option<String>> {
    let lock = toml(path)?;
    let folder = beside(gathered, path, "uv.lock")?;
    gathered.add_if_there(&folder.join("uv.toml"))?;
    remember(gathered, &lock);
    for package in packages(&lock) {
        let Some(source) = package.get("source").and_then(Value::as_table) else { continue };
        let at = |key: &str| source.get(key).and_then(Value::as_str);
        if let Some(member) = local(package) {
            let is_wanted = wanted.is_some() && package.get("name").and_then(Value::as_str) == wanted;
            // The project itself is sent as code, and is not installed.
            let member = folder.join(member);
            if super::plain(&member) == folder {
                continue;
            }
            if at("virtual").is_some() || is_wanted {
                gathered.add(&member.join("pyproject.toml"))?
            } else {
                gathered.add(&member)?
            }
        } else if let Some(file) = at("path") {
            gathered.add(&folder.join(file))?;
        }
    }
    Ok(lock.get("requires-python").and_then(Value::as_str).map(str::to_owned))
}

/// Adds a `poetry.lock`, its project and its local packages. Returns the Python that the lock was made for.
pub(super) fn poetry(gathered: &mut Gathered<'_>, path: &Path) -> Result<Option<String>> {
    let lock = toml(path)?;
    let folder = beside(gathered, path, "poetry.lock")?;
    gathered.add_if_there(&folder.join("poetry.toml"))?;
    remember(gathered, &lock);
    for package in packages(&lock) {
        let Some(source) = package.get("source").and_then(Value::as_table) else { continue };
        let is_local = matches!(source.get("type").and_then(Value::as_str), Some("directory" | "file"));
        if let Some(url) = source.get("url").and_then(Value::as_str).filter(|_| is_local) {
            gathered.add(&folder.join(url))?;
        }
    }
    let python = lock.get("metadata").and_then(|metadata| metadata.get("python-versions"));
    Ok(python.and_then(Value::as_str).map(str::to_owned))
}

/// Adds the lock and the `pyproject.toml` that it belongs to. Returns their folder.
fn beside<'a>(gathered: &mut Gathered<'_>, path: &'a Path, name: &str) -> Result<&'a Path> {
    let folder = path.parent().unwrap_or(path);
    let project = folder.join("pyproject.toml");
    if !project.is_file() {
        return Err(Error::invalid(format!("{name} has no pyproject.toml beside it"))
            .hint("add its pyproject.toml: a lock alone does not say which of its packages are wanted"));
    }
    gathered.add(path)?;
    gathered.add(&project)?;
    Ok(folder)
}

/// Remembers the packages of a lock.
fn remember(gathered: &mut Gathered<'_>, lock: &Table) {
    let names = packages(lock).filter_map(|package| package.get("name").and_then(Value::as_str));
    gathered.provided.extend(names.map(normal));
}

fn packages(lock: &Table) -> impl Iterator<Item = &Table> {
    lock.get("package").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table)
}
