use super::completions;
use crate::{
    error::Result,
    job::{self, Context, Record},
};

/// Print what a job wrote
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A job's name, or a tag such as models/train for its newest job
    #[arg(add = completions::jobs_and_tags())]
    job: String,

    /// Go on until the job ends; Ctrl-C leaves it alone
    #[arg(short, long)]
    follow: bool,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let record = Record::open(&context.environment)?;
    let known = context.known(&record, &arguments.job).await?;
    job::print_logs(context, &record, &known, arguments.follow).await
}
