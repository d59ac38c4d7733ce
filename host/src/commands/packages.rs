//! The options for packages, shared by all commands that read a project.

use std::path::PathBuf;

use crate::project::Wanted;

// A doc comment would be the help of the commands that take these.
#[derive(Debug, clap::Args)]
pub(super) struct Packages {
    /// Dependency file to install from: requirements.txt, uv.lock, pyproject.toml, environment.yml, Pipfile …
    #[arg(long, aliases = ["env_file", "envfile"], value_name = "FILE")]
    env_file: Option<PathBuf>,

    /// Additional package to install, such as tqdm or `tqdm>=4`
    #[arg(long, value_name = "PACKAGE")]
    with: Vec<String>,

    /// Extra of pyproject.toml to install
    #[arg(long, value_name = "NAME")]
    extra: Vec<String>,

    /// Dependency group of pyproject.toml to install
    #[arg(long, value_name = "NAME")]
    group: Vec<String>,

    /// Do not install packages that the code imports but the project does not declare
    #[arg(long)]
    no_detect: bool,

    /// Install package versions of this day, such as 2023-05-31, unless a lock file names them
    #[arg(long, value_name = "DATE")]
    as_of: Option<String>,
}

impl Packages {
    /// Converts the options for the job.
    pub(super) fn wanted(self) -> Wanted {
        Wanted {
            env_file: self.env_file,
            with: self.with,
            extras: self.extra,
            groups: self.group,
            no_detect: self.no_detect,
            as_of: self.as_of,
        }
    }
}
