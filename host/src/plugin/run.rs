//! What a driver is asked to work on, as the host holds it.

use std::{path::PathBuf, sync::Arc};

use crate::{
    config::{Location, SecretValues, Values},
    project::{Dependencies, Indexes, Project, Python},
};

/// One training on its way to becoming a job. A driver sees only what the contract's `training` tells.
#[derive(Debug)]
pub struct Training {
    /// The training folder.
    pub project: Arc<Project>,
    /// The options of the driver that is called.
    pub options: Arc<Values>,
    /// The name the job is to have.
    pub job_name: String,
    /// Variables by which the runner is told what the user asks of this run.
    pub runner_environment: Vec<(String, String)>,
    /// What the job gets as variables, from the host alone: a driver is told the names.
    pub secrets: Arc<SecretValues>,
    /// The image where the train driver asked for it.
    pub image: Option<String>,
    /// Certificates that this network needs, in PEM.
    pub certificates: Option<String>,
    /// Where its dependencies come from.
    pub indexes: Arc<Indexes>,
    /// The user asked for a new image even where nothing changed.
    pub build_anew: bool,
    /// Only looked at: nothing is to be made, started or changed anywhere.
    pub dry_run: bool,
}

/// One job that was submitted.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its name, the same for alekseylearn and the service.
    pub name: String,
    /// What `submit` gave back.
    pub reference: Option<String>,
    /// The training artifact's tag.
    pub tag: String,
    /// The options that it was submitted with.
    pub options: Arc<Values>,
    /// The names of its secrets.
    pub secrets: Vec<String>,
    /// Where it was found; none for a job of this machine.
    pub found_at: Option<Location>,
    /// The job's folder, which the driver sees as `/job`.
    pub folder: PathBuf,
}

/// A training, shared by the handles that a guest holds of it.
pub type SharedTraining = Arc<Training>;
/// A job, likewise.
pub type SharedJob = Arc<Job>;
/// Options, likewise.
pub type OptionValues = Arc<Values>;
/// What a training folder asks to be installed, likewise.
pub type SharedDependencies = Arc<Dependencies>;
/// The Python that it asks for, likewise.
pub type SharedPython = Arc<Python>;
