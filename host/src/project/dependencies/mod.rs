//! Finds a project's dependencies: the file that declares them, its kind, and the other files that it needs.

mod added;
mod addresses;
mod brings;
mod conda;
mod gather;
mod lists;
mod lock;
mod locked;
mod pyproject;
mod read;
mod requirements;
mod script;
mod setup;
mod text;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

pub(super) use added::complete;
use gather::Gathered;
pub(super) use pyproject::python as requires_python;
use read::{Reading, Said};
use text::{decoded, name_from, plain, text};
pub(super) use text::{is_list, toml};

use super::{Choice, files, indexes::Written};
use crate::{
    disk,
    error::{Error, Kind, Result},
};

/// Maximum size of a dependency file in bytes.
const MAX_SIZE: u64 = 16 << 20;
/// Maximum number of lists that refer to each other.
const MAX_LISTS: usize = 100;

/// How dependencies are declared, which determines the installer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// No file: there are only packages that the user names or the code imports.
    None,
    /// A `requirements.txt`, a `pylock.toml`, or a list that was made from another file.
    Requirements,
    /// A `uv.lock` beside its `pyproject.toml`.
    UvLock,
    /// A `pyproject.toml` with a table `project`, or a `setup.py` that has to be run.
    Pyproject,
    /// A `pyproject.toml` of Poetry, with or without its lock.
    Poetry,
}

impl Form {
    /// The name in the contract.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Requirements => "requirements",
            Self::UvLock => "uv-lock",
            Self::Pyproject => "pyproject",
            Self::Poetry => "poetry",
        }
    }
}

/// The content of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Text that was made from the user's file.
    Text(String),
    /// The user's own file.
    File(files::File),
}

impl Content {
    /// Whether it is a list with nothing but comments.
    fn lists_nothing(&self) -> bool {
        let is_comment = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
        match self {
            Self::Text(text) => text.lines().all(is_comment),
            Self::File(file) => {
                disk::text(&file.source, MAX_SIZE).is_ok_and(|text| text.lines().all(is_comment))
            }
        }
    }
}

/// What the user chooses about dependencies, besides the files of the project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The dependency file to use instead of the one that would be found.
    pub env_file: Option<PathBuf>,
    /// Additional packages to install, as requirements.
    pub with: Vec<String>,
    /// Extras of the project.
    pub extras: Vec<String>,
    /// Dependency groups of the project.
    pub groups: Vec<String>,
    /// Do not install packages only because the code imports them.
    pub no_detect: bool,
    /// The day as of which versions are chosen, such as `2024-06-30`.
    pub as_of: Option<String>,
}

/// The dependencies to install.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependencies {
    /// The file that was chosen, relative to the project root: in a folder above, it begins with `../`. Empty if there
    /// is none.
    pub origin: String,
    /// How it declares them.
    pub form: Form,
    /// The file to install from, one of `files`; empty if there is none.
    pub main: String,
    /// All files that the installation reads, by their paths relative to `anchor`.
    pub files: BTreeMap<String, Content>,
    /// The folder that relative paths in them start from.
    pub anchor: PathBuf,
    /// The anchor relative to the project root, if code of the project is installed from there: it has to be at the
    /// same place when the script runs.
    pub place: Option<String>,
    /// The name of the uv workspace member whose dependencies these are; the lock belongs to the workspace.
    pub member: Option<String>,
    /// Extras of the project to install.
    pub extras: Vec<String>,
    /// Dependency groups of the project to install.
    pub groups: Vec<String>,
    /// Packages that the user names in addition to the file, as requirements.
    pub added: Vec<String>,
    /// Modules that the code imports and the file seems to lack, each with the requirement that provides it.
    pub imported: BTreeMap<String, String>,
    /// The day as of which versions are chosen.
    pub as_of: Option<String>,
    /// The addresses that packages come from, with their logins as written.
    pub(super) addresses: Vec<Written>,
    /// The Python version or range that is required, and the file that requires it.
    pub(super) python: Option<(String, String)>,
    /// Normalized names of the packages that the file provides.
    provided: BTreeSet<String>,
}

/// What was found in a project.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The dependencies, if a file declares them.
    pub(super) dependencies: Option<Dependencies>,
    /// Messages about choices that the user was not asked for.
    pub(super) told: Vec<String>,
    /// Warnings, such as files that are not used.
    pub(super) notes: Vec<String>,
    /// Files that may be meant as dependency files, but do not have the name of one.
    pub(super) unsure: Vec<PathBuf>,
}

/// Where to look.
pub(super) struct Search<'a> {
    /// The project's root.
    pub(super) root: &'a Path,
    /// The folders that may hold dependency files, the nearest first.
    pub(super) folders: &'a [PathBuf],
    /// The training artifact, if it is a script, and its text.
    pub(super) script: Option<(&'a Path, &'a str)>,
    /// The run's own rules about what is sent.
    pub(super) choice: &'a Choice,
}

/// Finds the dependencies of a project: in the file that the user names, or else in the script's own header, or else in
/// the first file of [`lists::ORDER`] in the nearest folder that has one.
///
/// # Errors
/// The file cannot be read, or refers to files that the build cannot read.
pub(super) fn of(search: &Search<'_>, wanted: &Wanted) -> Result<Found> {
    let Search { root, choice, .. } = *search;
    if let Some(given) = &wanted.env_file {
        let path = given.canonicalize().map_err(|error| {
            Error::new(Kind::NotFound, format!("cannot read the dependency file {}", given.display()))
                .hint("--env-file takes a path relative to the current folder")
                .source(error)
        })?;
        let anchor = if path.starts_with(root) { root } else { path.parent().unwrap_or(root) };
        let read = Reading { root, anchor, wanted, choice }.read(&path, None)?;
        let (dependencies, notes) = read.ok_or_else(|| {
            Error::invalid(format!("{} declares no dependencies", given.display())).hint(lists::KINDS)
        })?;
        return Ok(Found { dependencies: Some(dependencies), notes, ..Found::default() });
    }
    let mut found = Found::default();
    let mut others = Vec::new();
    if let Some((path, text)) = search.script
        && let Some(header) = script::header(text)
    {
        let anchor = path.parent().unwrap_or(root);
        let (dependencies, notes) = Reading { root, anchor, wanted, choice }.header(path, &header)?;
        found.dependencies = Some(dependencies);
        found.notes.extend(notes);
    }
    // `setup.py` says what a package needs, and a list in a folder above says what its training is run with.
    let mut setups = Vec::new();
    for (number, anchor) in search.folders.iter().enumerate() {
        for path in lists::in_folder(anchor) {
            if found.dependencies.is_some() {
                others.push(name_from(root, &path));
                continue;
            }
            if matches!(lists::kind(&path), lists::Kind::SetupCfg | lists::Kind::SetupPy) {
                setups.push((anchor, path));
                continue;
            }
            let is_project = path.ends_with("pyproject.toml");
            let workspace =
                is_project.then(|| lock::workspace_of(anchor, &search.folders[number + 1..])).flatten();
            found.take(match &workspace {
                Some((workspace, member)) => Reading { root, anchor: workspace, wanted, choice }
                    .read(&workspace.join("uv.lock"), Some(member))?,
                None => Reading { root, anchor, wanted, choice }.read(&path, None)?,
            });
        }
        if found.dependencies.is_some() {
            break;
        }
        let unread = lists::unread(anchor).into_iter().map(|path| name_from(root, &path));
        found
            .notes
            .extend(unread.map(|name| format!("{name} is not used: only its own tool can install from it")));
        found.unsure.extend(lists::near_misses(anchor));
    }
    for (anchor, path) in setups {
        if found.dependencies.is_some() {
            others.push(name_from(root, &path));
        } else {
            found.take(Reading { root, anchor, wanted, choice }.read(&path, None)?);
        }
    }
    let used = found.dependencies.as_ref();
    let belongs = |other: &String| used.is_some_and(|used| lists::belongs_to(other, &used.origin));
    others.retain(|other| !belongs(other) && used.is_none_or(|used| !used.uses(other)));
    if let Some(used) = used.filter(|_| !others.is_empty()) {
        found.told.push(format!(
            "Dependencies come from {}; not used: {} (--env-file FILE chooses another)",
            used.origin,
            others.join(", ")
        ));
    }
    Ok(found)
}

impl Found {
    fn take(&mut self, read: Option<(Dependencies, Vec<String>)>) {
        if let Some((dependencies, notes)) = read {
            self.dependencies = Some(dependencies);
            self.notes.extend(notes);
        }
    }
}

impl Dependencies {
    /// Whether the file is one of these, or the source of the main file.
    fn uses(&self, name: &str) -> bool {
        let plain = name.rsplit("../").next().unwrap_or(name);
        self.files.contains_key(plain) || self.origin == name
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn read(folder: &Path, choice: &Choice) -> Result<BTreeMap<String, Content>> {
        let folders = &[folder.to_owned()];
        let found = of(&Search { root: folder, folders, script: None, choice }, &Wanted::default())?;
        Ok(found.dependencies.map(|found| found.files).unwrap_or_default())
    }

    /// A list must not be a way around the rules for secrets.
    #[test]
    fn a_list_that_needs_a_secret_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().canonicalize().unwrap();
        for name in [".env", "keys/id_rsa", ".ssh/config", "token.txt", "pkg/mine", "pkg/setup.py"] {
            fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
            fs::write(folder.join(name), "six\n").unwrap();
        }
        let key = format!("# -----BEGIN PRIVATE {}-----\n{}", "KEY", "M".repeat(64));
        fs::write(folder.join("constraints.txt"), key).unwrap();
        let secrets = ["token.txt", "pkg/mine"].map(|name| folder.join(name));
        let choice = Choice { secrets: secrets.into(), ..Choice::default() };
        for (text, reason) in [
            ("-r .env", "the list of secrets (.env)"),
            ("-c ./keys/../.env", "the list of secrets (.env)"),
            ("./keys/id_rsa", "the list of secrets (*_rsa)"),
            ("-r .ssh/config", "the list of secrets (.ssh)"),
            ("-r token.txt", "named by --secret"),
            ("-c constraints.txt", "its content (a private key)"),
        ] {
            fs::write(folder.join("requirements.txt"), format!("{text}\n")).unwrap();
            let error = read(&folder, &choice).unwrap_err();
            assert!(error.message().contains(reason), "{error}");
        }
        fs::write(folder.join("requirements.txt"), "-e ./pkg\n").unwrap();
        let files = read(&folder, &choice).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["pkg/setup.py", "requirements.txt"]);
    }

    #[test]
    fn a_dependency_file_that_leads_out_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().canonicalize().unwrap().join("project");
        fs::create_dir(&folder).unwrap();
        for (name, text) in [
            ("requirements.txt", "six"),
            ("environment.yml", "dependencies: [six]"),
            ("pyproject.toml", "[project]\nname = 'x'"),
            ("Pipfile", "[packages]\nsix = '*'"),
            ("setup.cfg", "[options]\ninstall_requires = six"),
        ] {
            fs::write(root.path().join("outside"), text).unwrap();
            symlink("../outside", folder.join(name)).unwrap();
            let error = read(&folder, &Choice::default()).unwrap_err();
            assert!(error.message().contains("a link that leads out"), "{name}: {error}");
            fs::remove_file(folder.join(name)).unwrap();
        }
    }

    #[test]
    fn a_chain_of_lists_ends() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().canonicalize().unwrap();
        for number in 0..MAX_LISTS + 1 {
            fs::write(folder.join(format!("{number}.txt")), format!("-r {}.txt\n", number + 1)).unwrap();
        }
        fs::rename(folder.join("0.txt"), folder.join("requirements.txt")).unwrap();
        let error = read(&folder, &Choice::default()).unwrap_err();
        assert!(error.message().contains("more than 100 lists"), "{error}");
    }

    /// Otherwise, somebody else's project could send any file of the user.
    #[test]
    fn needed_files_must_be_in_the_folder_itself() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().canonicalize().unwrap().join("project");
        fs::create_dir_all(folder.join("sub")).unwrap();
        fs::write(root.path().join("secret"), "hidden").unwrap();
        symlink("../secret", folder.join("link.whl")).unwrap();
        fs::create_dir(root.path().join("elsewhere")).unwrap();
        symlink("../elsewhere", folder.join("lib")).unwrap();
        symlink("/dev/zero", folder.join("endless.txt")).unwrap();
        symlink("sub/inside.txt", folder.join("inside.txt")).unwrap();
        fs::write(folder.join("sub/inside.txt"), "six\n").unwrap();
        for (text, well) in [
            ("./link.whl\n", false),
            ("-e ./lib\n", false),
            ("-r endless.txt\n", false),
            ("-c inside.txt\nsix\n", true),
        ] {
            fs::write(folder.join("requirements.txt"), text).unwrap();
            let folders = std::slice::from_ref(&folder);
            match of(
                &Search { root: &folder, folders, script: None, choice: &Choice::default() },
                &Wanted::default(),
            ) {
                Ok(found) => {
                    let files = found.dependencies.unwrap().files;
                    assert!(well && files.contains_key("inside.txt"), "{text}");
                }
                Err(error) => assert!(!well && error.message().contains("a link that leads out"), "{error}"),
            }
        }
    }
}
