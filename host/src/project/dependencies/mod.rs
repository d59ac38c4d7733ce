//! What a training folder asks to be installed: by which file, of which kind, and which other files that one needs.

mod conda;
mod lock;
mod pyproject;
mod requirements;

use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
};

pub(super) use pyproject::python as requires_python;

use super::{
    Choice, contents, files,
    indexes::{Login, holds_password, take_out, take_out_of},
    rules,
};
use crate::{
    disk,
    environment::Environment,
    error::{Error, Kind, Result},
};

/// Looked for in this order. The first that there is counts, and that declares anything: a `pyproject.toml` may be there
/// for its tools alone.
const ORDER: [&str; 7] = [
    "requirements.txt",
    "uv.lock",
    "poetry.lock",
    "pylock.toml",
    "pyproject.toml",
    "environment.yml",
    "environment.yaml",
];
/// Beyond this, it is no list of dependencies.
const LARGEST: u64 = 16 << 20;

/// How dependencies are declared, and so who installs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A `requirements.txt`, or a `pylock.toml`.
    Requirements,
    /// A `uv.lock` beside its `pyproject.toml`.
    UvLock,
    /// A `pyproject.toml` with a table `project`.
    Pyproject,
    /// A `pyproject.toml` as Poetry reads it, with its lock or without.
    Poetry,
}

impl Form {
    /// The name in the contract.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requirements => "requirements",
            Self::UvLock => "uv-lock",
            Self::Pyproject => "pyproject",
            Self::Poetry => "poetry",
        }
    }
}

/// Where the bytes of a file come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Made of what the user wrote.
    Text(String),
    /// The user's own file.
    File(files::File),
}

/// What is to be installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependencies {
    /// The file that was chosen, from the project's root on; in a folder above it begins with `../`.
    pub origin: String,
    /// How it declares them.
    pub form: Form,
    /// The file to install from, one of `files`.
    pub main: String,
    /// All that the installation reads, by their paths from `anchor` on.
    pub files: BTreeMap<String, Content>,
    /// The folder that relative paths in them start from.
    pub anchor: PathBuf,
    /// The anchor as a folder of the project, from its root on, if code of the project is installed from there: it has
    /// to lie where it is when the script runs.
    pub place: Option<String>,
    /// The member of a uv workspace whose dependencies they are, by its name; the lock is the workspace's.
    pub member: Option<String>,
    /// Those that stood in the files.
    pub(super) logins: Vec<Login>,
    /// The Python that it asks for, as a version or a range, and where it says so.
    pub(super) python: Option<(String, String)>,
}

/// The dependencies of the project at `root`: by `given`, else by the first file of [`ORDER`] in the nearest of `folders`
/// that has one.
pub(super) fn of(root: &Path, folders: &[PathBuf], given: Option<&Path>) -> Result<Option<Dependencies>> {
    if let Some(given) = given {
        let path = given.canonicalize().map_err(|error| {
            Error::new(Kind::NotFound, format!("cannot read the dependency file {}", given.display()))
                .hint("--env-file takes a path from the current folder")
                .source(error)
        })?;
        let anchor = if path.starts_with(root) { root } else { path.parent().unwrap_or(root) };
        return read(root, anchor, &path, None)?.map(Some).ok_or_else(|| {
            Error::invalid(format!("{} declares no dependencies", given.display())).hint(KINDS)
        });
    }
    for (number, anchor) in folders.iter().enumerate() {
        for name in ORDER {
            let path = anchor.join(name);
            if !path.is_file() {
                continue;
            }
            if name == "pyproject.toml"
                && let Some((workspace, member)) = lock::workspace_of(anchor, &folders[number + 1..])
            {
                return read(root, workspace, &workspace.join("uv.lock"), Some(&member));
            }
            if let Some(found) = read(root, anchor, &path, None)? {
                return Ok(Some(found));
            }
        }
    }
    Ok(None)
}

const KINDS: &str = "a dependency file is a requirements.txt, uv.lock, poetry.lock, pylock.toml, pyproject.toml \
                     or environment.yml";

/// `None` if the file declares nothing.
fn read(root: &Path, anchor: &Path, path: &Path, member: Option<&str>) -> Result<Option<Dependencies>> {
    let names = name_from(root, path);
    let mut gathered = Gathered { anchor, files: BTreeMap::new(), names, has_code: false };
    let main = gathered.inside(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (form, main, python) = match &*name {
        "uv.lock" => (Form::UvLock, main, lock::uv(&mut gathered, path, member)?),
        "poetry.lock" => (Form::Poetry, main, lock::poetry(&mut gathered, path)?),
        "pyproject.toml" => match pyproject::read(&mut gathered, path)? {
            Some((form, python)) => (form, main, python),
            None => return Ok(None),
        },
        name if name.ends_with(".yml") || name.ends_with(".yaml") => {
            let (main, python) = conda::read(&mut gathered, path, &main)?;
            (Form::Requirements, main, python)
        }
        name if name.starts_with("pylock.") && name.ends_with(".toml") => {
            gathered.add(path)?;
            (Form::Requirements, main, None)
        }
        name if name.ends_with(".toml") || name.ends_with(".lock") || name.ends_with(".cfg") => {
            return Err(Error::invalid(format!("{} is no dependency file", path.display())).hint(KINDS));
        }
        _ => {
            if !requirements::read(&mut gathered, path)? {
                return Ok(None);
            }
            (Form::Requirements, main, None)
        }
    };
    let logins = gathered.take_out_logins()?;
    let origin = gathered.names;
    let python = python.map(|version| (version, origin.clone()));
    let place = anchor.strip_prefix(root).ok().and_then(Path::to_str).filter(|_| gathered.has_code);
    Ok(Some(Dependencies {
        origin,
        form,
        main,
        files: gathered.files,
        anchor: anchor.to_owned(),
        place: place.map(str::to_owned),
        member: member.map(str::to_owned),
        logins,
        python,
    }))
}

/// The files that an installation reads, as they are found.
struct Gathered<'a> {
    anchor: &'a Path,
    files: BTreeMap<String, Content>,
    /// The file that names them, as messages call it.
    names: String,
    /// A whole folder is among them: packages in their source.
    has_code: bool,
}

impl Gathered<'_> {
    /// The path of what lies under the anchor.
    fn inside(&self, path: &Path) -> Result<String> {
        let path = plain(path);
        let inside = path.strip_prefix(self.anchor).ok().and_then(Path::to_str);
        inside.map(str::to_owned).ok_or_else(|| {
            Error::invalid(format!("{} asks for {}, which the build cannot see", self.names, path.display()))
                .hint(format!("move it into {}, and give its path from there", self.anchor.display()))
        })
    }

    /// Elsewhere may be anything, a secret too: what is sent lies where it seems to.
    fn leads_out(&self, path: &Path) -> bool {
        let root = self.anchor.canonicalize();
        !root.is_ok_and(|root| path.canonicalize().is_ok_and(|path| path.starts_with(root)))
    }

    fn not_here(&self, inside: &str) -> Error {
        let problem = "which is no file of this folder, or a link that leads out of it";
        Error::invalid(format!("{} asks for {inside}, {problem}", self.names)).hint(format!(
            "put the file itself into {}, or name another dependency file with --env-file",
            self.anchor.display()
        ))
    }

    /// A file, or all that may leave a folder.
    fn add(&mut self, path: &Path) -> Result<()> {
        let inside = self.inside(path)?;
        if path.is_dir() && self.leads_out(path) {
            return Err(self.not_here(&inside));
        }
        if path.is_dir() {
            self.has_code = true;
            for file in files::list(&plain(path), &[], &Choice::default())?.files {
                let name =
                    if inside.is_empty() { file.path.clone() } else { format!("{inside}/{}", file.path) };
                self.files.insert(name.clone(), Content::File(files::File { path: name, ..file }));
            }
            return Ok(());
        }
        let missing = || {
            Error::invalid(format!("{} asks for {inside}, and there is no such file", self.names))
                .hint(format!("paths in it start at {}", self.anchor.display()))
        };
        let source = path.canonicalize().map_err(|error| missing().source(error))?;
        let data = source.metadata().map_err(|error| files::unreadable(path, error))?;
        if self.leads_out(path) || !data.is_file() {
            return Err(self.not_here(&inside));
        }
        let size = data.len();
        let file =
            files::File { path: inside.clone(), source, size, executable: false, link: None, cleaned: None };
        self.files.insert(inside, Content::File(file));
        Ok(())
    }

    /// No login goes where it would be kept. What a list asks for lies in files of any name.
    fn take_out_logins(&mut self) -> Result<Vec<Login>> {
        let mut all = Vec::new();
        for (name, content) in &mut self.files {
            match content {
                Content::Text(text) => {
                    let (clean, logins) = take_out(text, name, &Environment::variable)?;
                    *text = clean;
                    all.extend(logins);
                }
                Content::File(file) if !contents::is_code(&file.path) => {
                    let Some(bytes) = rules::text_of(&file.source, LARGEST) else { continue };
                    // What is no list says nothing of who logs in.
                    let variable: &dyn Fn(&str) -> Option<String> = match is_list(&file.path) {
                        true => &Environment::variable,
                        false => &|_| Some(String::new()),
                    };
                    if let Some((clean, logins)) = take_out_of(&bytes, name, variable)? {
                        (file.size, file.cleaned) = (clean.len() as u64, Some(clean));
                        all.extend(logins);
                    }
                    if holds_password(file.cleaned.as_ref().unwrap_or(&bytes)) {
                        return Err(Error::invalid(format!("cannot take the password out of {name}"))
                            .hint("save it as UTF-8, or give the login by ~/.netrc"));
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

/// By its name, the file may list packages and addresses.
pub(super) fn is_list(path: &str) -> bool {
    let kinds = ["txt", "in", "toml", "lock", "cfg", "yml", "yaml"];
    Path::new(path).extension().is_none_or(|kind| kinds.iter().any(|known| kind == *known))
}

/// A dependency file's text.
fn text(path: &Path) -> Result<String> {
    let cannot_read = |error| files::unreadable(path, error);
    if fs::metadata(path).map_err(cannot_read)?.len() > LARGEST {
        return Err(Error::invalid(format!("{} is too large to be a dependency file", path.display()))
            .hint("name another one with --env-file"));
    }
    let bytes = disk::read(path, LARGEST).map_err(cannot_read)?;
    String::from_utf8(bytes).map_err(|error| {
        Error::invalid(format!("{} is not UTF-8", path.display())).hint("save it as UTF-8").source(error)
    })
}

pub(super) fn toml(path: &Path) -> Result<toml::Table> {
    text(path)?.parse().map_err(|error: toml::de::Error| {
        Error::invalid(format!("{} is not TOML", path.display())).hint("mend it").source(error)
    })
}

/// Without `.` and `..`, and without asking the disk: links keep their names.
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

/// How the user would write a path that is seen from a folder.
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

    /// A folder of somebody else's could send any file of the user's else.
    #[test]
    fn what_is_needed_lies_in_the_folder_itself() {
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
            match of(&folder, std::slice::from_ref(&folder), None) {
                Ok(found) => assert!(well && found.unwrap().files.contains_key("inside.txt"), "{text}"),
                Err(error) => assert!(!well && error.message().contains("a link that leads out"), "{error}"),
            }
        }
    }
}
