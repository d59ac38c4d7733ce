use std::path::{Path, PathBuf};

use serde_json::json;

use crate::{
    error::{Context as _, Error, Kind, Result},
    job::{self, Context},
    project::{RECIPE_FOLDER, Recipe},
};

/// Copy the Dockerfile and runner of one experiment to another
///
/// Copies the folder `alekseylearn`: the files that `init` wrote, and those that you added. Defaults in alekseylearn.toml
/// are not copied, because they already apply to all folders below it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLE)]
pub(super) struct Arguments {
    /// Folder of the existing experiment, or its training artifact
    from: PathBuf,

    /// Folder of the new experiment, or its training artifact
    to: PathBuf,

    /// Replace existing files
    #[arg(long)]
    overwrite: bool,
}

const EXAMPLE: &str = "\
Example:
  alekseylearn copy models/first models/second
  alekseylearn fit models/second/train.py";

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let from = folder(context, &arguments.from)?;
    let to = folder(context, &arguments.to)?;
    let recipe = Recipe::read(&from, &|_| true)?.ok_or_else(|| {
        let place = arguments.from.display();
        Error::new(Kind::NotFound, format!("{place} has no Dockerfile of its own"))
            .hint(format!("run `alekseylearn init PATH` for an artifact in {place} to write one"))
    })?;
    let recipe = Recipe { folder: to.join(RECIPE_FOLDER), ..recipe };
    let written = job::write_recipe(&recipe, arguments.overwrite)?;
    job::trust_own_dockerfile(context, &to, Some(&from))?;
    let text = format!("`fit` now builds with {}.", recipe.dockerfile_path().display());
    context.ui.result(&text, json!({ "files": written }));
    Ok(())
}

/// The folder itself, or the folder of an artifact.
fn folder(context: &Context, path: &Path) -> Result<PathBuf> {
    let resolved = context.environment.resolve(path);
    let folder = match resolved.parent() {
        Some(parent) if resolved.is_file() => parent.to_owned(),
        _ => resolved,
    };
    if !folder.is_dir() {
        return Err(Error::new(Kind::NotFound, format!("no folder {}", path.display()))
            .hint("give the folder of an experiment, or its training artifact"));
    }
    folder.canonicalize().context(|| format!("cannot read {}", path.display()))
}
