//! The arguments that define a training, shared by all commands that take one.

use std::path::PathBuf;

use super::{completions, packages::Packages};
use crate::{
    config::{AskedSecrets, Assignment, FLAG},
    job::{Fit, Told, flag},
    plugin::DriverKind,
    project::Named,
};

// A doc comment would be the help of the commands that take these.
#[derive(Debug, clap::Args)]
pub(super) struct Training {
    #[command(flatten)]
    artifact: ArtifactArguments,

    /// Driver that builds the image (default: that of alekseylearn.toml, else `local`, or `daemonless` if no Docker engine
    /// answers and the training runs elsewhere)
    #[arg(long, alias = "build_driver", value_name = "NAME", add = completions::drivers(&[DriverKind::Build]))]
    pub(super) build_driver: Option<String>,

    /// Driver that runs the training (default: that of alekseylearn.toml, else `local`)
    #[arg(
        long,
        alias = "train_driver",
        value_name = "NAME",
        value_parser = super::driver,
        add = completions::drivers(&[DriverKind::Train])
    )]
    pub(super) train_driver: Option<String>,

    /// Set a driver's option; also written --config.KEY=VALUE or --config.KEY VALUE
    #[arg(short = 'c', long = "config", value_name = "KEY=VALUE")]
    pub(super) options: Vec<Assignment>,

    #[command(flatten)]
    packages: Packages,

    /// Folder to send (default: the nearest folder at or above the artifact with a .git, pyproject.toml or similar)
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,

    /// Send ignored files that match this .gitignore pattern; a secret only by its whole path
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,

    /// Path or pattern of the model, relative to the script's working folder (default: everything the script writes)
    #[arg(long, value_name = "PATH")]
    model: Vec<String>,

    #[command(flatten)]
    secrets: SecretArguments,

    /// Trust what the project's own alekseylearn.toml, Dockerfile and dependency files ask for
    #[arg(long)]
    trust: bool,

    #[command(flatten)]
    script: ScriptArguments,
}

/// The arguments that name the training artifact.
#[derive(Debug, clap::Args)]
pub(super) struct ArtifactArguments {
    /// Training artifact: a script (.py, .sh), a notebook (.ipynb), package.module:function or a command of the project
    #[arg(add = completions::artifacts(), required_unless_present = "module", conflicts_with = "module")]
    path: Option<PathBuf>,

    /// Run a module of the project, as `python -m` does
    #[arg(short, long, value_name = "MODULE")]
    module: Option<String>,
}

impl ArtifactArguments {
    /// Converts the arguments for the job.
    pub(super) fn named(self) -> Named {
        match self.module {
            Some(module) => Named::Module(module),
            None => Named::Path(self.path.unwrap_or_default()),
        }
    }
}

/// The arguments of the script.
#[derive(Debug, clap::Args)]
pub(super) struct ScriptArguments {
    /// Hyperparameter without a value
    #[arg(long = FLAG, value_name = "NAME", hide = true)]
    flags: Vec<String>,

    /// Arguments for the script, as you would type them after its name
    #[arg(last = true, value_name = "ARGUMENTS")]
    arguments: Vec<String>,
}

impl ScriptArguments {
    /// All arguments of the script; flags come first.
    pub(super) fn of_script(&self) -> Vec<String> {
        self.flags.iter().map(|name| flag(name)).chain(self.arguments.iter().cloned()).collect()
    }
}

/// Secrets for the script.
#[derive(Debug, clap::Args)]
pub(super) struct SecretArguments {
    /// Secret for the script: your environment variable NAME, or the content of a file. Only the name is recorded; logs show
    /// `***`, except for values of fewer than 4 characters
    #[arg(long = "secret", value_name = "NAME[=file:PATH]")]
    named: Vec<String>,

    /// File of secrets, with NAME=VALUE lines
    #[arg(long, alias = "secrets_file", value_name = "FILE")]
    secrets_file: Vec<PathBuf>,
}

impl SecretArguments {
    /// As the flow takes them.
    pub(super) fn asked(self) -> AskedSecrets {
        AskedSecrets { named: self.named, files: self.secrets_file }
    }
}

impl Training {
    /// Converts the arguments for the job. A dry run changes nothing.
    pub(super) fn asked(self, build_anew: bool, dry_run: bool) -> Fit {
        Fit {
            artifact: self.artifact.named(),
            wanted: self.packages.wanted(),
            root: self.root,
            include: self.include,
            told: Told { arguments: self.script.arguments, model: self.model },
            flags: self.script.flags,
            build_driver: self.build_driver,
            train_driver: self.train_driver,
            options: self.options,
            build_anew,
            dry_run,
            secrets: self.secrets.asked(),
            trust: self.trust,
        }
    }
}
