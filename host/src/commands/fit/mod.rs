mod dry_run;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;

use super::training::Training;
use crate::{
    config::Defaults,
    error::Result,
    job::{self, Context, Ending, Fetch, FetchManifest, JobHandle, Left, Record, Submission},
    plugin::JobState,
    ui::duration,
};

/// Train a script or notebook
///
/// Builds an image of the training artifact, its project and the project's dependencies, runs it on the train driver's
/// service, and shows its log until it ends. Ctrl-C detaches: the job keeps running.
///
/// The script runs in the current folder if that is in the project, with the arguments after `--`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) training: Training,

    /// Build a new image even if nothing changed; with --fetch, replace existing files
    #[arg(long)]
    overwrite: bool,

    /// Check the run, and show what would be built, sent and requested, without doing it
    #[arg(long, alias = "dry_run", conflicts_with_all = ["detach", "fetch", "overwrite"])]
    dry_run: bool,

    /// Return as soon as the job is submitted
    #[arg(long, conflicts_with = "fetch")]
    detach: bool,

    /// Download the model to this folder when the job has completed
    #[arg(long, value_name = "DIR")]
    fetch: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  Train on this machine, as in the cloud:
    alekseylearn fit models/train.py --fetch ./out

  Train on SageMaker:
    alekseylearn fit models/train.py --train-driver sagemaker \\
        --config.output_path=s3://bucket/path --config.role_name=role

  Pass arguments to the script:
    alekseylearn fit src/train.py -- --epochs 10 --no-accel data.csv

  Set hyperparameters, which SageMaker shows and can tune; one without a value is a flag:
    alekseylearn fit models/train.py --config.hyperparameters.epochs=10 --config.hyperparameters.fp16

`alekseylearn driver show NAME` lists a driver's options.";

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<()> {
    train(context, arguments, &[]).await
}

/// Trains. If another command runs this one, `ran` shows the user what it ran.
pub(super) async fn train(context: &Context, arguments: Arguments, ran: &[String]) -> Result<()> {
    let fit = arguments.training.asked(arguments.overwrite, arguments.dry_run);
    if arguments.dry_run {
        return dry_run::run(context, &fit).await;
    }
    let fetch = match &arguments.fetch {
        None if !arguments.detach => Defaults::read(&context.environment)?.fetch()?,
        named => named.clone(),
    };
    if let Some(folder) = fetch.as_deref().filter(|_| !arguments.overwrite) {
        tell_of_changes(context, folder);
    }
    let record = Record::open(&context.environment)?;
    // The record already holds a request under way: an equal run requests the same job.
    let hint = "run the same command again to resume; what was built is kept";
    let submission = super::interruptible(job::fit(context, &record, &fit), hint).await?;
    let after =
        After { detach: arguments.detach, fetch: fetch.as_deref(), overwrite: arguments.overwrite, ran };
    see_through(context, &record, &submission, &after).await
}

/// Warns before the training that the download would not replace an earlier model, because the user changed it.
fn tell_of_changes(context: &Context, folder: &Path) {
    let earlier = FetchManifest::of(&context.environment, folder);
    if let Some(changed) = earlier.changed() {
        context.ui.warning(&format!(
            "{} was changed after the model of {} was downloaded: it is kept, and a new model with a file of that name will \
             not be downloaded to {}; use --fetch with another folder, or --overwrite to replace it",
            changed.display(),
            earlier.job,
            folder.display()
        ));
    }
}

/// What to do after a job was submitted.
pub(super) struct After<'a> {
    /// Return at once.
    pub(super) detach: bool,
    /// Download its model to this folder.
    pub(super) fetch: Option<&'a Path>,
    /// Replace existing files there.
    pub(super) overwrite: bool,
    /// The commands that another command ran for the user, to show with the result.
    pub(super) ran: &'a [String],
}

/// Follows a submitted job to its end, and reports the outcome.
pub(super) async fn see_through(
    context: &Context,
    record: &Record,
    submission: &Submission<'_>,
    after: &After<'_>,
) -> Result<()> {
    let known = &submission.known;
    let name = &known.job.name;
    if submission.resumed {
        context
            .ui
            .warning(&format!("resuming {name}, which an earlier run started before it was interrupted"));
    }
    if after.detach {
        detached(context, known);
        return record.told(name);
    }
    match job::follow(context, record, known).await? {
        Ending::Detached => detached(context, known),
        Ending::Ended(ended) => {
            if let Err(error) = job::end_of(known, &ended).await {
                record.told(name)?;
                return Err(error);
            }
            // If the download fails, the end is not acknowledged: the same command again downloads the model.
            completed(context, record, known, after).await?;
        }
    }
    record.told(name)
}

fn detached(context: &Context, known: &JobHandle<'_>) {
    let name = &known.job.name;
    let text = format!(
        "The job {name} keeps running.\n  \
         follow its log:  alekseylearn logs -f {name}\n  \
         show its state:  alekseylearn status {name}\n  \
         stop it:         alekseylearn stop {name}\n  \
         get its model:   alekseylearn fetch ./out {name}"
    );
    context.ui.result(&text, json!({ "job": name, "state": "detached" }));
}

async fn completed(
    context: &Context,
    record: &Record,
    known: &JobHandle<'_>,
    after: &After<'_>,
) -> Result<()> {
    let name = &known.job.name;
    let state = JobState::Completed.name();
    let details = record.get(name)?.map(|entry| entry.details).unwrap_or_default();
    let metrics = job::told_metrics(&details.metrics);
    let measured =
        if metrics.is_empty() { String::new() } else { format!("\n{}", context.ui.metrics_table(&metrics)) };
    let outcome = &details.outcome;
    let billed = outcome.billable_seconds.map_or_else(String::new, |seconds| {
        let cost =
            outcome.cost_usd.map_or_else(|| "; cost unknown".to_owned(), |cost| format!(", {cost:.2} USD"));
        format!("\nBilled: {}{cost}", duration(Duration::from_secs(seconds)))
    });
    let measured = format!("{measured}{billed}");
    let mut data = json!({
        "job": name,
        "state": state,
        "metrics": metrics,
        "billable_seconds": outcome.billable_seconds,
        "cost_usd": outcome.cost_usd,
        "results": details.left,
    });
    let Some(folder) = after.fetch else {
        let next = what_next(name, details.left.as_ref());
        context.ui.result(&format!("The job {name} completed.{measured}\n{next}"), data);
        return Ok(());
    };
    let fetch = Fetch {
        folder,
        no_extract: false,
        output_data: false,
        checkpoints: false,
        overwrite: after.overwrite,
        replace_earlier: true,
        may_be_nothing: true,
    };
    let hint = format!("the job {name} completed; download its model with `alekseylearn fetch DIR {name}`");
    let fetched = super::interruptible(job::fetch(context, known, &fetch), &hint).await?;
    data["folder"] = json!(folder);
    data["files"] = json!(fetched.brought.files);
    data["bytes"] = json!(fetched.brought.size);
    let told = if fetched.brought.files.is_empty() {
        what_next(name, Some(&details.left.unwrap_or_default()))
    } else {
        super::fetch::told(folder, &fetched.brought)
    };
    let ran = match after.ran {
        [] => String::new(),
        commands => {
            data["ran"] = json!(commands);
            format!("\nChange the script, and train it again:\n  {}", commands.join("\n  "))
        }
    };
    context.ui.result(&format!("The job {name} completed.{measured}\n{told}{ran}"), data);
    Ok(())
}

/// How to download what a completed job left.
fn what_next(name: &str, left: Option<&Left>) -> String {
    match left {
        Some(left) if left.model.count > 0 => {
            let what = left.model.summary();
            format!("Download its model ({what}):\n  alekseylearn fetch ./out {name}")
        }
        Some(left) if left.output_data.count > 0 => {
            let what = left.output_data.summary();
            format!(
                "It left no model. Download its output data ({what}):\n  alekseylearn fetch ./out {name} --output-data"
            )
        }
        Some(_) => "It left no model.".to_owned(),
        None => format!("Download its model:\n  alekseylearn fetch ./out {name}"),
    }
}
