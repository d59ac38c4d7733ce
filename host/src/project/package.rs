//! A project that is a package itself: the folders that it is imported from, and its metadata for Python. This stands in
//! for an editable installation, but without the build backend: nothing is run, and nothing is downloaded.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use super::dependencies;
use crate::disk;

/// Maximum size in bytes of a file that is read.
const MAX_SIZE: u64 = 1 << 20;
/// The version if only the build backend knows it.
const UNKNOWN_VERSION: &str = "0";

/// A project as Python's import system sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// Folders whose modules can be imported from everywhere, relative to the project root; empty for the root itself.
    pub folders: Vec<String>,
    /// Files that describe the project for Python's `importlib.metadata`, by their paths in an import folder.
    pub metadata: BTreeMap<String, String>,
}

impl Package {
    /// Reads the project at `root`. `folders` are the artifact's and those above it: a workspace member is a project, too.
    pub(super) fn read(root: &Path, folders: &[PathBuf]) -> Self {
        let mut package = Self { folders: vec![String::new(), "src".into()], metadata: BTreeMap::new() };
        for folder in folders.iter().filter(|folder| folder.starts_with(root)) {
            let project = Declared::read(folder);
            if !project.is_project && folder != root {
                continue;
            }
            for place in project.places.iter().map(String::as_str).chain(["", "src"]) {
                let inside = folder.join(place);
                let inside = inside.strip_prefix(root).ok().and_then(Path::to_str).unwrap_or_default();
                let inside = inside.trim_end_matches('/').to_owned();
                if !package.folders.contains(&inside) && root.join(&inside).is_dir() {
                    package.folders.push(inside);
                }
            }
            package.metadata.extend(project.metadata());
        }
        package
    }
}

/// What one folder declares.
#[derive(Debug, Default)]
struct Declared {
    is_project: bool,
    name: Option<String>,
    version: Option<String>,
    /// `name = target` lines, by group.
    entry_points: BTreeMap<String, BTreeMap<String, String>>,
    /// Folders that contain its packages.
    places: Vec<String>,
}

impl Declared {
    fn read(folder: &Path) -> Self {
        let mut declared = Self::default();
        let path = folder.join("pyproject.toml");
        if path.is_file()
            && let Ok(file) = dependencies::toml(&path)
        {
            declared.take_toml(&file);
        }
        for name in ["setup.cfg", "setup.py"] {
            let path = folder.join(name);
            if let Ok(text) = disk::text(&path, MAX_SIZE) {
                declared.is_project |= name == "setup.py" || text.contains("[metadata]");
                declared.take_text(&text);
            }
        }
        declared
    }

    fn take_toml(&mut self, file: &Table) {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let at = |path: &str| {
            path.split('.')
                .try_fold(None, |place: Option<&Value>, key| match place {
                    None => Some(Some(file.get(key)?)),
                    Some(value) => Some(Some(value.get(key)?)),
                })
                .flatten()
        };
        for table in ["project", "tool.poetry"] {
            let Some(project) = at(table) else { continue };
            self.is_project = true;
            self.name = self.name.take().or(text(project.get("name")));
            self.version = self.version.take().or(text(project.get("version")));
            for (key, group) in [("scripts", "console_scripts"), ("gui-scripts", "gui_scripts")] {
                self.take_entry_points(group, project.get(key));
            }
            for key in ["entry-points", "plugins"] {
                for (group, entries) in project.get(key).and_then(Value::as_table).into_iter().flatten() {
                    self.take_entry_points(group, Some(entries));
                }
            }
        }
        let mut places = Vec::new();
        for path in
            ["tool.uv.build-backend.module-root", "tool.pdm.build.package-dir", "tool.maturin.python-source"]
        {
            places.extend(text(at(path)));
        }
        places.extend(text(at("tool.setuptools.package-dir").and_then(|folders| folders.get(""))));
        for path in ["tool.setuptools.packages.find.where", "tool.hatch.build.targets.wheel.sources"] {
            let list = at(path).and_then(Value::as_array).into_iter().flatten();
            places.extend(list.filter_map(Value::as_str).map(str::to_owned));
        }
        let packages =
            at("tool.hatch.build.targets.wheel.packages").and_then(Value::as_array).into_iter().flatten();
        let parent = |package: &str| package.rsplit_once('/').map(|(parent, _)| parent.to_owned());
        places.extend(packages.filter_map(Value::as_str).filter_map(parent));
        let packages = at("tool.poetry.packages").and_then(Value::as_array).into_iter().flatten();
        places.extend(packages.filter_map(|package| text(package.get("from"))));
        self.places.extend(places.into_iter().filter(|place| is_inside(place)));
    }

    fn take_entry_points(&mut self, group: &str, entries: Option<&Value>) {
        for (name, target) in entries.and_then(Value::as_table).into_iter().flatten() {
            if let Some(target) = target.as_str().filter(|target| !target.contains('\n')) {
                let group = self.entry_points.entry(group.to_owned()).or_default();
                group.insert(name.clone(), target.to_owned());
            }
        }
    }

    /// Takes the plain values of a `setup.cfg` or `setup.py`, which is not run.
    fn take_text(&mut self, text: &str) {
        let pattern = |expression: &str| regex::Regex::new(expression).expect("it is a regular expression");
        let first = |expression: &str| Some(pattern(expression).captures(text)?.get(1)?.as_str().to_owned());
        let value =
            |key: &str| first(&format!(r#"(?m)^\s*{key}\s*=\s*["']?([A-Za-z0-9][\w.+!-]*)["']?\s*,?\s*$"#));
        self.name = self.name.take().or_else(|| value("name"));
        self.version = self.version.take().or_else(|| value("version"));
        for expression in [
            r#"package_dir\s*=\s*\{\s*["']["']\s*:\s*["']([\w./-]+)["']"#,
            r#"find_(?:namespace_)?packages\(\s*(?:where\s*=\s*)?["']([\w./-]+)["']"#,
            r"(?m)^package_dir\s*=\s*\n\s*=\s*([\w./-]+)\s*$",
            r"(?m)^where\s*=\s*([\w./-]+)\s*$",
        ] {
            self.places.extend(first(expression).filter(|place| is_inside(place)));
        }
    }

    fn metadata(&self) -> BTreeMap<String, String> {
        let is_name = |name: &&String| {
            !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        let Some(name) = self.name.as_ref().filter(is_name).filter(|_| self.is_project) else {
            return BTreeMap::new();
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '!' | '-' | '_');
        let version =
            self.version.as_deref().filter(|version| !version.is_empty() && version.chars().all(plain));
        let version = version.unwrap_or(UNKNOWN_VERSION);
        let folder = format!("{}-{version}.dist-info", name.replace(['-', '.'], "_"));
        let mut entry_points = String::new();
        for (group, entries) in &self.entry_points {
            entry_points.push_str(&format!("[{group}]\n"));
            for (name, target) in entries {
                entry_points.push_str(&format!("{name} = {target}\n"));
            }
        }
        let about = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
        [(format!("{folder}/METADATA"), about), (format!("{folder}/entry_points.txt"), entry_points)].into()
    }
}

/// Whether the path stays below the folder that names it.
fn is_inside(place: &str) -> bool {
    let plain = |part: std::path::Component<'_>| {
        matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir)
    };
    Path::new(place).components().all(plain) && !place.contains(['\n', '\0'])
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn of(files: &[(&str, &str)], from: &str) -> Package {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let start = folder.path().join(from);
        let folders: Vec<PathBuf> = start
            .ancestors()
            .take_while(|above| above.starts_with(folder.path()))
            .map(Path::to_owned)
            .collect();
        Package::read(folder.path(), &folders)
    }

    #[test]
    fn packages_are_imported_from_where_the_project_says() {
        for (files, folder) in [
            (
                vec![(
                    "pyproject.toml",
                    "[project]\nname='x'\n[tool.setuptools]\npackage-dir = {'' = 'lib'}",
                )],
                "lib",
            ),
            (vec![("pyproject.toml", "[tool.setuptools.packages.find]\nwhere = ['lib']\n")], "lib"),
            (
                vec![(
                    "pyproject.toml",
                    "[tool.poetry]\nname='x'\npackages = [{ include = 'x', from = 'lib' }]",
                )],
                "lib",
            ),
            (vec![("pyproject.toml", "[tool.hatch.build.targets.wheel]\npackages = ['lib/x']")], "lib"),
            (vec![("pyproject.toml", "[tool.uv.build-backend]\nmodule-root = 'lib'")], "lib"),
            (vec![("setup.py", "setup(name='x', package_dir={'': 'lib'})")], "lib"),
            (vec![("setup.py", "setup(packages=find_packages(where='lib'))")], "lib"),
            (vec![("setup.cfg", "[options]\npackage_dir =\n    =lib\n")], "lib"),
        ] {
            let mut files = files;
            files.push(("lib/x/__init__.py", ""));
            assert_eq!(of(&files, "").folders, ["", "src", folder], "{files:?}");
        }
        let outside = of(&[("pyproject.toml", "[tool.uv.build-backend]\nmodule-root = '../other'")], "");
        assert_eq!(outside.folders, ["", "src"]);
        let member = [
            ("packages/a/pyproject.toml", "[project]\nname = 'a'\nversion = '1'\n"),
            ("packages/a/src/a/__init__.py", ""),
            ("packages/a/scripts/train.py", ""),
        ];
        assert_eq!(of(&member, "packages/a/scripts").folders, ["", "src", "packages/a", "packages/a/src"]);
    }

    #[test]
    fn metadata_has_the_version_and_the_entry_points() {
        let text = "[project]\nname = 'my-x'\nversion = '1.2'\n[project.scripts]\nfit-it = 'x.cli:main'\n\
                    [project.entry-points.'x.models']\nnet = 'x.net:Net'\n";
        let metadata = of(&[("pyproject.toml", text)], "").metadata;
        let about = &metadata["my_x-1.2.dist-info/METADATA"];
        assert_eq!(about, "Metadata-Version: 2.1\nName: my-x\nVersion: 1.2\n");
        let entry_points = &metadata["my_x-1.2.dist-info/entry_points.txt"];
        assert_eq!(entry_points, "[console_scripts]\nfit-it = x.cli:main\n[x.models]\nnet = x.net:Net\n");
        let dynamic =
            of(&[("pyproject.toml", "[project]\nname = 'x'\ndynamic = ['version']\n")], "").metadata;
        assert!(dynamic.contains_key("x-0.dist-info/METADATA"), "{dynamic:?}");
        let setup = of(
            &[(
                "setup.py",
                "from setuptools import setup\nsetup(\n    name=\"src\",\n    version='0.1.0',\n)\n",
            )],
            "",
        );
        assert!(setup.metadata.contains_key("src-0.1.0.dist-info/METADATA"), "{setup:?}");
        for text in
            ["[project]\nname = '../x'\nversion = '1'\n", "[project]\nname = 'x'\nversion = '1/../y'\n"]
        {
            let metadata = of(&[("pyproject.toml", text)], "").metadata;
            assert!(
                metadata
                    .keys()
                    .all(|path| path == "x-0.dist-info/METADATA" || path == "x-0.dist-info/entry_points.txt")
            );
        }
    }
}
