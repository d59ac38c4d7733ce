use super::completions;
use crate::{
    error::Result,
    job::{self, Context, Record},
};

/// Print a job's log
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Name of a job, or a tag such as models/train for its newest job
    #[arg(add = completions::jobs_and_tags())]
    job: String,

    /// Follow the log until the job ends; Ctrl-C does not stop the job
    #[arg(short, long)]
    follow: bool,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let record = Record::open(&context.environment)?;
    let known = context.known(&record, &arguments.job).await?;
    job::print_logs(context, &record, &known, arguments.follow).await
}
