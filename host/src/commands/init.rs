use std::path::PathBuf;

use serde_json::json;

use super::{completions, packages::Packages, training::ArtifactArguments};
use crate::{
    config::{AskedSecrets, Assignment},
    error::Result,
    job::{self, Context, Fit, Told},
    plugin::DriverKind,
};

/// Write the Dockerfile and runner that `fit` would use, for you to edit
///
/// Writes them to the folder `alekseylearn` beside the artifact. `fit` then builds with them, whatever the build driver.
/// Delete the folder to undo this. Only `init` and `copy` write to a training folder.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    artifact: ArtifactArguments,

    /// Driver that would build the image (default: that of alekseylearn.toml, else `local`)
    #[arg(long, alias = "build_driver", value_name = "NAME", add = completions::drivers(&[DriverKind::Build]))]
    build_driver: Option<String>,

    /// Set an option of the build driver; also written --config.KEY=VALUE or --config.KEY VALUE
    #[arg(short = 'c', long = "config", value_name = "KEY=VALUE")]
    options: Vec<Assignment>,

    #[command(flatten)]
    packages: Packages,

    /// Folder to send (default: the nearest folder at or above the artifact with a .git, pyproject.toml or similar)
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,

    /// Replace existing files
    #[arg(long)]
    overwrite: bool,
}

const EXAMPLES: &str = "\
Examples:
  Write the files, edit them, and train with them:
    alekseylearn init models/train.py
    $EDITOR models/alekseylearn/Dockerfile
    alekseylearn fit models/train.py

  Use another base image:
    alekseylearn init models/train.py --config.base_image=python:3.12-slim";

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<()> {
    let fit = Fit {
        artifact: arguments.artifact.named(),
        wanted: arguments.packages.wanted(),
        root: arguments.root,
        include: Vec::new(),
        told: Told::default(),
        flags: Vec::new(),
        build_driver: arguments.build_driver,
        train_driver: None,
        options: arguments.options,
        build_anew: false,
        dry_run: true,
        secrets: AskedSecrets::default(),
        trust: false,
    };
    let written = job::init(context, &fit, arguments.overwrite).await?;
    let shown = |path: &PathBuf| {
        let near = path.strip_prefix(&context.environment.current).unwrap_or(path);
        format!("  {}", near.display())
    };
    let lines: Vec<String> = written.iter().map(shown).collect();
    let text = format!("`fit` now builds with these files:\n{}", lines.join("\n"));
    context.ui.result(&text, json!({ "files": written }));
    Ok(())
}
