//! One job in the record.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Error::FromSqlConversionFailure, Row, types::Type};
use serde::{Deserialize, Serialize};

use super::RecordedState;
use crate::{
    config::{Assignment, Origin, Shown},
    job::{home::Home, left::Left, metrics::Series},
    plugin::{Identity, JobStatus, Phase},
    project::KnownProject,
};

/// A job, as far as this machine knows it.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Its unique name.
    pub name: String,
    /// The image's name.
    pub tag: String,
    /// Absolute path of the training artifact.
    pub artifact: String,
    /// The train driver's name.
    pub driver: String,
    /// The options as the user gave them, without secrets. [`Shown`] masks them in all output.
    #[serde(serialize_with = "Shown::serialize")]
    pub options: Vec<(String, String)>,
    /// Hash of image, driver and options: equal runs have the same.
    pub fingerprint: String,
    /// The image that the job runs.
    pub image: Option<String>,
    /// The driver's name for the job; `None` until the driver has answered.
    pub reference: Option<String>,
    /// Its state when it was last looked at.
    pub state: RecordedState,
    /// Why the job failed.
    pub reason: Option<String>,
    /// When the job was recorded.
    pub created: Timestamp,
    /// When the job was found to have ended.
    pub finished: Option<Timestamp>,
    /// The user knows the outcome: the run that submitted the job finished, or another command reported its end. As
    /// long as this is false, an equal run continues with the job.
    #[serde(skip)]
    pub told: bool,
    /// More about the job.
    #[serde(skip)]
    pub details: Details,
}

/// More about a job, stored as JSON. Fields that only a newer alekseylearn knows are dropped.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// Digest of the train driver's component that submitted the job.
    pub driver_digest: Option<String>,
    /// Identity of the driver's plugin: no other plugin of the same name may use the job's folder.
    pub driver_identity: Option<Identity>,
    /// Name of the build driver.
    pub build_driver: Option<String>,
    /// Options of the build driver as the user gave them, without secrets.
    pub build_options: Vec<(String, String)>,
    /// Absolute path of the project root.
    pub root: Option<String>,
    /// The script's arguments, after its hyperparameters.
    pub arguments: Vec<String>,
    /// The names of its secrets. The values are not recorded.
    pub secrets: Vec<String>,
    /// Paths and patterns of the files that become the model.
    pub model: Vec<String>,
    /// The job that this one runs again.
    pub reproduces: Option<String>,
    /// The hash of all files that were sent.
    pub code: Option<String>,
    /// Where it runs.
    pub home: Home,
    /// Packages in its image, with their versions; `None` if unknown.
    pub installed: Option<Vec<String>>,
    /// Facts about its project.
    pub project: KnownProject,
    /// Metrics in its log, as far as this machine has read it.
    pub metrics: BTreeMap<String, Series>,
    /// The outcome so far, when the service was last asked.
    pub outcome: Outcome,
    /// The files that it left, as listed by the runner; `None` if unknown.
    pub left: Option<Left>,
    /// Its log was already searched for `left`.
    pub left_is_looked_for: bool,
}

/// What a service reports about a job besides its state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// The phases of the job.
    pub phases: Vec<Phase>,
    /// Exit code of the training script.
    pub exit_code: Option<i32>,
    /// Seconds that the service charges for.
    pub billable_seconds: Option<u64>,
    /// Cost in US dollars.
    pub cost_usd: Option<f64>,
    /// Number of machines.
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
    /// Returns only what is known before the job runs.
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
    /// Seconds from the job's submission to its end, or to now.
    pub fn seconds(&self) -> u64 {
        let end = self.finished.unwrap_or_else(Timestamp::now);
        // The clock may have been set back.
        u64::try_from(end.as_second() - self.created.as_second()).unwrap_or(0)
    }

    /// Returns the options, as if they were on the command line.
    pub fn assignments(&self) -> Vec<Assignment> {
        let options = self.options.iter().cloned();
        options.map(|(key, value)| Assignment { key, value, origin: Origin::Record }).collect()
    }
}

/// The columns that [`entry`] reads, in this order.
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
        created: time(10, row.get(10)?)?,
        finished: row.get::<_, Option<String>>(11)?.map(|text| time(11, text)).transpose()?,
        told: row.get(12)?,
        details: serde_json::from_str(&details).unwrap_or_default(),
    })
}

/// A time in a column, in RFC 3339 format.
fn time(column: usize, text: String) -> rusqlite::Result<Timestamp> {
    text.parse().map_err(|error: jiff::Error| FromSqlConversionFailure(column, Type::Text, error.into()))
}
