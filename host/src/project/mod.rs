//! A training folder understood: the training artifact, its dependencies, and which files may leave the machine.
//! Reads the folder, touches nothing, knows no network.

mod dependencies;
mod files;
#[cfg(any(test, fuzzing))]
mod fuzz;
mod imports;
mod indexes;
mod notebook;
mod python;
mod recipe;
mod rules;
mod tag;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::error::{Error, Kind, Result};

pub use dependencies::{Content, Dependencies, Form};

pub use files::{File, Left, data};
#[cfg(any(test, fuzzing))]
pub use fuzz::FUZZ;
pub use imports::package_of;
pub use indexes::Indexes;
use notebook::Notebook;
pub use python::Python;
pub use recipe::{RECIPE_FOLDER, RUNNER, Recipe};
pub use rules::Reason;
pub use tag::tag_of;

/// A training artifact in its folder.
#[derive(Debug)]
pub struct Project {
    /// The folder, absolute.
    pub folder: PathBuf,
    /// The artifact's name in the folder.
    pub artifact: String,
    /// It is a Jupyter notebook.
    pub notebook: bool,
    /// The image's name: the folder's and the artifact's, as `models/train`.
    pub tag: String,
    /// What is to be installed.
    pub dependencies: Option<Dependencies>,
    /// Where nothing says what to install: the packages that the code seems to need.
    pub proposal: Vec<String>,
    /// The Python that the project asks for.
    pub python: Option<Python>,
    /// The files that may leave the machine, sorted by path.
    pub files: Vec<File>,
    /// The others, by what keeps them at home.
    pub left: BTreeMap<Reason, Left>,
    /// The user's own Dockerfile, and what goes with it; not among `files`.
    pub recipe: Option<Recipe>,
}

impl Project {
    /// One of which only the image is left: nothing of its folder is known.
    pub fn of_image(artifact: &Path, tag: &str) -> Self {
        let name = artifact.file_name().unwrap_or_default();
        Self {
            folder: artifact.parent().unwrap_or(Path::new("/")).to_owned(),
            artifact: name.to_string_lossy().into_owned(),
            notebook: artifact.extension().is_some_and(|extension| extension == "ipynb"),
            tag: tag.to_owned(),
            dependencies: None,
            proposal: Vec::new(),
            python: None,
            files: Vec::new(),
            left: BTreeMap::new(),
            recipe: None,
        }
    }

    /// Looks at an artifact and its folder. `env_file` names another dependency file than the one that would be found.
    ///
    /// # Errors
    /// There is no such file, or it is neither a script nor a notebook.
    pub fn open(path: &Path, env_file: Option<&Path>) -> Result<Self> {
        let artifact = path.canonicalize().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Error::new(Kind::NotFound, format!("there is no file {}", path.display()))
                    .hint("give the path of a training script (.py) or notebook (.ipynb)")
            }
            _ => Error::invalid(format!("cannot read {}", path.display())).source(error),
        })?;
        let notebook = notebook_or_script(&artifact)?;
        let (Some(folder), Some(name)) =
            (artifact.parent(), artifact.file_name().and_then(|name| name.to_str()))
        else {
            return Err(Error::invalid(format!("{} has no name that can be used", path.display()))
                .hint("rename it to something in UTF-8"));
        };
        let book = if notebook { Some(Notebook::read(&artifact)?) } else { None };
        let dependencies = dependencies::of(folder, env_file)?;
        let origin = dependencies.iter().filter(|found| found.inside).map(|found| found.origin.as_str());
        let keep: Vec<&str> = origin.chain([name]).collect();
        let recipe = Recipe::read(folder)?;
        let files::Listing { mut files, left } = files::list(folder, &keep)?;
        for file in &mut files {
            clean(file, dependencies.as_ref());
        }
        if recipe.is_some() {
            files.retain(|file| !Path::new(&file.path).starts_with(RECIPE_FOLDER));
        }
        let proposal = match (&dependencies, &book) {
            (Some(_), _) => Vec::new(),
            (None, Some(book)) => imports::packages(book.code(), folder, &files),
            (None, None) => imports::packages(fs::read_to_string(&artifact).into_iter(), folder, &files),
        };
        Ok(Self {
            proposal,
            files,
            left,
            recipe,
            artifact: name.to_owned(),
            notebook,
            tag: tag_of(folder, name)?,
            python: python::of(folder, dependencies.as_ref())?,
            dependencies,
            folder: folder.to_owned(),
        })
    }
}

/// A list of dependencies goes into the image as code, too, and then without the logins in it.
fn clean(file: &mut File, dependencies: Option<&Dependencies>) {
    const LARGEST: u64 = 1 << 20;
    let is_it = |content: &Content| matches!(content, Content::File(known) if known.source == file.source && known.cleaned.is_some());
    let known = dependencies.is_some_and(|found| found.files.values().any(is_it));
    if file.link.is_some() || file.size > LARGEST || !known && !dependencies::holds_addresses(&file.path) {
        return;
    }
    let Ok(text) = fs::read_to_string(&file.source) else { return };
    if let Ok((clean, logins)) = indexes::take_out(&text, &file.path, &|_| Some(String::new()))
        && !logins.is_empty()
    {
        (file.size, file.cleaned) = (clean.len() as u64, Some(clean));
    }
}

fn notebook_or_script(artifact: &Path) -> Result<bool> {
    let wrong = |problem: &str| {
        Err(Error::invalid(format!("{} {problem}", artifact.display()))
            .hint("a training artifact is a Python script (.py) or a Jupyter notebook (.ipynb)"))
    };
    if artifact.is_dir() {
        return wrong("is a folder");
    }
    match artifact.extension().and_then(|extension| extension.to_str()) {
        Some("py") => Ok(false),
        Some("ipynb") => Ok(true),
        _ => wrong("is neither a script nor a notebook"),
    }
}
