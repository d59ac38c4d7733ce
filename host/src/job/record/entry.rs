//! What the record keeps of one job.

use std::collections::BTreeMap;

use rusqlite::Row;
use serde::{Deserialize, Serialize};

use crate::{
    config::{Assignment, Origin, Shown},
    job::{home::Home, left::Left, metrics::Series},
    plugin::{Identity, JobStatus, Phase},
    project::KnownProject,
};

/// One job, as far as this machine knows it.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Unique.
    pub name: String,
    /// The image's name.
    pub tag: String,
    /// The training artifact, absolute.
    pub artifact: String,
    /// The train driver's name.
    pub driver: String,
    /// The options as the user gave them, secrets left out. They are shown without what [`Shown`] hides.
    #[serde(serialize_with = "Shown::serialize")]
    pub options: Vec<(String, String)>,
    /// What decides whether another run would be the same: image, driver and options.
    pub fingerprint: String,
    /// The image that runs.
    pub image: Option<String>,
    /// What the driver calls the job; none as long as it has not answered.
    pub reference: Option<String>,
    /// `submitting`, or the name of a state.
    pub state: String,
    /// Why it failed.
    pub reason: Option<String>,
    /// RFC 3339.
    pub created: String,
    /// RFC 3339; when the job was seen to have ended.
    pub finished: Option<String>,
    /// The user knows of the job: the run that submitted it came to its own end, or its end was told otherwise. An equal
    /// run goes on with a job that is not told.
    #[serde(skip)]
    pub told: bool,
    /// What else is known of it.
    #[serde(skip)]
    pub details: Details,
}

/// What is known of a job beside its place in the record. Of a record of a newer alekseylearn, the rest is lost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// The digest of the train driver's component that submitted it.
    pub driver_digest: Option<String>,
    /// Who its plugin is: the job's folder is for no other of its name.
    pub driver_identity: Option<Identity>,
    /// The build driver's name.
    pub build_driver: Option<String>,
    /// Its options as the user gave them, secrets left out.
    pub build_options: Vec<(String, String)>,
    /// The root of its project, absolute.
    pub root: Option<String>,
    /// What the script is called with, after its hyperparameters.
    pub arguments: Vec<String>,
    /// The names of its secrets, whose values are kept nowhere.
    pub secrets: Vec<String>,
    /// Paths and patterns of what it leaves as its model.
    pub model: Vec<String>,
    /// The job that it is to be the same as.
    pub reproduces: Option<String>,
    /// The hash of all files that were sent.
    pub code: Option<String>,
    /// Where it runs.
    pub home: Home,
    /// What was installed in its image, by version; none where that is not known.
    pub installed: Option<Vec<String>>,
    /// What is known of its project.
    pub project: KnownProject,
    /// What its log said of the training, as far as this machine has read it.
    pub metrics: BTreeMap<String, Series>,
    /// What its service said of its course, when it was last asked.
    pub outcome: Outcome,
    /// What it left, as the runner said at its end; none if that is not known.
    pub left: Option<Left>,
    /// Its log was read for that, so there is no need to read it again.
    pub left_is_looked_for: bool,
}

/// What a service says of a job beside its state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// What it went through.
    pub phases: Vec<Phase>,
    /// Of the training script.
    pub exit_code: Option<i32>,
    /// What the service charges for.
    pub billable_seconds: Option<u64>,
    /// What that comes to, in dollars.
    pub cost_usd: Option<f64>,
    /// On how many machines it ran.
    pub nodes: u32,
}

impl From<&JobStatus> for Outcome {
    fn from(status: &JobStatus) -> Self {
        Self {
            phases: status.phases.clone(),
            exit_code: status.exit_code,
            billable_seconds: status.billable_seconds,
            cost_usd: status.cost,
            nodes: status.nodes,
        }
    }
}

impl Details {
    /// What is known of a job before it runs.
    pub fn without_outcome(&self) -> Self {
        Self {
            metrics: BTreeMap::new(),
            outcome: Outcome::default(),
            left: None,
            left_is_looked_for: false,
            ..self.clone()
        }
    }
}

impl Entry {
    /// The options, as the command line gives them.
    pub fn assignments(&self) -> Vec<Assignment> {
        let options = self.options.iter().cloned();
        options.map(|(key, value)| Assignment { key, value, origin: Origin::Record }).collect()
    }
}

/// The columns that [`entry`] reads, in its order.
pub(super) const SELECT: &str = "SELECT name, tag, artifact, driver, options, fingerprint, image, reference, state, reason, \
                      created, finished, told, details FROM jobs";

pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let options: String = row.get(4)?;
    let details: String = row.get(13)?;
    Ok(Entry {
        name: row.get(0)?,
        tag: row.get(1)?,
        artifact: row.get(2)?,
        driver: row.get(3)?,
        options: serde_json::from_str(&options).unwrap_or_default(),
        fingerprint: row.get(5)?,
        image: row.get(6)?,
        reference: row.get(7)?,
        state: row.get(8)?,
        reason: row.get(9)?,
        created: row.get(10)?,
        finished: row.get(11)?,
        told: row.get(12)?,
        details: serde_json::from_str(&details).unwrap_or_default(),
    })
}
