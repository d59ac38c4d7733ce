//! Jobs: their record, and the flows that submit, follow and fetch them. Drivers are used only through the contract.

mod advice;
mod check;
mod diff;
mod ending;
mod fetch;
mod fetch_manifest;
mod findings;
mod fit;
mod follow;
mod home;
mod installed;
mod kept_back;
mod left;
mod log;
mod metrics;
pub mod name;
mod outage;
mod pace;
mod plan;
mod push;
mod recipe;
mod record;
mod report;
mod reproduce;
mod secrets;
mod submit;
mod task;
mod told;
mod trust;

use std::sync::Arc;

pub use crate::capability::{docker::Step, transfer::Downloaded};
pub use advice::typed;
pub use check::{Checked, check};
pub use diff::diff;
pub use ending::end_of;
pub use fetch::{Fetch, fetch, has_unfetched};
pub use fetch_manifest::FetchManifest;
pub use fit::fit;
pub use follow::{Ended, Ending, follow, goes_on, look, print_logs, wait_for_end};
pub use left::{Left, left};
pub use metrics::told as told_metrics;
pub use plan::{ImagePlan, InEngine, Plan, Push, init, plan};
pub use recipe::{in_the_way, write as write_recipe, write_files};
pub use record::{Claim, Details, Entry, Order, Outcome, Query, Record, RecordedState};
pub use report::{Report, report};
pub use reproduce::{Again, reproduce};
pub use submit::Submission;
pub use task::{DEFAULT_DRIVER, Fit};
pub use told::{Told, flag};
pub use trust::{claims_of_folder, trust_own_dockerfile};

use crate::{
    config::{Location, OptionSpec, OptionType, Values},
    environment::Environment,
    error::{Error, Kind, Result},
    plugin::{DriverKind, Job, Origin, Plugins, TrainDriver},
    ui::Ui,
};

/// What every flow needs.
pub struct Context {
    /// The environment of this process.
    pub environment: Environment,
    /// The output for the user.
    pub ui: Arc<Ui>,
    /// The plugins and their drivers.
    pub plugins: Plugins,
    /// Clients of services, for what the host does itself: pushing and fetching.
    pub services: Arc<crate::plugin::Services>,
}

/// A job and its driver.
pub struct JobHandle<'a> {
    /// Its entry in the record; `None` for a job that another machine submitted.
    pub entry: Option<Entry>,
    /// The job as its driver sees it.
    pub job: Job,
    /// Its driver.
    pub driver: TrainDriver<'a>,
}

impl Entry {
    /// Returns the driver of the job: the plugin that submitted it, in any version.
    ///
    /// # Errors
    /// The plugin is not installed, or another plugin has its name now.
    pub async fn driver<'a>(&self, context: &'a Context) -> Result<TrainDriver<'a>> {
        let Details { driver_identity: was, driver_digest: digest, .. } = &self.details;
        let again = was
            .as_ref()
            .map(|was| format!("install {was} again; `alekseylearn plugin list` shows what is installed"));
        let driver = context.plugins.train_driver(&self.driver).await.map_err(|error| match &again {
            Some(again) if error.kind() == Kind::NotFound => error.hint(again),
            _ => error,
        })?;
        let is_the_same = match was {
            Some(was) => was.admits(driver.identity()),
            None => digest.as_ref() == Some(&driver.digest()) || driver.is_shipped(),
        };
        if is_the_same {
            return Ok(driver);
        }
        let was = was.as_ref().map_or_else(|| format!("another {}", self.driver), ToString::to_string);
        let message = format!(
            "the job {} was submitted by {was}, and {} is another plugin",
            self.name,
            driver.identity()
        );
        let error = Error::new(Kind::Denied, message);
        Err(match again {
            Some(again) => error.hint(again),
            None => error.hint(
                "install the plugin that submitted it; `alekseylearn plugin list` shows what is installed",
            ),
        })
    }
}

impl Context {
    /// Returns a job by its name, or the newest with a tag.
    ///
    /// # Errors
    /// There is no such job in the record, or it runs on another engine, account or region than this terminal uses.
    pub async fn known(&self, record: &Record, name_or_tag: &str) -> Result<JobHandle<'_>> {
        let entry = record.find(name_or_tag, &self.environment.current)?;
        let driver = entry.driver(self).await?;
        let options = Values::new(driver.chosen(&driver.options().await?, &[]), &entry.assignments())?;
        // An ended job is complete in the record, so it does not matter which account this terminal uses.
        if entry.finished.is_none() {
            entry.details.home.check(self, &entry.name, options.aws()).await?;
        }
        let job = Job {
            name: entry.name.clone(),
            reference: entry.reference.clone(),
            tag: entry.tag.clone(),
            options: Arc::new(options),
            secrets: entry.details.secrets.clone(),
            found_at: None,
            folder: record.folder(&entry.name)?,
        };
        Ok(JobHandle { entry: Some(entry), job, driver })
    }

    /// Returns the newest job with a tag that left a model under a location, also one that another machine submitted.
    /// `driver` defaults to the one whose options accept such locations.
    ///
    /// # Errors
    /// There is no such job, or there are several such drivers.
    pub async fn found_under(
        &self,
        record: &Record,
        driver: Option<&str>,
        tag: &str,
        location: &Location,
    ) -> Result<JobHandle<'_>> {
        let driver = match driver {
            Some(name) => self.plugins.train_driver(name).await?,
            None => self.driver_of_places(&location.scheme).await?,
        };
        let found = driver.find(location, &name::prefix(tag)).await?;
        let newest = found.iter().filter_map(|job| Some((name::time_of(job, tag)?, job))).max();
        let (_, name) = newest.ok_or_else(|| {
            Error::new(Kind::NotFound, format!("no job with the tag `{tag}` has a model under {location}"))
                .hint("check that the path is the output_path that the job was submitted with")
        })?;
        // The record decides which driver a job belongs to, never the driver that found it.
        if record.get(name)?.is_some() {
            return self.known(record, name).await;
        }
        let job = Job {
            name: name.clone(),
            reference: None,
            tag: tag.to_owned(),
            options: Arc::new(Values::of_location(location.clone())),
            secrets: Vec::new(),
            found_at: Some(location.clone()),
            folder: record.folder(name)?,
        };
        Ok(JobHandle { entry: None, job, driver })
    }

    /// Returns the train driver whose options accept locations with a scheme. Shipped drivers take precedence.
    async fn driver_of_places(&self, scheme: &str) -> Result<TrainDriver<'_>> {
        let mut listed = self.plugins.list().await?;
        listed.retain(|driver| driver.kind == DriverKind::Train);
        let mut found = Vec::new();
        for driver in listed {
            let specs = self.plugins.train_driver(&driver.name).await?.options().await?;
            // A location that a driver only reads from has no results.
            let takes = |spec: &OptionSpec| {
                spec.kind == OptionType::Location && spec.schemes.iter().any(|taken| taken == scheme)
            };
            if specs.iter().any(takes) {
                found.push(driver);
            }
        }
        if found.iter().any(|driver| driver.origin == Origin::Shipped) {
            found.retain(|driver| driver.origin == Origin::Shipped);
        }
        match &found[..] {
            [only] => self.plugins.train_driver(&only.name).await,
            [] => Err(Error::new(Kind::NotFound, format!("no driver stores results at {scheme}://")).hint(
                "install the plugin that trained it; `alekseylearn driver list` shows what is installed",
            )),
            several => {
                let names: Vec<&str> = several.iter().map(|driver| driver.name.as_str()).collect();
                Err(Error::invalid(format!("several drivers store results at {scheme}://"))
                    .hint(format!("choose one with --train-driver: {}", names.join(", "))))
            }
        }
    }
}
