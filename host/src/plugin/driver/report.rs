//! The types that drivers report to the host.

use url::Url;

use crate::config::Location;

/// Where the image must be for the service to run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The service needs no image.
    None,
    /// In the engine that built it.
    Engine,
    /// In a registry's repository.
    Repository {
        /// The repository's address, without a tag.
        address: String,
        /// In a dry run: whether it does not exist yet.
        to_be_made: bool,
    },
}

/// One finding of a check.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// A reason why the run would fail.
    Problem {
        /// What is wrong.
        message: String,
        /// What the user can do.
        fix: String,
    },
    /// A reason why the run may not do what the user expects.
    Warning {
        /// What may be wrong.
        message: String,
        /// What the user can do.
        fix: String,
    },
    /// A note.
    Note(String),
    /// The cost of the run.
    Cost {
        /// The maximum, in US dollars; `None` if it is not known.
        most: Option<f64>,
        /// How it was estimated, or why it is not known.
        basis: String,
    },
}

impl Finding {
    /// Whether it is a problem.
    pub fn is_problem(&self) -> bool {
        matches!(self, Self::Problem { .. })
    }
}

/// The state of a job, the same for every service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// The service accepted it but has not started it.
    Queued,
    /// It is running.
    Running,
    /// It was asked to stop.
    Stopping,
    /// It succeeded.
    Completed,
    /// It failed.
    Failed,
    /// It was stopped.
    Stopped,
}

impl JobState {
    /// All states.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::Stopping, Self::Completed, Self::Failed, Self::Stopped];

    /// The name in output and in the record.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }

    /// Whether the state is final.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Stopped)
    }
}

/// The status of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct JobStatus {
    /// The state.
    pub state: JobState,
    /// The service's own word for it.
    pub detail: Option<String>,
    /// Why it failed or stopped.
    pub reason: Option<String>,
    /// The exit code of the training script.
    pub exit_code: Option<i32>,
    /// The phases of the job so far.
    pub phases: Vec<Phase>,
    /// The seconds that the service charges for.
    pub billable_seconds: Option<u64>,
    /// The cost of that, in US dollars.
    pub cost: Option<f64>,
    /// The number of machines that it runs on.
    pub nodes: u32,
    /// After how many seconds to poll the status again; `None` if the driver does not say.
    pub ask_again: Option<u32>,
    /// After how many seconds to poll the log again; `None` if the driver does not say.
    pub read_log_again: Option<u32>,
    /// Whether it ended because of the service, not because of the training.
    pub by_service: bool,
}

/// One phase of a job, in milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Phase {
    /// The service's name for it.
    pub name: String,
    /// When it began.
    pub start: u64,
    /// When it ended, if it has.
    pub end: Option<u64>,
}

impl JobStatus {
    /// A status with only a state.
    pub fn new(state: JobState) -> Self {
        Self {
            state,
            detail: None,
            reason: None,
            exit_code: None,
            phases: Vec::new(),
            billable_seconds: None,
            cost: None,
            nodes: 1,
            ask_again: None,
            read_log_again: None,
            by_service: false,
        }
    }
}

/// A result of a job, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Which result.
    pub kind: ArtifactKind,
    /// Where it is.
    pub place: Place,
}

/// Which result of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArtifactKind {
    /// What the training wrote to `/opt/ml/model`.
    Model,
    /// What the training wrote to `/opt/ml/output/data`.
    OutputData,
    /// What the training wrote to `/opt/ml/checkpoints`.
    Checkpoints,
}

impl ArtifactKind {
    /// The name in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::OutputData => "output data",
            Self::Checkpoints => "checkpoints",
        }
    }
}

/// Where a result is, and in which form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A `.tar.gz` archive.
    Archive(Archive),
    /// Single files.
    Folder(Folder),
}

/// Where an archive is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Archive {
    /// In the job's folder, with a path relative to it.
    JobFile(String),
    /// In S3.
    S3(Location),
    /// On the web.
    Web(Url),
}

/// Where files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Folder {
    /// All objects below a location in S3.
    S3(Location),
    /// On the web: names, sizes in bytes, and addresses.
    Web(Vec<(String, u64, Url)>),
}
