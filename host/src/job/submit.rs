//! Submits a job: it is recorded before its service is asked, and submitted only once.

use std::{path::Path, sync::Arc, time::UNIX_EPOCH};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{
    Claim, Context, Details, Entry, JobHandle, Record, RecordedState, goes_on, home::Home, kept_back,
    task::Task,
};
use crate::{
    config::Values,
    error::{Error, Kind, Result},
    plugin::{Job, JobState, TrainDriver},
    project,
    ui::Event,
};

/// A submitted job, which belongs to this run until [`Record::told`].
pub struct Submission<'a> {
    /// The job and its driver.
    pub known: JobHandle<'a>,
    /// An earlier run that was interrupted had created it.
    pub resumed: bool,
    /// Keeps an equal run from continuing with it, too.
    _claim: Claim,
}

/// All that a submission needs.
pub(super) struct SubmitRequest<'a> {
    pub(super) trainer: TrainDriver<'a>,
    pub(super) training: Task,
    pub(super) options: Arc<Values>,
    /// The image's name; `None` if the train driver needs no image.
    pub(super) image: Option<String>,
    /// Stands for all that is trained: equal for an equal run.
    pub(super) content: String,
    pub(super) details: Details,
}

/// Records the job and submits it.
pub(super) async fn submit<'a>(
    context: &'a Context,
    record: &Record,
    ready: SubmitRequest<'a>,
) -> Result<Submission<'a>> {
    let RecordedJob { claim, earlier } = enter(context, record, &ready).await?;
    let SubmitRequest { trainer, mut training, options, image, details, .. } = ready;
    let resumed = earlier.is_some();
    if let Some(earlier) = &earlier {
        context.plugins.audit().moved(&training.job_name, &earlier.name);
        training.job_name.clone_from(&earlier.name);
    }
    let folder = record.folder(&training.job_name)?;
    context.plugins.audit().begun(&training.job_name);
    match &details.reproduces {
        Some(before) => kept_back::copy(record, before, &training.job_name)?,
        None => kept_back::keep(record, &training.job_name, &training.project)?,
    }
    let reference = match earlier.and_then(|earlier| earlier.reference) {
        Some(reference) => reference,
        None => {
            let submitted = trainer.submit(training.with(&options, image), &folder).await;
            let (reference, used) = submitted.map_err(|error| {
                if !is_refusal(&error) {
                    return uncertain(&training.job_name, error);
                }
                if !resumed {
                    forget(context, record, &training.job_name);
                }
                error
            })?;
            let name = &training.job_name;
            let kept = record.submitted(name, &reference, JobState::Queued);
            let home = Home::of(context, &used, options.aws()).await;
            let kept = kept.and_then(|()| record.runs_at(name, &home));
            kept.map_err(|error| goes_on(name, error))?;
            reference
        }
    };
    context.ui.say(&Event::Submitted { job: &training.job_name, driver: trainer.name() });
    let job = Job {
        name: training.job_name,
        reference: Some(reference),
        tag: training.project.tag.clone(),
        options,
        secrets: training.secrets.names(),
        found_at: None,
        folder,
    };
    let entry = record.get(&job.name).map_err(|error| goes_on(&job.name, error))?;
    let known = JobHandle { entry, job, driver: trainer };
    Ok(Submission { known, resumed, _claim: claim })
}

/// A job in the record that belongs to this run.
struct RecordedJob {
    claim: Claim,
    /// The job of an equal run that was interrupted.
    earlier: Option<Entry>,
}

/// Records the job before the service is asked. If an equal run was interrupted, its job is continued: the same name
/// makes it the same job. A run that has not ended keeps its own job.
async fn enter(context: &Context, record: &Record, ready: &SubmitRequest<'_>) -> Result<RecordedJob> {
    let SubmitRequest { trainer, training, options, image, content, details } = ready;
    let driver = trainer.name();
    let mut content = format!("{content}{}", serde_json::json!(training.told.environment(options)));
    // Names only: with a hash of the values, a reader of the record could guess them.
    for name in training.secrets.names() {
        content.push_str(&format!("\0secret {name}"));
    }
    // Another plugin of the same name must not continue with this job.
    let fingerprint = fingerprint(&trainer.identity().to_string(), &content, options);
    for entry in record.untold(&fingerprint)? {
        if let Err(elsewhere) = entry.details.home.check(context, &entry.name, options.aws()).await {
            context.ui.warning(&format!("{}; submitting a new job", elsewhere.chain()));
            continue;
        }
        let Some(claim) = record.claim(&entry.name)? else { continue };
        // The run that it belonged to may have finished just now.
        if let Some(entry) = record.get(&entry.name)?.filter(|entry| !entry.told) {
            return Ok(RecordedJob { claim, earlier: Some(entry) });
        }
    }
    let claim = record.claim(&training.job_name)?.ok_or_else(|| {
        Error::new(Kind::Conflict, format!("another run uses the job name {}", training.job_name))
            .hint("run the same command again")
    })?;
    let project = &training.project;
    record.add(&Entry {
        name: training.job_name.clone(),
        tag: project.tag.clone(),
        artifact: project.root.join(&project.artifact).display().to_string(),
        driver: driver.to_owned(),
        options: options.given().to_vec(),
        fingerprint,
        image: image.clone(),
        reference: None,
        state: RecordedState::Submitting,
        reason: None,
        created: Timestamp::now(),
        finished: None,
        told: false,
        details: Details {
            root: details.root.clone().or_else(|| Some(project.root.display().to_string())),
            arguments: training.told.arguments.clone(),
            model: training.told.model.clone(),
            secrets: training.secrets.names(),
            ..details.clone()
        },
    })?;
    Ok(RecordedJob { claim, earlier: None })
}

fn fingerprint(driver: &str, content: &str, options: &Values) -> String {
    let mut hash = Sha256::new();
    for part in [driver, content] {
        hash.update(part);
        hash.update([0]);
    }
    for (key, value) in options.given() {
        hash.update(format!("{key}={value}\0"));
    }
    for folder in options.folders() {
        // A missing folder is left to the driver, which refuses it or no longer needs it.
        for file in project::data(Path::new(folder)).unwrap_or_default() {
            // Not its content: if data is read in place, no run should wait until all of it has been hashed.
            let changed = file.source.metadata().and_then(|known| known.modified()).ok();
            let since = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
            hash.update(format!("{}\0{}\0{}\0", file.path, file.size, since.as_nanos()));
        }
    }
    hex::encode(hash.finalize())
}

/// Whether the service refused the job. After any other error it may have the job: the record keeps it, and the next
/// equal run submits the same one.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), Kind::Invalid | Kind::Denied | Kind::NotFound | Kind::Quota | Kind::Unsupported)
}

/// Adds to an error that the service may have the job.
fn uncertain(name: &str, error: Error) -> Error {
    let again =
        format!("the service may have the job {name}: run the same command again to continue with it");
    let hint = match error.hint_text() {
        Some(hint) => format!("{hint}; {again}"),
        None => again,
    };
    error.hint(hint)
}

/// Removes a refused job from the record.
fn forget(context: &Context, record: &Record, name: &str) {
    if let Err(failed) = record.forget(name) {
        context.ui.warning(&failed.chain());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Chosen, OptionSpec, OptionType};

    #[test]
    fn changed_data_makes_another_run() {
        let folder = tempfile::tempdir().unwrap();
        let specs = [OptionSpec::new(OptionType::Inputs, "input".into(), "Data".into())];
        let given = [format!("input.a={}", folder.path().display()).parse().unwrap()];
        let options = Chosen { name: "driver", specs: &specs, defaults: &[], shipped: false };
        let options = Values::new(options, &given).unwrap();
        let now = || fingerprint("driver", "content", &options);
        std::fs::write(folder.path().join("a.csv"), "1").unwrap();
        let before = now();
        assert_eq!(now(), before);
        std::fs::write(folder.path().join("a.csv"), "12").unwrap();
        assert_ne!(now(), before);
    }
}
