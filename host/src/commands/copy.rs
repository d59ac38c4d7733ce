use std::path::{Path, PathBuf};

use serde_json::json;

use crate::{
    error::{Context as _, Error, Kind, Result},
    job::{self, Context},
    project::{RECIPE_FOLDER, Recipe},
};

/// Bring the Dockerfile and runner of one experiment's folder into another's
///
/// Copies what `init` wrote, and what you put beside it: the folder `alekseylearn`. Nothing else: defaults in an
/// alekseylearn.toml count for all folders below it already.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLE)]
pub(super) struct Arguments {
    /// The folder of an experiment, or its training artifact
    from: PathBuf,

    /// The folder of the new experiment, or its training artifact
    to: PathBuf,

    /// Replace files that are in the way
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
    let recipe = Recipe::read(&from)?.ok_or_else(|| {
        let place = arguments.from.display();
        Error::new(Kind::NotFound, format!("{place} has no Dockerfile of its own"))
            .hint(format!("`alekseylearn init` writes one for an artifact in {place}"))
    })?;
    let recipe = Recipe { folder: to.join(RECIPE_FOLDER), ..recipe };
    let written = job::write_recipe(&recipe, arguments.overwrite)?;
    job::trust_own_dockerfile(context, &to)?;
    let text = format!("`fit` builds by {} from now on.", recipe.dockerfile_path().display());
    context.ui.result(&text, json!({ "files": written }));
    Ok(())
}

/// The folder, also where the artifact in it is named.
fn folder(context: &Context, path: &Path) -> Result<PathBuf> {
    let resolved = context.environment.resolve(path);
    let folder = match resolved.parent() {
        Some(parent) if resolved.is_file() => parent.to_owned(),
        _ => resolved,
    };
    if !folder.is_dir() {
        return Err(Error::new(Kind::NotFound, format!("there is no folder {}", path.display()))
            .hint("give the folder of an experiment, or its training artifact"));
    }
    folder.canonicalize().context(|| format!("cannot read {}", path.display()))
}
