//! What names a training on a command line, the same for all commands that look at one.

use std::path::PathBuf;

use super::completions;
use crate::{config::Assignment, job::Fit, plugin::DriverKind};

// A doc comment would be the help of the commands that take these.
#[derive(Debug, clap::Args)]
pub(super) struct Training {
    /// The training artifact: a script (.py) or a notebook (.ipynb)
    #[arg(add = completions::artifacts())]
    path: PathBuf,

    /// Driver that builds the image; `local` where neither this nor alekseylearn.toml names one
    #[arg(long, alias = "build_driver", value_name = "NAME", add = completions::drivers(&[DriverKind::Build]))]
    pub(super) build_driver: Option<String>,

    /// Driver that trains it; `local` where neither this nor alekseylearn.toml names one
    #[arg(long, alias = "train_driver", value_name = "NAME", add = completions::drivers(&[DriverKind::Train]))]
    pub(super) train_driver: Option<String>,

    /// Set a driver's option; also written --config.KEY=VALUE or --config.KEY VALUE
    #[arg(short = 'c', long = "config", value_name = "KEY=VALUE")]
    pub(super) options: Vec<Assignment>,

    /// Dependency file to install from: requirements.txt, uv.lock, poetry.lock, pyproject.toml, environment.yml …
    #[arg(long, aliases = ["env_file", "envfile"], value_name = "FILE")]
    env_file: Option<PathBuf>,

    /// Trust what the project's own alekseylearn.toml and Dockerfile ask for
    #[arg(long)]
    trust: bool,
}

impl Training {
    /// As the flow takes it; a rehearsal starts and changes nothing.
    pub(super) fn asked(self, build_anew: bool, dry_run: bool) -> Fit {
        Fit {
            artifact: self.path,
            env_file: self.env_file,
            build_driver: self.build_driver,
            train_driver: self.train_driver,
            options: self.options,
            build_anew,
            dry_run,
            trust: self.trust,
        }
    }
}
