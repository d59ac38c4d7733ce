use std::path::{Path, PathBuf};

use serde_json::json;

use super::completions;
use crate::{
    config::Location,
    error::{Error, Kind, Result},
    job::{self, Context, Downloaded, Fetch, JobHandle, Record},
    plugin::DriverKind,
    ui::{self, bytes},
};

/// Download a job's model
///
/// Writes what the training left in /opt/ml/model to DIR, and nothing outside of it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Folder to write to; created if it is missing
    dir: PathBuf,

    /// Name of a job, or a tag such as models/train for its newest job
    #[arg(add = completions::jobs_and_tags())]
    job: String,

    /// The job's output_path; with it, jobs submitted from other machines are found too
    #[arg(value_name = "LOCATION")]
    location: Option<Location>,

    /// Driver that trained the job (default: the one whose results are at such a location)
    #[arg(
        long,
        alias = "train_driver",
        value_name = "NAME",
        requires = "location",
        value_parser = super::driver,
        add = completions::drivers(&[DriverKind::Train])
    )]
    train_driver: Option<String>,

    /// Do not unpack archives
    #[arg(long, alias = "no_extract")]
    no_extract: bool,

    /// Also download /opt/ml/output/data, to DIR/output-data
    #[arg(long, alias = "output_data")]
    output_data: bool,

    /// Also download the checkpoints, to DIR/checkpoints
    #[arg(long)]
    checkpoints: bool,

    /// Replace existing files
    #[arg(long)]
    overwrite: bool,
}

const EXAMPLES: &str = "\
Examples:
  The newest job of models/train.py:
    alekseylearn fetch ./out models/train

  The same, submitted from any machine, by its output_path:
    alekseylearn fetch ./out models/train s3://bucket/path

  The same on Vertex AI:
    alekseylearn fetch ./out models/train gs://bucket/path

  An executed notebook, even if a cell failed:
    alekseylearn fetch ./out models/explore --output-data

  The checkpoints of an interrupted training:
    alekseylearn fetch ./out models/train --checkpoints";

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let record = Record::open(&context.environment)?;
    let known = match &arguments.location {
        Some(location) => {
            context.found_under(&record, arguments.train_driver.as_deref(), &arguments.job, location).await?
        }
        None => context.known(&record, &arguments.job).await?,
    };
    // A job found by its location has left a model. Its service may have forgotten it, or not know this user.
    if known.job.found_at.is_none() {
        refuse_unfinished(&record, &known).await?;
    }
    let folder = context.environment.resolve(&arguments.dir);
    let fetch = Fetch {
        folder: &folder,
        no_extract: arguments.no_extract,
        output_data: arguments.output_data,
        checkpoints: arguments.checkpoints,
        overwrite: arguments.overwrite,
        replace_earlier: false,
        may_be_nothing: false,
    };
    let fetched = super::interruptible(job::fetch(context, &known, &fetch), "nothing was written").await?;
    context.ui.result(
        &told(&arguments.dir, &fetched.brought),
        json!({ "job": known.job.name, "folder": folder, "files": fetched.brought.files, "bytes": fetched.brought.size }),
    );
    Ok(())
}

async fn refuse_unfinished(record: &Record, known: &JobHandle<'_>) -> Result<()> {
    let status = job::look(record, known).await?;
    if status.state.is_final() {
        return Ok(());
    }
    let name = &known.job.name;
    Err(Error::new(Kind::Conflict, format!("the job {name} is still {}", status.state.name()))
        .hint(format!("run `alekseylearn logs -f {name}` to wait for its end")))
}

/// The downloaded files as text: the names of a few, or the number of many.
pub(super) fn told(folder: &Path, brought: &Downloaded) -> String {
    const FEW: usize = 10;
    let count = brought.files.len();
    let files = if count == 1 { "1 file".to_owned() } else { format!("{count} files") };
    let mut lines = vec![format!("{files}, {}, in {}", bytes(brought.size), folder.display())];
    if count <= FEW {
        lines.extend(brought.files.iter().map(|file| format!("  {}", folder.join(file).display())));
    }
    ui::lines(lines)
}
