//! `pyproject.toml` without a lock.

use std::path::Path;

use toml::{Table, Value};

use super::{Form, Gathered, toml};
use crate::error::Result;

/// Adds the file, with the code where only that can tell the dependencies. None where it declares no project.
pub(super) fn read(gathered: &mut Gathered<'_>, path: &Path) -> Result<Option<(Form, Option<String>)>> {
    let file = toml(path)?;
    let folder = path.parent().unwrap_or(path);
    let python = python(&file);
    if let Some(project) = file.get("project").and_then(Value::as_table) {
        let dynamic = project.get("dynamic").and_then(Value::as_array).into_iter().flatten();
        if dynamic.filter_map(Value::as_str).any(|field| field == "dependencies") {
            gathered.add(folder)?;
        }
        gathered.add(path)?;
        gathered.add_if_there(&folder.join("uv.toml"))?;
        for local in sources(&file) {
            gathered.add(&folder.join(local))?;
        }
        return Ok(Some((Form::Pyproject, python)));
    }
    if poetry(&file).is_some() {
        gathered.add(path)?;
        gathered.add_if_there(&folder.join("poetry.toml"))?;
        return Ok(Some((Form::Poetry, python)));
    }
    Ok(None)
}

/// The Python that a project asks for.
pub(in crate::project) fn python(file: &Table) -> Option<String> {
    let modern = file.get("project").and_then(|project| project.get("requires-python"));
    let poetry = || poetry(file)?.get("python");
    modern.or_else(poetry).and_then(Value::as_str).map(str::to_owned)
}

fn poetry(file: &Table) -> Option<&Table> {
    file.get("tool")?.get("poetry")?.get("dependencies")?.as_table()
}

/// The folders and files that `tool.uv.sources` takes packages from.
fn sources(file: &Table) -> Vec<&str> {
    let sources = file.get("tool").and_then(|tool| tool.get("uv")).and_then(|uv| uv.get("sources"));
    let sources = sources.and_then(Value::as_table).into_iter().flat_map(|sources| sources.values());
    sources.filter_map(|source| source.get("path").and_then(Value::as_str)).collect()
}
