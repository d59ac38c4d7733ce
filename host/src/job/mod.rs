//! Jobs: their record, and the flows that make, follow and fetch them. Knows drivers only by the contract's verbs.

mod check;
mod diff;
mod earlier;
mod fetch;
mod fit;
mod follow;
mod installed;
mod metrics;
pub mod name;
mod plan;
mod recipe;
mod record;
mod report;
mod reproduce;
mod submit;
mod trouble;

use std::sync::Arc;

pub use crate::capability::{docker::Step, transfer::Brought};
pub use check::{Checked, check};
pub use diff::diff;
pub use earlier::Earlier;
pub use fetch::{Fetch, fetch, has_unfetched};
pub use fit::{Fit, fit};
pub use follow::{Ending, end_of, follow, look, print_logs, wait_for_end};
pub use metrics::told as told_metrics;
pub use plan::{ImagePlan, InEngine, Plan, Push, init, plan};
pub use recipe::write as write_recipe;
pub use record::{Claim, Details, Entry, Outcome, Record, SUBMITTING};
pub use report::{Report, report};
pub use reproduce::reproduce;
pub use submit::Submission;

use crate::{
    config::{S3Location, Values},
    environment::Environment,
    error::{Error, Kind, Result},
    plugin::{Job, Plugins, TrainDriver},
    ui::Ui,
};

/// What every flow needs.
pub struct Context {
    /// The surroundings.
    pub environment: Environment,
    /// The terminal.
    pub ui: Arc<Ui>,
    /// The drivers.
    pub plugins: Plugins,
    /// The services, for what the host does itself: pushing and fetching.
    pub services: Arc<crate::plugin::Services>,
}

/// A job with its driver, ready to be asked.
pub struct Known<'a> {
    /// Its record; none for a job that another machine submitted.
    pub entry: Option<Entry>,
    /// As its driver sees it.
    pub job: Job,
    /// Its driver.
    pub driver: TrainDriver<'a>,
}

impl Context {
    /// A job by its name, or the newest of a tag.
    ///
    /// # Errors
    /// This machine knows no such job.
    pub async fn known(&self, record: &Record, name_or_tag: &str) -> Result<Known<'_>> {
        let entry = record.find(name_or_tag)?;
        let driver = self.plugins.train_driver(&entry.driver).await?;
        let options = Values::new(driver.name(), &driver.options().await?, &entry.assignments())?;
        let job = Job {
            name: entry.name.clone(),
            reference: entry.reference.clone(),
            tag: entry.tag.clone(),
            options: Arc::new(options),
            folder: record.folder(&entry.name)?,
        };
        Ok(Known { entry: Some(entry), job, driver })
    }

    /// The newest job of a tag that left a model under a location: also one that another machine submitted.
    ///
    /// # Errors
    /// There is none.
    pub async fn found_under(
        &self,
        record: &Record,
        driver: &str,
        tag: &str,
        location: &S3Location,
    ) -> Result<Known<'_>> {
        let driver = self.plugins.train_driver(driver).await?;
        let found = driver.find(location, &name::prefix(tag)).await?;
        let newest = found.iter().filter_map(|job| Some((name::time_of(job, tag)?, job))).max();
        let (_, name) = newest.ok_or_else(|| {
            Error::new(Kind::NotFound, format!("no job of the tag `{tag}` has left a model under {location}"))
                .hint("see whether the path is the output_path that the job was submitted with")
        })?;
        let job = Job {
            name: name.clone(),
            reference: Some(name.clone()),
            tag: tag.to_owned(),
            options: Arc::new(Values::of_location(location.clone())),
            folder: record.folder(name)?,
        };
        Ok(Known { entry: record.get(name)?, job, driver })
    }
}
