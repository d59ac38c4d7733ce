//! The host's side of the contract's `run` interface: trainings and jobs.

use std::{path::PathBuf, sync::Arc};

use crate::{
    config::{Location, SecretValues, Values},
    project::{Dependencies, Indexes, Project, Python},
};

/// One training that is to become a job. A driver sees only what the contract's `training` exposes.
#[derive(Debug)]
pub struct Training {
    /// The project.
    pub project: Arc<Project>,
    /// The options of the called driver.
    pub options: Arc<Values>,
    /// The name of the future job.
    pub job_name: String,
    /// Environment variables for the runner, with the user's settings for this run.
    pub runner_environment: Vec<(String, String)>,
    /// Variables that the host itself gives to the job: a driver sees their names only.
    pub secrets: Arc<SecretValues>,
    /// The image, at the train driver's destination; `None` before the build.
    pub image: Option<String>,
    /// The certificates that this network needs, in PEM.
    pub certificates: Option<String>,
    /// The package indexes of its dependencies.
    pub indexes: Arc<Indexes>,
    /// Whether to build a new image even if nothing changed.
    pub build_anew: bool,
    /// Whether this is a dry run, which must not create, start or change anything.
    pub dry_run: bool,
}

/// One job that was submitted.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its name, the same for alekseylearn and the service.
    pub name: String,
    /// The result of `submit`; `None` if the program ended before it returned.
    pub reference: Option<String>,
    /// The training artifact's tag.
    pub tag: String,
    /// The options of its submission.
    pub options: Arc<Values>,
    /// The names of its secrets.
    pub secrets: Vec<String>,
    /// Where it was found; `None` for a job of this machine.
    pub found_at: Option<Location>,
    /// The job's folder, which the driver sees as `/job`.
    pub folder: PathBuf,
}

/// A training, shared by the handles of a guest.
pub type SharedTraining = Arc<Training>;
/// A job, shared by the handles of a guest.
pub type SharedJob = Arc<Job>;
/// Options, shared by the handles of a guest.
pub type OptionValues = Arc<Values>;
/// The dependencies of a project, shared by the handles of a guest.
pub type SharedDependencies = Arc<Dependencies>;
/// The Python versions that a project asks for, shared by the handles of a guest.
pub type SharedPython = Arc<Python>;
