//! Reads a `pyproject.toml` without a lock, and chooses extras and dependency groups, also those of a lock.

use std::path::Path;

use toml::{Table, Value};

use super::{Form, Gathered, Said, Wanted, requirements, requirements::normal, script::strings, toml};
use crate::error::{Error, Result};

/// Adds the file, and the code if the dependencies are dynamic. `None` if it declares nothing.
pub(super) fn read(
    gathered: &mut Gathered<'_>,
    path: &Path,
    main: String,
    wanted: &Wanted,
) -> Result<Option<Said>> {
    let file = toml(path)?;
    let folder = path.parent().unwrap_or(path);
    let python = python(&file);
    if let Some(project) = file.get("project").and_then(Value::as_table) {
        let mut said = Said::new(Form::Pyproject, main, python);
        choose(&mut said, &file, wanted)?;
        let dynamic = strings(project.get("dynamic"));
        if dynamic.iter().any(|field| field == "dependencies") {
            gathered.add(folder)?;
        }
        for requirement in strings(project.get("dependencies")) {
            gathered.provides(&requirement);
        }
        for extra in &said.extras {
            let listed = project.get("optional-dependencies").and_then(|all| all.get(extra));
            strings(listed).iter().for_each(|requirement| gathered.provides(requirement));
        }
        for group in &said.groups {
            let listed = file.get("dependency-groups").and_then(|all| all.get(group));
            strings(listed).iter().for_each(|requirement| gathered.provides(requirement));
        }
        gathered.add(path)?;
        gathered.add_if_there(&folder.join("uv.toml"))?;
        for local in sources(&file) {
            gathered.add(&folder.join(local))?;
        }
        return Ok(Some(said));
    }
    if let Some(list) = poetry(&file) {
        let mut said = Said::new(Form::Poetry, main, python);
        choose(&mut said, &file, wanted)?;
        list.keys().for_each(|name| gathered.provides(name));
        gathered.add(path)?;
        gathered.add_if_there(&folder.join("poetry.toml"))?;
        return Ok(Some(said));
    }
    // A file that has only groups declares nothing unless one of them is chosen.
    let groups = table(&file, &["dependency-groups"]).is_some();
    if groups && (!wanted.groups.is_empty() || !default_groups(&file).is_empty()) {
        // Installers ignore a file without a project.
        let mut said = Said::new(Form::Requirements, String::new(), python);
        choose(&mut said, &file, wanted)?;
        let mut lines = Vec::new();
        said.groups.iter().for_each(|group| of_group(&file, group, &mut Vec::new(), &mut lines));
        requirements::take(gathered, path, &lines.join("\n"))?;
        said.main = gathered.write(&main, &lines);
        return Ok(Some(said));
    }
    Ok(None)
}

/// Collects the requirements of a dependency group, and of the groups that it includes.
fn of_group(file: &Table, group: &str, seen: &mut Vec<String>, lines: &mut Vec<String>) {
    if seen.iter().any(|known| known == group) {
        return;
    }
    seen.push(group.to_owned());
    let groups = table(file, &["dependency-groups"]);
    let entries = groups.and_then(|groups| groups.get(group)).and_then(Value::as_array);
    for entry in entries.into_iter().flatten() {
        match (entry.as_str(), entry.get("include-group").and_then(Value::as_str)) {
            (Some(requirement), _) => lines.push(requirement.to_owned()),
            (_, Some(included)) => of_group(file, included, seen, lines),
            _ => {}
        }
    }
}

/// Chooses the extras and groups that the user names, and the project's default groups except `dev`. A note lists
/// the others.
///
/// # Errors
/// The project has no extra or group of that name.
pub(super) fn choose(said: &mut Said, file: &Table, wanted: &Wanted) -> Result<()> {
    let extras = names(file, &[&["project", "optional-dependencies"], &["tool", "poetry", "extras"]]);
    let groups = names(file, &[&["dependency-groups"], &["tool", "poetry", "group"]]);
    for (option, asked, there) in [("extra", &wanted.extras, &extras), ("group", &wanted.groups, &groups)] {
        if let Some(name) = asked.iter().find(|name| !there.iter().any(|known| normal(known) == normal(name)))
        {
            let hint = if there.is_empty() {
                format!("it has none: remove --{option}")
            } else {
                format!("it has {}", there.join(", "))
            };
            return Err(Error::invalid(format!("pyproject.toml has no {option} `{name}`")).hint(hint));
        }
    }
    said.extras = wanted.extras.clone();
    said.groups = wanted.groups.clone();
    for group in default_groups(file) {
        if group != "dev" && !said.groups.contains(&group) && groups.contains(&group) {
            said.groups.push(group);
        }
    }
    let left = |option: &str, all: &[String], used: &[String]| {
        let left: Vec<String> = all
            .iter()
            .filter(|name| {
                !FOR_DEVELOPERS.contains(&normal(name).as_str())
                    && !used.iter().any(|used| normal(used) == normal(name))
            })
            .map(|name| format!("--{option} {name}"))
            .collect();
        left
    };
    let unused = [left("extra", &extras, &said.extras), left("group", &groups, &said.groups)].concat();
    if !unused.is_empty() {
        said.notes.push(format!(
            "pyproject.toml has more dependencies, which are not installed; to install them, add {}",
            unused.join(", ")
        ));
    }
    Ok(())
}

/// Usual names of extras and groups that no training needs.
const FOR_DEVELOPERS: &[&str] = &[
    "build",
    "ci",
    "coverage",
    "dev",
    "develop",
    "development",
    "doc",
    "docs",
    "lint",
    "linters",
    "pre-commit",
    "release",
    "style",
    "test",
    "testing",
    "tests",
    "types",
    "typing",
];

/// Groups that `uv sync` installs by default.
fn default_groups(file: &Table) -> Vec<String> {
    let uv = table(file, &["tool", "uv"]);
    strings(uv.and_then(|uv| uv.get("default-groups")))
}

fn names(file: &Table, places: &[&[&str]]) -> Vec<String> {
    let tables = places.iter().filter_map(|place| table(file, place));
    tables.flat_map(|table| table.keys().cloned()).collect()
}

fn table<'a>(file: &'a Table, path: &[&str]) -> Option<&'a Table> {
    path.iter().try_fold(file, |table, name| table.get(*name)?.as_table())
}

/// Returns the Python that a project requires.
pub(in crate::project) fn python(file: &Table) -> Option<String> {
    let modern = file.get("project").and_then(|project| project.get("requires-python"));
    let poetry = || poetry(file)?.get("python");
    modern.or_else(poetry).and_then(Value::as_str).map(str::to_owned)
}

fn poetry(file: &Table) -> Option<&Table> {
    table(file, &["tool", "poetry", "dependencies"])
}

/// Returns the folders and files in `tool.uv.sources`.
fn sources(file: &Table) -> Vec<&str> {
    let sources = table(file, &["tool", "uv", "sources"]).into_iter().flat_map(|sources| sources.values());
    sources.filter_map(|source| source.get("path").and_then(Value::as_str)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(text: &str, wanted: &Wanted) -> Result<Said> {
        let mut said = Said::new(Form::Pyproject, "pyproject.toml".into(), None);
        choose(&mut said, &text.parse().unwrap(), wanted)?;
        Ok(said)
    }

    #[test]
    fn extras_and_groups_are_chosen_or_noted() {
        let text = "[project]\noptional-dependencies = { gpu = ['torch'], docs = ['sphinx'] }\n[dependency-groups]\n\
                    dev = ['pytest']\ntrain = ['six']\nextra-data = ['idna']\n[tool.uv]\ndefault-groups = ['dev', 'train']\n";
        let wanted = Wanted { extras: vec!["gpu".into()], ..Wanted::default() };
        let said = chosen(text, &wanted).unwrap();
        assert_eq!((said.extras, said.groups), (vec!["gpu".to_owned()], vec!["train".to_owned()]));
        assert_eq!(
            said.notes,
            [
                "pyproject.toml has more dependencies, which are not installed; to install them, add --group extra-data"
            ]
        );
        let wanted = Wanted { groups: vec!["tests".into()], ..Wanted::default() };
        let error = chosen(text, &wanted).err().unwrap();
        assert_eq!(error.message(), "pyproject.toml has no group `tests`");
        assert_eq!(error.hint_text(), Some("it has dev, extra-data, train"));
    }
}
