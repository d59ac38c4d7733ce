//! Finds the packages that code imports and that do not come with Python, by a table of known modules.

mod names;
mod parse;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet, VecDeque},
    path::Path,
};

use super::files::File;
use crate::disk;
pub(super) use names::{Found, find, is_known_package};
use parse::{Import, Source};

/// Maximum size of a module in bytes; a larger one is data.
const MAX_SIZE: u64 = 1 << 20;
/// Maximum modules of a project that are followed.
const MAX_MODULES: usize = 2_000;

/// Returns the top-level names of all modules that some code imports, also of optional ones, except Python's own.
pub(super) fn modules(code: &str) -> Vec<String> {
    let imports = Source::of_module(code).imports.into_iter().filter(|import| import.level == 0);
    let tops = imports.filter_map(|import| import.module.split('.').next().map(str::to_owned));
    tops.filter(|module| find(module) != Found::Standard).collect()
}

/// What the code needs in every run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Needed {
    /// Modules, each with the requirement that provides it.
    pub(super) packages: BTreeMap<String, String>,
    /// Modules without a known package.
    pub(super) unknown: BTreeSet<String>,
    /// The first line that only Python 2 accepts: its file, number and text.
    pub(super) python2: Option<(String, usize, String)>,
}

/// The modules of the project itself.
pub(super) struct Own<'a> {
    /// The project root.
    root: &'a Path,
    /// The files that are sent.
    files: BTreeMap<&'a str, &'a File>,
    /// Import folders in order, each empty or ending with `/`.
    bases: Vec<String>,
}

impl<'a> Own<'a> {
    /// Imports for an artifact at `artifact` below `root`: from its folder, those above it, and `src` in each.
    pub(super) fn new(root: &'a Path, artifact: &str, files: &'a [File]) -> Self {
        let mut bases = Vec::new();
        let mut folder = artifact.rsplit_once('/').map(|(folder, _)| folder);
        while let Some(name) = folder {
            bases.push(format!("{name}/"));
            folder = name.rsplit_once('/').map(|(above, _)| above);
        }
        bases.push(String::new());
        let sources: Vec<String> = bases.iter().map(|base| format!("{base}src/")).collect();
        bases.extend(sources);
        Self { root, files: files.iter().map(|file| (file.path.as_str(), file)).collect(), bases }
    }

    /// Returns whether `module` is the project's own, and the files that importing it runs. A data folder can have the
    /// name of a package.
    fn find(&self, module: &str) -> (bool, Vec<String>) {
        let top = module.split('.').next().unwrap_or(module);
        for base in &self.bases {
            let (file, package) = (format!("{base}{top}.py"), format!("{base}{top}/__init__.py"));
            if self.is_there(&file) || self.is_there(&package) {
                return (true, self.chain(base, module));
            }
        }
        let of_package = matches!(find(module), Found::Package(_));
        for base in &self.bases {
            let below = self.chain(base, module);
            let is_folder = || self.root.join(format!("{base}{top}")).is_dir();
            if !below.is_empty() || !of_package && is_folder() {
                return (true, below);
            }
        }
        (false, Vec::new())
    }

    /// Whether the project has the file, even if it is not sent.
    fn is_there(&self, path: &str) -> bool {
        self.files.contains_key(path) || self.root.join(path).is_file()
    }

    /// Returns those of `a/__init__.py`, `a/b/__init__.py` and `a/b.py` that exist, for the module `a.b`.
    fn chain(&self, base: &str, module: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut path = base.to_owned();
        for part in module.split('.') {
            path.push_str(part);
            found.extend([format!("{path}.py"), format!("{path}/__init__.py")]);
            path.push('/');
        }
        found.retain(|path| self.files.contains_key(path.as_str()));
        found
    }

    fn read(&self, path: &str) -> Option<String> {
        let file = self.files.get(path).filter(|file| file.size <= MAX_SIZE)?;
        disk::text(&file.source, MAX_SIZE).ok()
    }

    /// Returns the top-level names of all modules in the import folders.
    pub(super) fn tops(&self) -> BTreeSet<String> {
        let top = |path: &&str| {
            let base = self.bases.iter().rev().find(|base| path.starts_with(base.as_str()))?;
            let rest = &path[base.len()..];
            let (name, below) = rest.split_once('/').unwrap_or((rest.strip_suffix(".py")?, "x.py"));
            let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
            (below.ends_with(".py") && is_name).then(|| name.to_owned())
        };
        self.files.keys().filter_map(top).collect()
    }
}

/// Returns what the script or notebook at `artifact` needs, together with the project's own modules that it imports.
pub(super) fn needed(code: &[String], is_notebook: bool, artifact: &str, own: &Own<'_>) -> Needed {
    let mut needed = Needed::default();
    let mut seen = HashSet::new();
    let of_cells = |code: &String| if is_notebook { Source::of_cell(code) } else { Source::of_module(code) };
    let mut queue: VecDeque<(String, Source)> =
        code.iter().map(|code| (artifact.to_owned(), of_cells(code))).collect();
    while let Some((path, source)) = queue.pop_front() {
        if needed.python2.is_none() {
            needed.python2 = source.python2.map(|(line, text)| (path.clone(), line, text));
        }
        for import in source.imports.into_iter().filter(|import| import.is_needed) {
            let files = match import.level {
                0 => needed.take(&import, own),
                level => relative(&path, level, &import, own),
            };
            for file in files {
                if seen.len() < MAX_MODULES
                    && seen.insert(file.clone())
                    && let Some(text) = own.read(&file)
                {
                    queue.push_back((file, Source::of_module(&text)));
                }
            }
        }
    }
    needed
}

impl Needed {
    /// Adds what an absolute import needs; returns the project's own files that it runs.
    fn take(&mut self, import: &Import, own: &Own<'_>) -> Vec<String> {
        let below = import.names.iter().filter(|name| *name != "*");
        let modules: Vec<String> = below.map(|name| format!("{}.{name}", import.module)).collect();
        let (is_own, mut files) = own.find(&import.module);
        if is_own {
            files.extend(modules.iter().flat_map(|module| own.find(module).1));
            return files;
        }
        // `from google.cloud import storage` needs another package than `google.cloud` alone.
        let of_names: Vec<(&String, Found)> = modules.iter().map(|module| (module, find(module))).collect();
        match find(&import.module) {
            Found::Standard => {}
            Found::Package(package) => {
                let top = import.module.split('.').next().unwrap_or(&import.module);
                let module = if names::is_namespace(top) { &import.module } else { top };
                self.packages.insert(module.to_owned(), package.to_owned());
            }
            Found::Nothing if of_names.iter().any(|(_, found)| matches!(found, Found::Package(_))) => {
                for (module, found) in of_names {
                    match found {
                        Found::Package(package) => {
                            self.packages.insert(module.clone(), package.to_owned());
                        }
                        _ => {
                            self.unknown.insert(module.clone());
                        }
                    }
                }
            }
            Found::Nothing => {
                let top = import.module.split('.').next().unwrap_or(&import.module);
                let module = if names::is_namespace(top) { &import.module } else { top };
                self.unknown.insert(module.to_owned());
            }
        }
        files
    }
}

/// Returns the files that a relative import in the file `path` runs.
fn relative(path: &str, level: u32, import: &Import, own: &Own<'_>) -> Vec<String> {
    let mut folder = path;
    for _ in 0..level {
        folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
    }
    let base = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let dot = |name: &str| match import.module.as_str() {
        "" => name.to_owned(),
        module => format!("{module}.{name}"),
    };
    let mut files = if import.module.is_empty() { Vec::new() } else { own.chain(&base, &import.module) };
    files.extend(import.names.iter().flat_map(|name| own.chain(&base, &dot(name))));
    files
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Returns what a script at `artifact` needs in a folder with these files.
    fn needs(artifact: &str, tree: &[(&str, &str)]) -> Needed {
        let folder = tempfile::tempdir().unwrap();
        let file = |(path, text): &(&str, &str)| {
            let source = folder.path().join(path);
            fs::create_dir_all(source.parent().unwrap()).unwrap();
            fs::write(&source, text).unwrap();
            File {
                path: (*path).into(),
                source,
                size: text.len() as u64,
                executable: false,
                link: None,
                cleaned: None,
            }
        };
        let files: Vec<File> = tree.iter().map(file).collect();
        let code = fs::read_to_string(folder.path().join(artifact)).unwrap();
        needed(&[code], false, artifact, &Own::new(folder.path(), artifact, &files))
    }

    fn packages(needed: &Needed) -> String {
        needed.packages.values().map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn needed_packages_are_neither_pythons_nor_the_projects() {
        let found = needs(
            "train.py",
            &[
                ("train.py", "import helper, json, sklearn, tomllib\nfrom data import x\nimport steps.one\n"),
                ("helper.py", "import requests\nimport helper\nfrom steps import two"),
                ("steps/__init__.py", ""),
                ("steps/one.py", "import bs4\nfrom .three import x\n"),
                ("steps/two.py", "import yaml\n"),
                ("steps/three.py", "import tqdm\n"),
                ("steps/unused.py", "import torch\n"),
                ("unused.py", "import tensorflow\n"),
                ("data/a.csv", ""),
            ],
        );
        assert_eq!(packages(&found), "beautifulsoup4 requests scikit-learn tqdm pyyaml");
        assert_eq!(found.unknown, BTreeSet::new());
    }

    #[test]
    fn own_modules_are_also_found_above_and_in_src() {
        let tree = [
            (
                "scripts/train.py",
                "import mytrainer, common.io\nfrom src.models import net\nimport foo_of_nobody\n",
            ),
            ("src/mytrainer/__init__.py", "import six\n"),
            ("src/models/net.py", "import scipy\n"),
            ("common/io.py", "import pandas\n"),
        ];
        let found = needs("scripts/train.py", &tree);
        assert_eq!(packages(&found), "pandas scipy six");
        assert_eq!(
            found.unknown,
            BTreeSet::from(["foo_of_nobody".to_owned()]),
            "reported, and never guessed"
        );
    }

    /// `wandb` writes its runs to a folder `wandb`, Hugging Face's `datasets` reads from a folder `datasets`.
    #[test]
    fn a_folder_of_data_hides_no_package() {
        let tree = [
            ("train.py", "import wandb\nfrom datasets import load_dataset\nfrom evaluate.mine import x\n"),
            ("wandb/run-1/config.yaml", ""),
            ("datasets/a.csv", ""),
            ("evaluate/mine.py", ""),
        ];
        assert_eq!(packages(&needs("train.py", &tree)), "datasets wandb");
    }

    #[test]
    fn namespace_packages_go_by_two_names() {
        let code = "from google.cloud import storage, bigquery\nimport google.protobuf\n\
                    from azure.storage.blob import BlobClient\nimport ruamel.yaml\nimport mpl_toolkits.mplot3d\n\
                    import google.nowhere\nfrom google import genai\n";
        let found = needs("train.py", &[("train.py", code)]);
        assert_eq!(
            packages(&found),
            "azure-storage-blob google-cloud-bigquery google-cloud-storage google-genai protobuf matplotlib ruamel-yaml"
        );
        assert_eq!(found.unknown, BTreeSet::from(["google.nowhere".to_owned()]));
    }

    #[test]
    fn python_2_is_found_in_what_is_imported() {
        let tree = [("train.py", "import helper\n"), ("helper.py", "x = 1\nprint 'x'\n")];
        let found = needs("train.py", &tree).python2.unwrap();
        assert_eq!(found, ("helper.py".to_owned(), 2, "print 'x'".to_owned()));
    }
}
