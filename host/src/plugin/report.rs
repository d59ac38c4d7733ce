//! What drivers tell the host.

use url::Url;

use crate::config::Location;

/// Where the image must be for the service to run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The service needs no image.
    None,
    /// The engine that built it.
    Engine,
    /// A registry's repository.
    Repository {
        /// Without a tag.
        address: String,
        /// In a dry run: it is not there yet.
        to_be_made: bool,
    },
}

/// One thing found by a check.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// The run would fail.
    Problem {
        /// What is wrong.
        message: String,
        /// What the user can do.
        fix: String,
    },
    /// The run may disappoint.
    Warning {
        /// What may be wrong.
        message: String,
        /// What the user can do.
        fix: String,
    },
    /// Worth knowing.
    Note(String),
    /// What the run costs.
    Cost {
        /// At most, in dollars; none where it is not known.
        most: Option<f64>,
        /// What that was reckoned from, or why it is not known.
        basis: String,
    },
}

impl Finding {
    /// The run would fail.
    pub fn is_problem(&self) -> bool {
        matches!(self, Self::Problem { .. })
    }
}

/// The life of a job, the same for every service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The service has it, but has not begun.
    Queued,
    /// It runs.
    Running,
    /// It was asked to stop.
    Stopping,
    /// It ended well.
    Completed,
    /// It ended badly.
    Failed,
    /// It was stopped.
    Stopped,
}

impl State {
    /// As the user reads it and the record keeps it.
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

    /// It will not change any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Stopped)
    }
}

/// A job's state now.
#[derive(Clone, Debug, PartialEq)]
pub struct JobStatus {
    /// The state.
    pub state: State,
    /// The service's own word for it.
    pub detail: Option<String>,
    /// Why it failed or stopped.
    pub reason: Option<String>,
    /// Of the training script.
    pub exit_code: Option<i32>,
    /// What it went through.
    pub phases: Vec<Phase>,
    /// What the service charges for.
    pub billable_seconds: Option<u64>,
    /// What that comes to, in dollars.
    pub cost: Option<f64>,
    /// On how many machines it runs.
    pub nodes: u32,
    /// In so many seconds it is worth asking again, where the driver says.
    pub ask_again: Option<u32>,
    /// The same for its log.
    pub read_log_again: Option<u32>,
    /// It ended for a reason of the service's.
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
    /// A state of which nothing more is known.
    pub fn new(state: State) -> Self {
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

/// A result of a job, and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Which result.
    pub kind: ArtifactKind,
    /// Where it lies.
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
    /// As the user reads it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::OutputData => "output data",
            Self::Checkpoints => "checkpoints",
        }
    }
}

/// Where a result lies, and as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A `.tar.gz`.
    Archive(Archive),
    /// File by file.
    Folder(Folder),
}

/// Where an archive lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Archive {
    /// In the job's folder; relative to it.
    JobFile(String),
    /// In S3.
    S3(Location),
    /// On the web.
    Web(Url),
}

/// Where files lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Folder {
    /// All below a place in S3.
    S3(Location),
    /// On the web: their names, sizes in bytes, and addresses.
    Web(Vec<(String, u64, Url)>),
}
