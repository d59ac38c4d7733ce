//! From an image to a job that its service has: recorded before it is asked for, and asked for once.

use std::{path::Path, sync::Arc, time::UNIX_EPOCH};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{
    Claim, Context, Details, Entry, Known, Record, SUBMITTING, goes_on, home::Home, kept_back, task::Task,
};
use crate::{
    config::Values,
    error::{Error, Kind, Result},
    plugin::{Job, State, TrainDriver},
    project,
    ui::Event,
};

/// A job that the service has, and that belongs to this run until [`Record::told`].
pub struct Submission<'a> {
    /// The job and its driver.
    pub known: Known<'a>,
    /// An earlier run had begun it, and was cut off.
    pub resumed: bool,
    /// Keeps an equal run from going on with it too.
    _claim: Claim,
}

/// All that a submission needs.
pub(super) struct Ready<'a> {
    pub(super) trainer: TrainDriver<'a>,
    pub(super) training: Task,
    pub(super) options: Arc<Values>,
    /// Where the train driver asked for it; none where it needs none.
    pub(super) image: Option<String>,
    /// A name of all that is trained: equal for an equal run.
    pub(super) content: String,
    pub(super) details: Details,
}

/// Records the job and asks its service for it.
pub(super) async fn submit<'a>(
    context: &'a Context,
    record: &Record,
    ready: Ready<'a>,
) -> Result<Submission<'a>> {
    let Entered { claim, earlier } = enter(context, record, &ready).await?;
    let Ready { trainer, mut training, options, image, details, .. } = ready;
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
            let kept = record.submitted(name, &reference, State::Queued.name());
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
    let known = Known { entry, job, driver: trainer };
    Ok(Submission { known, resumed, _claim: claim })
}

/// A job in the record, and this run's.
struct Entered {
    claim: Claim,
    /// What an earlier run of the same had begun, before it was cut off.
    earlier: Option<Entry>,
}

/// Records the job before the service is asked. Where an equal run was cut off, its job is gone on with: the same name
/// makes it the same job. A run that lives keeps its own.
async fn enter(context: &Context, record: &Record, ready: &Ready<'_>) -> Result<Entered> {
    let Ready { trainer, training, options, image, content, details } = ready;
    let driver = trainer.name();
    let mut content = format!("{content}{}", serde_json::json!(training.told.environment(options)));
    // Not their values: who reads the record could try out what they are.
    for name in training.secrets.names() {
        content.push_str(&format!("\0secret {name}"));
    }
    // Another plugin of the name does not go on with this one's job.
    let fingerprint = fingerprint(&trainer.identity().to_string(), &content, options);
    for entry in record.untold(&fingerprint)? {
        if let Err(elsewhere) = entry.details.home.check(context, &entry.name, options.aws()).await {
            context.ui.warning(&format!("{}: this is a new job", elsewhere.chain()));
            continue;
        }
        let Some(claim) = record.claim(&entry.name)? else { continue };
        // The run that it belonged to may have come to its end just now.
        if let Some(entry) = record.get(&entry.name)?.filter(|entry| !entry.told) {
            return Ok(Entered { claim, earlier: Some(entry) });
        }
    }
    let claim = record.claim(&training.job_name)?.ok_or_else(|| {
        Error::new(Kind::Conflict, format!("another run has taken the name {}", training.job_name))
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
        state: SUBMITTING.to_owned(),
        reason: None,
        created: Timestamp::now().to_string(),
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
    Ok(Entered { claim, earlier: None })
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
        // One that is gone is the driver's to refuse, or is not asked for any more.
        for file in project::data(Path::new(folder)).unwrap_or_default() {
            // Not its content: where data is read in place, no run need wait until all of it was read for this.
            let changed = file.source.metadata().and_then(|known| known.modified()).ok();
            let since = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
            hash.update(format!("{}\0{}\0{}\0", file.path, file.size, since.as_nanos()));
        }
    }
    hex::encode(hash.finalize())
}

/// The service has said no. After any other error it may have the job: the record keeps it, and the next equal run asks
/// for the same one.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), Kind::Invalid | Kind::Denied | Kind::NotFound | Kind::Quota | Kind::Unsupported)
}

/// Nobody knows whether the service has the job.
fn uncertain(name: &str, error: Error) -> Error {
    let again =
        format!("the service may have the job {name}: run the same command again, which asks for that one");
    let hint = match error.hint_text() {
        Some(hint) => format!("{hint}; {again}"),
        None => again,
    };
    error.hint(hint)
}

/// A refused job never was.
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
    fn other_data_make_another_run() {
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
