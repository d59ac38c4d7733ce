//! Reads a project: the training artifact, its dependencies, and the files that may leave the machine. Nothing is
//! written, and the network is not used.

mod advice;
mod age;
mod clues;
mod contents;
mod dependencies;
mod files;
#[cfg(any(test, fuzzing))]
mod fuzz;
mod imports;
mod indexes;
mod left;
mod notebook;
mod package;
mod python;
mod recipe;
mod root;
mod rules;
mod start;
mod tag;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::{
    disk,
    environment::PackageEnvironment,
    error::{Error, Result},
};

pub use advice::Known as KnownProject;
pub use age::long_ago;
pub use dependencies::{Content, Dependencies, Form, Wanted};

pub use files::{File, blobs_of, data};
#[cfg(any(test, fuzzing))]
pub use fuzz::FUZZ;
use imports::Own;
pub use indexes::{Indexes, holds_password};
pub use left::Left;
use notebook::Notebook;
use package::Package;
pub use python::Python;
pub use recipe::{RECIPE_FOLDER, RUNNER, Recipe};
use root::Place;
pub use rules::{Choice, Reason, names_a_secret};
use start::Found;
pub use start::{Named, Start};
pub use tag::{artifact_of_tag, tag_of};

/// Bytes and files beyond which a project is reported as large.
const LARGE: (u64, usize) = (1 << 30, 50_000);

/// Maximum size in bytes of a script that is searched for imports.
const MAX_SCRIPT_SIZE: u64 = 16 << 20;

/// What the user asks to train, and from where.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The training artifact.
    pub artifact: &'a Named,
    /// What to install besides, or instead of, what the project's files declare.
    pub wanted: &'a Wanted,
    /// The project root, instead of the one that would be found.
    pub root: Option<&'a Path>,
    /// The script's arguments.
    pub arguments: &'a [String],
    /// The current folder.
    pub current: &'a Path,
    /// The user's home folder: it is never sent.
    pub home: &'a Path,
    /// The run's own rules about what is sent, besides those of the folder.
    pub choice: &'a Choice,
}

/// A training artifact in its project.
#[derive(Debug)]
pub struct Project {
    /// Absolute path of the project root, the folder that is sent.
    pub root: PathBuf,
    /// The artifact's path relative to the root, with `/`.
    pub artifact: String,
    /// The working folder, relative to the root; empty if it is the root.
    pub workdir: String,
    /// How the artifact is started.
    pub start: Start,
    /// The image's name: that of the artifact's folder and the artifact, such as `models/train`.
    pub tag: String,
    /// The folders that may hold dependency files and settings of installers, the nearest to the artifact first.
    pub folders: Vec<PathBuf>,
    /// How its own modules can be imported.
    pub package: Package,
    /// The dependencies to install.
    pub dependencies: Option<Dependencies>,
    /// Top-level names of the project's own modules.
    pub modules: BTreeSet<String>,
    /// Messages about choices that the user was not asked for.
    pub told: Vec<String>,
    /// Warnings about the project's dependencies, such as files that are not used.
    pub notes: Vec<String>,
    /// Files that may be meant as dependency files, if there is none.
    pub unsure: Vec<PathBuf>,
    /// The Python that the project requires.
    pub python: Option<Python>,
    /// The files that may leave the machine, sorted by path.
    pub files: Vec<File>,
    /// Folders that are sent empty, relative to the root, sorted.
    pub empty_folders: Vec<String>,
    /// Code with a password, which is sent unchanged.
    pub passwords_in_code: Vec<String>,
    /// The files that are not sent, by reason.
    pub left: BTreeMap<Reason, Left>,
    /// The user's own Dockerfile and its files, which are not among `files`.
    pub recipe: Option<Recipe>,
}

impl Project {
    /// Makes a project of which only the image is known.
    pub fn of_image(artifact: &Path, tag: &str) -> Self {
        let name = artifact.file_name().unwrap_or_default();
        Self {
            root: artifact.parent().unwrap_or(Path::new("/")).to_owned(),
            artifact: name.to_string_lossy().into_owned(),
            workdir: String::new(),
            start: if artifact.extension().is_some_and(|extension| extension == "ipynb") {
                Start::Notebook
            } else {
                Start::Script
            },
            tag: tag.to_owned(),
            folders: Vec::new(),
            package: Package::default(),
            dependencies: None,
            modules: BTreeSet::new(),
            told: Vec::new(),
            notes: Vec::new(),
            unsure: Vec::new(),
            python: None,
            files: Vec::new(),
            empty_folders: Vec::new(),
            passwords_in_code: Vec::new(),
            left: BTreeMap::new(),
            recipe: None,
        }
    }

    /// Opens an artifact, and finds its project.
    ///
    /// # Errors
    /// There is no such file, or it is neither a script nor a notebook.
    pub fn open(asked: Asked<'_>) -> Result<Self> {
        let Found { path: artifact, start, base } = start::find(asked.artifact, asked.current)?;
        let (Some(folder), Some(name)) =
            (artifact.parent(), artifact.file_name().and_then(|name| name.to_str()))
        else {
            return Err(
                Error::invalid(format!("the name of {} is not UTF-8", artifact.display())).hint("rename it")
            );
        };
        let mut arguments = asked.arguments.to_vec();
        let code: Vec<String> = match start {
            Start::Notebook => Notebook::read(&artifact)?.code().collect(),
            Start::Shell => {
                let text = disk::text(&artifact, MAX_SCRIPT_SIZE).unwrap_or_default();
                arguments.extend(start::words(&text).map(str::to_owned));
                start::python_of(&text, folder, asked.current)
            }
            _ => disk::text(&artifact, MAX_SCRIPT_SIZE).into_iter().collect(),
        };
        let Place { root, workdir, folders } = Place::find(root::Asked {
            artifact: &artifact,
            code: code.clone(),
            base: base.as_deref(),
            in_its_folder: start == Start::Notebook,
            arguments: &arguments,
            current: asked.current,
            home: asked.home,
            root: asked.root,
            results: &asked.choice.results,
        })?;
        let inside = artifact.strip_prefix(&root).ok().and_then(Path::to_str).ok_or_else(|| {
            Error::invalid(format!("the path of {} is not UTF-8", artifact.display()))
                .hint("rename its folder")
        })?;
        if !artifact.canonicalize().is_ok_and(|target| target.starts_with(&root)) {
            return Err(Error::invalid(format!(
                "{} is a link that leads out of {}",
                artifact.display(),
                root.display()
            ))
            .hint("give the path of the file itself, or choose a folder that contains both with --root"));
        }
        let script = code
            .first()
            .filter(|_| start != Start::Notebook && start != Start::Shell)
            .map(|text| (artifact.as_path(), text.as_str()));
        let search = dependencies::Search { root: &root, folders: &folders, script, choice: asked.choice };
        let mut found = dependencies::of(&search, asked.wanted)?;
        let origin = found.dependencies.iter().filter(|found| found.anchor.starts_with(&root));
        let keep: Vec<&str> = origin.map(|found| found.origin.as_str()).chain([inside]).collect();
        let own = inside.strip_suffix(name).unwrap_or_default().trim_end_matches('/');
        let files::Listing { mut files, folders: empty_folders, in_code, left, chosen, .. } =
            files::list(&root, &keep, asked.choice)?;
        let recipe = Recipe::read(folder, &|file| {
            Path::new(own).join(RECIPE_FOLDER).join(file).to_str().is_some_and(|path| chosen.contains(path))
        })?;
        if recipe.is_some() {
            let recipe = Path::new(own).join(RECIPE_FOLDER);
            files.retain(|file| !Path::new(&file.path).starts_with(&recipe));
        }
        let own = Own::new(&root, inside, &files);
        let needed = imports::needed(&code, start == Start::Notebook, inside, &own);
        let modules = own.tops();
        dependencies::complete(&mut found, &root, needed, asked.wanted)?;
        let dependencies::Found { dependencies, told, mut notes, unsure } = found;
        Ok(Self {
            modules,
            files,
            empty_folders,
            passwords_in_code: in_code,
            left,
            recipe,
            artifact: inside.to_owned(),
            workdir,
            start,
            tag: tag_of_artifact(folder, name),
            python: python::of(&folders, dependencies.as_ref(), &mut notes)?,
            package: Package::read(&root, &folders),
            told,
            notes,
            unsure,
            folders,
            dependencies,
            root,
        })
    }

    /// Whether no file of the project declares dependencies.
    pub fn takes_none(&self) -> bool {
        self.dependencies.as_ref().is_none_or(|found| found.form == Form::None)
    }

    /// Returns facts for hints if its script fails.
    pub fn known(&self) -> KnownProject {
        KnownProject {
            modules: self.modules.clone(),
            origin: self.dependencies.as_ref().map(|found| found.origin.clone()).unwrap_or_default(),
        }
    }

    /// The total size in bytes of all files that are sent.
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Whether it takes long to read and to send.
    pub fn is_large(&self) -> bool {
        let (bytes, files) = LARGE;
        self.size() > bytes || self.files.len() > files
    }

    /// The folder of the artifact.
    pub fn folder(&self) -> PathBuf {
        let artifact = self.root.join(&self.artifact);
        artifact.parent().unwrap_or(&self.root).to_owned()
    }

    /// Describes the artifact for the runner: how to start it, and in which folder.
    pub fn description(&self) -> serde_json::Value {
        let mut description = self.start.description();
        description["artifact"] = json!(self.artifact);
        description["folder"] = json!(self.workdir);
        description
    }
}

/// Returns the logins that the dependency files of a folder request, one line each: see [`Indexes::claims`]. Files that
/// cannot be read request none: the run that needs them fails.
pub fn login_claims(environment: &PackageEnvironment, folder: &Path) -> BTreeSet<String> {
    let folders = [folder.to_owned()];
    let choice = Choice::default();
    let search = dependencies::Search { root: folder, folders: &folders, script: None, choice: &choice };
    let found = dependencies::of(&search, &Wanted::default()).unwrap_or_default();
    let indexes = Indexes::read(environment, &folders, found.dependencies.as_ref());
    indexes.map(|indexes| indexes.claims()).unwrap_or_default()
}

/// Returns the tag. A package has its own name, not that of the file that starts it.
fn tag_of_artifact(folder: &Path, name: &str) -> String {
    match (folder.parent(), folder.file_name().and_then(|name| name.to_str())) {
        (Some(above), Some(package)) if name == "__main__.py" => tag_of(above, package),
        _ => tag_of(folder, name),
    }
}
