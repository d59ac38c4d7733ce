use std::path::PathBuf;

use crate::{
    config::Assignment,
    error::Result,
    job::{self, Again, Context, Record},
};

use super::{
    completions,
    fit::{After, see_through},
    training::{ScriptArguments, SecretArguments},
};

/// Re-run an earlier job with the same image
///
/// Uses the job's image by its digest, on the same service with the same options, except those given here. Does not read
/// the training folder or its dependencies. Reads the job's secrets again, by their names, from your environment or from
/// --secret and --secrets-file.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Name of a job, or a tag such as models/train for its newest job
    #[arg(add = completions::jobs_and_tags())]
    job: String,

    /// Change an option of the train driver; also written --config.KEY=VALUE or --config.KEY VALUE
    #[arg(short = 'c', long = "config", value_name = "KEY=VALUE")]
    options: Vec<Assignment>,

    #[command(flatten)]
    secrets: SecretArguments,

    /// Return as soon as the job is submitted
    #[arg(long, conflicts_with = "fetch")]
    detach: bool,

    /// Download the model to this folder when the job has completed
    #[arg(long, value_name = "DIR")]
    fetch: Option<PathBuf>,

    /// With --fetch, replace existing files
    #[arg(long, requires = "fetch")]
    overwrite: bool,

    #[command(flatten)]
    script: ScriptArguments,
}

const EXAMPLES: &str = "\
Examples:
  Re-run the newest job of models/train.py:
    alekseylearn reproduce models/train

  The same with another seed:
    alekseylearn reproduce models-train-20260101-120000-ab12 --config.hyperparameters.seed=2

  The same image with other arguments:
    alekseylearn reproduce models/train -- --epochs 20";

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<()> {
    let record = Record::open(&context.environment)?;
    let entry = record.find(&arguments.job, &context.environment.current)?;
    let again = Again {
        changes: arguments.options,
        arguments: arguments.script.of_script(),
        secrets: arguments.secrets.asked(),
    };
    let reproduced = job::reproduce(context, &record, &entry, again);
    let submission = super::interruptible(reproduced, "run the same command again to resume").await?;
    let after = After {
        detach: arguments.detach,
        fetch: arguments.fetch.as_deref(),
        overwrite: arguments.overwrite,
        ran: &[],
    };
    see_through(context, &record, &submission, &after).await
}
