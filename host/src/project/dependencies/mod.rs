//! Finds a project's dependencies: the file that declares them, its kind, and the other files that it needs.

mod added;
mod addresses;
mod brings;
mod conda;
mod lists;
mod lock;
mod locked;
mod pyproject;
mod requirements;
mod script;
mod setup;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

pub(super) use added::complete;
pub(super) use pyproject::python as requires_python;

use super::{
    Choice, contents, files,
    indexes::{Written, decoded as any_text, holds_password, take_out, take_out_of, written_in},
    rules,
};
use crate::{
    disk,
    error::{Error, Kind, Result, toml_problem},
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

/// What is needed to read a dependency file.
#[derive(Clone, Copy)]
struct Reading<'a> {
    root: &'a Path,
    /// The folder that relative paths in it start from.
    anchor: &'a Path,
    wanted: &'a Wanted,
    choice: &'a Choice,
}

/// What a dependency file declares.
struct Said {
    form: Form,
    main: String,
    python: Option<String>,
    notes: Vec<String>,
    extras: Vec<String>,
    groups: Vec<String>,
}

impl Said {
    fn new(form: Form, main: String, python: Option<String>) -> Self {
        Self { form, main, python, notes: Vec::new(), extras: Vec::new(), groups: Vec::new() }
    }
}

impl Reading<'_> {
    /// Reads a file; `None` if it declares nothing.
    fn read(self, path: &Path, member: Option<&str>) -> Result<Option<(Dependencies, Vec<String>)>> {
        let mut gathered = Gathered::new(self.anchor, name_from(self.root, path), self.choice);
        let main = gathered.inside(path)?;
        gathered.require(path, &main)?;
        let said = match lists::kind(path) {
            lists::Kind::UvLock => {
                let python = lock::uv(&mut gathered, path, member)?;
                let mut said = Said::new(Form::UvLock, main, python);
                let project = path.with_file_name("pyproject.toml");
                pyproject::choose(&mut said, &toml(&project)?, self.wanted)?;
                Some(said)
            }
            lists::Kind::PoetryLock => {
                let python = lock::poetry(&mut gathered, path)?;
                let mut said = Said::new(Form::Poetry, main, python);
                let project = path.with_file_name("pyproject.toml");
                pyproject::choose(&mut said, &toml(&project)?, self.wanted)?;
                Some(said)
            }
            lists::Kind::Pyproject => pyproject::read(&mut gathered, path, main, self.wanted)?,
            lists::Kind::Conda => Some(match conda::is_python_env(path)? {
                true => conda::python_env(&mut gathered, path, &main)?,
                false => conda::read(&mut gathered, path, &main)?,
            }),
            lists::Kind::Pylock => {
                gathered.add(path)?;
                locked::pylock(&mut gathered, path)?;
                Some(Said::new(Form::Requirements, main, None))
            }
            lists::Kind::PdmLock => Some(locked::pdm(&mut gathered, path, &main)?),
            lists::Kind::PipfileLock => Some(locked::pipfile_lock(&mut gathered, path, &main)?),
            lists::Kind::Pipfile => Some(locked::pipfile(&mut gathered, path, &main)?),
            lists::Kind::Pixi => conda::pixi(&mut gathered, path, &main)?,
            lists::Kind::MlProject => match conda::mlproject(path)? {
                Some(named) => return self.read(&named, None),
                None => None,
            },
            lists::Kind::PythonEnv => Some(conda::python_env(&mut gathered, path, &main)?),
            lists::Kind::SetupCfg => setup::cfg(&mut gathered, path, &main)?,
            lists::Kind::SetupPy => setup::py(&mut gathered, path, main)?,
            lists::Kind::Requirements => {
                requirements::read(&mut gathered, path)?;
                Some(Said::new(Form::Requirements, main, None))
            }
            lists::Kind::Unknown => {
                return Err(
                    Error::invalid(format!("{} is not a dependency file", path.display())).hint(lists::KINDS)
                );
            }
        };
        said.map(|said| self.finish(gathered, said, member)).transpose()
    }

    /// Reads the header of a script.
    fn header(self, path: &Path, header: &script::Header) -> Result<(Dependencies, Vec<String>)> {
        let mut gathered = Gathered::new(self.anchor, name_from(self.root, path), self.choice);
        let main = gathered.inside(path)?;
        let said = script::read(&mut gathered, path, &main, header)?;
        self.finish(gathered, said, None)
    }

    fn finish(
        self,
        mut gathered: Gathered<'_>,
        said: Said,
        member: Option<&str>,
    ) -> Result<(Dependencies, Vec<String>)> {
        let Self { root, anchor, wanted, .. } = self;
        let is_project = matches!(said.form, Form::UvLock | Form::Pyproject | Form::Poetry);
        if !is_project
            && said.groups.is_empty()
            && let Some(name) = wanted.extras.first().or(wanted.groups.first())
        {
            return Err(Error::invalid(format!("{} has no extra or group `{name}`", gathered.names))
                .hint("use --extra and --group only with a pyproject.toml"));
        }
        let addresses = gathered.take_out_logins()?;
        let origin = gathered.names;
        let python = said.python.map(|version| (version, origin.clone()));
        let mut main = said.main;
        let mut files = gathered.files;
        let has_code = gathered.has_code;
        // A list alone gets the same name in whatever folder it is, and so makes the same layer.
        if files.len() == 1
            && let Some(content) = files.remove(&main)
        {
            main = main.rsplit('/').next().unwrap_or_default().to_owned();
            let content = match content {
                Content::File(file) => Content::File(files::File { path: main.clone(), ..file }),
                text => text,
            };
            files.insert(main.clone(), content);
        }
        let mut form = said.form;
        if form == Form::Requirements && files.values().all(Content::lists_nothing) {
            files.clear();
            form = Form::None;
        }
        let place = anchor.strip_prefix(root).ok().and_then(Path::to_str).filter(|_| has_code);
        let dependencies = Dependencies {
            origin,
            form,
            main,
            files,
            anchor: anchor.to_owned(),
            place: place.map(str::to_owned),
            member: member.map(str::to_owned),
            extras: said.extras,
            groups: said.groups,
            added: Vec::new(),
            imported: BTreeMap::new(),
            as_of: wanted.as_of.clone(),
            addresses,
            python,
            provided: gathered.provided,
        };
        Ok((dependencies, said.notes))
    }
}

/// Collects the files that an installation reads.
struct Gathered<'a> {
    anchor: &'a Path,
    files: BTreeMap<String, Content>,
    /// The name of the file that refers to them, for messages.
    names: String,
    /// Whether a whole folder is among them: the source of a package.
    has_code: bool,
    /// Names of the packages that they provide.
    provided: BTreeSet<String>,
    /// Number of requirements files that were read.
    lists: usize,
    /// The run's own rules about what is sent.
    choice: &'a Choice,
}

impl<'a> Gathered<'a> {
    fn new(anchor: &'a Path, names: String, choice: &'a Choice) -> Self {
        let (files, provided) = (BTreeMap::new(), BTreeSet::new());
        Self { anchor, files, names, has_code: false, provided, lists: 0, choice }
    }
}

impl Gathered<'_> {
    /// Adds a requirements file that was made from the user's file. Returns its name.
    fn write(&mut self, main: &str, lines: &[String]) -> String {
        let name = format!("{main}.requirements.txt");
        let text = lines.iter().map(|line| format!("{line}\n")).collect();
        self.files.insert(name.clone(), Content::Text(text));
        name
    }

    /// Remembers a package that is installed.
    fn provides(&mut self, requirement: &str) {
        self.provided.extend(requirements::name_of(requirement));
    }

    /// Returns a path relative to the anchor.
    fn inside(&self, path: &Path) -> Result<String> {
        let path = plain(path);
        let inside = path.strip_prefix(self.anchor).ok().and_then(Path::to_str);
        inside.map(str::to_owned).ok_or_else(|| {
            Error::invalid(format!(
                "{} refers to {}, which the build cannot read",
                self.names,
                path.display()
            ))
            .hint(format!("move it into {}, and change the path", self.anchor.display()))
        })
    }

    /// Whether a link leads out of the anchor: its target may be anything, even a secret.
    fn leads_out(&self, path: &Path) -> bool {
        let root = self.anchor.canonicalize();
        !root.is_ok_and(|root| path.canonicalize().is_ok_and(|path| path.starts_with(root)))
    }

    fn not_here(&self, inside: &str) -> Error {
        let problem = "which is not a file in this folder, or a link that leads out of it";
        Error::invalid(format!("{} refers to {inside}, {problem}", self.names)).hint(format!(
            "put the file itself into {}, or choose another dependency file with --env-file",
            self.anchor.display()
        ))
    }

    /// Adds a file, or all files of a folder that may be sent.
    fn add(&mut self, path: &Path) -> Result<()> {
        let inside = self.inside(path)?;
        if path.is_dir() && self.leads_out(path) {
            return Err(self.not_here(&inside));
        }
        if path.is_dir() {
            self.has_code = true;
            let choice = Choice { include: Vec::new(), ..self.choice.clone() };
            for file in files::list(&plain(path), &[], &choice)?.files {
                let name =
                    if inside.is_empty() { file.path.clone() } else { format!("{inside}/{}", file.path) };
                self.files.insert(name.clone(), Content::File(files::File { path: name, ..file }));
            }
            return Ok(());
        }
        let file = self.require(path, &inside)?;
        self.files.insert(inside, Content::File(file));
        Ok(())
    }

    /// Returns a file in the folder, unless it must not be sent.
    fn require(&self, path: &Path, inside: &str) -> Result<files::File> {
        let missing = || {
            Error::invalid(format!("{} refers to {inside}, which does not exist", self.names))
                .hint(format!("paths in it are relative to {}", self.anchor.display()))
        };
        let source = path.canonicalize().map_err(|error| missing().source(error))?;
        let data = source.metadata().map_err(|error| files::unreadable(path, error))?;
        if self.leads_out(path) || !data.is_file() {
            return Err(self.not_here(inside));
        }
        let (path, size) = (inside.to_owned(), data.len());
        let file = files::File { path, source, size, executable: false, link: None, cleaned: None };
        match files::secret_of(&file, self.choice) {
            None => Ok(file),
            Some(reason) => {
                Err(Error::invalid(format!("{} needs {inside}, which is not sent, by {reason}", self.names))
                    .hint("put what the installation needs into another file, or choose one with --env-file"))
            }
        }
    }

    /// Removes the logins from all files, since an image would keep them. A list may refer to files of any name.
    fn take_out_logins(&mut self) -> Result<Vec<Written>> {
        let mut all = Vec::new();
        for (name, content) in &mut self.files {
            let mut note = |text: &str| {
                all.extend(addresses::of(text).iter().flat_map(|used| written_in(used, name)));
            };
            match content {
                Content::Text(text) => {
                    note(text);
                    *text = take_out(text);
                }
                Content::File(file) if !contents::is_code(&file.path) => {
                    let Some(bytes) = rules::text_of(&file.source, MAX_SIZE) else { continue };
                    // Only the addresses of lists are used to log in.
                    if is_list(&file.path) {
                        note(&any_text(&bytes));
                    }
                    if let Some(clean) = take_out_of(&bytes) {
                        (file.size, file.cleaned) = (clean.len() as u64, Some(clean));
                    }
                    if holds_password(file.cleaned.as_ref().unwrap_or(&bytes)) {
                        return Err(Error::invalid(format!("cannot remove the password from {name}"))
                            .hint("save it as UTF-8, or put the login into ~/.netrc"));
                    }
                }
                Content::File(_) => {}
            }
        }
        Ok(all)
    }

    fn add_if_there(&mut self, path: &Path) -> Result<()> {
        if path.is_file() { self.add(path) } else { Ok(()) }
    }
}

/// Whether a file of this name may list packages and URLs.
pub(super) fn is_list(path: &str) -> bool {
    let kinds = ["txt", "in", "toml", "lock", "cfg", "yml", "yaml"];
    Path::new(path).extension().is_none_or(|kind| kinds.iter().any(|known| kind == *known))
}

/// Reads the text of a dependency file.
fn text(path: &Path) -> Result<String> {
    let cannot_read = |error| files::unreadable(path, error);
    if fs::metadata(path).map_err(cannot_read)?.len() > MAX_SIZE {
        return Err(Error::invalid(format!("{} is too large to be a dependency file", path.display()))
            .hint("choose another one with --env-file"));
    }
    decoded(disk::read(path, MAX_SIZE).map_err(cannot_read)?).ok_or_else(|| {
        Error::invalid(format!("{} is neither UTF-8 nor UTF-16", path.display())).hint("save it as UTF-8")
    })
}

/// Decodes text as pip does: UTF-8, or what a byte order mark says.
fn decoded(bytes: Vec<u8>) -> Option<String> {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> =
            bytes.chunks(2).map(|pair| unit([pair[0], pair.get(1).copied().unwrap_or(0)])).collect();
        String::from_utf16(&units).ok()
    };
    match bytes.as_slice() {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        _ => String::from_utf8(bytes).ok(),
    }
}

pub(super) fn toml(path: &Path) -> Result<toml::Table> {
    let text = text(path)?;
    text.parse().map_err(|error| {
        Error::invalid(format!("{} is not valid TOML", path.display()))
            .hint("fix its syntax")
            .source(toml_problem(&text, &error))
    })
}

/// Removes `.` and `..` without resolving links.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// Formats a path relative to a folder.
fn name_from(folder: &Path, path: &Path) -> String {
    let mut up = String::new();
    for ancestor in folder.ancestors() {
        if let Ok(inside) = path.strip_prefix(ancestor) {
            return format!("{up}{}", inside.display());
        }
        up.push_str("../");
    }
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

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
