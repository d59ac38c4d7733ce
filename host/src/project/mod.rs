//! A training folder understood: the training artifact, its dependencies, and which files may leave the machine.
//! Reads the folder, touches nothing, knows no network.

mod files;
mod tag;

use std::path::{Path, PathBuf};

use crate::error::{Context, Error, Kind, Result};

pub use files::File;
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
    /// The file that lists the dependencies, relative to the folder.
    pub requirements: Option<String>,
    /// The files that may leave the machine, sorted by path.
    pub files: Vec<File>,
}

impl Project {
    /// Looks at an artifact and its folder. `requirements` names another file than the `requirements.txt` beside
    /// the artifact.
    ///
    /// # Errors
    /// There is no such file, or it is neither a script nor a notebook.
    pub fn open(path: &Path, requirements: Option<&Path>) -> Result<Self> {
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
        if notebook {
            check_notebook(&artifact)?;
        }
        let requirements = requirements_of(folder, requirements)?;
        let keep: Vec<&str> = requirements.iter().map(String::as_str).chain([name]).collect();
        Ok(Self {
            files: files::list(folder, &keep)?,
            artifact: name.to_owned(),
            notebook,
            tag: tag_of(folder, name)?,
            requirements,
            folder: folder.to_owned(),
        })
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

/// Finds out now what papermill would say only after the image is built.
fn check_notebook(path: &Path) -> Result<()> {
    let text = std::fs::read(path).context(|| format!("cannot read {}", path.display()))?;
    let notebook: serde_json::Value = serde_json::from_slice(&text).map_err(|error| {
        Error::invalid(format!("{} is not a notebook: it is not JSON", path.display()))
            .source(error)
            .hint("open it in Jupyter and save it again")
    })?;
    if notebook["cells"].is_array() && notebook["nbformat"].as_u64() >= Some(4) {
        return Ok(());
    }
    Err(Error::invalid(format!("{} is not a notebook of format 4", path.display()))
        .hint("open it in Jupyter and save it again: that brings it up to date"))
}

fn requirements_of(folder: &Path, given: Option<&Path>) -> Result<Option<String>> {
    let Some(given) = given else {
        let beside = "requirements.txt";
        return Ok(folder.join(beside).is_file().then(|| beside.to_owned()));
    };
    let path = given.canonicalize().map_err(|error| {
        Error::new(Kind::NotFound, format!("cannot read the requirements file {}", given.display()))
            .hint("--env-file takes a path from the current folder")
            .source(error)
    })?;
    let inside = path.strip_prefix(folder).ok().and_then(Path::to_str);
    inside.map(|inside| Some(inside.to_owned())).ok_or_else(|| {
        Error::invalid(format!("{} lies outside of the training folder", given.display()))
            .hint(format!("move it into {}", folder.display()))
    })
}
