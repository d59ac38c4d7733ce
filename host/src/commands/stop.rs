use serde_json::json;

use super::completions;
use crate::{
    error::Result,
    job::{self, Context, Record},
};

/// Stop a job
///
/// The script gets SIGTERM, and two minutes to save what it has.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A job's name, or a tag such as models/train for its newest job
    #[arg(add = completions::jobs_and_tags())]
    job: String,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let record = Record::open(&context.environment)?;
    let known = context.known(&record, &arguments.job).await?;
    let name = &known.job.name;
    let before = job::look(&record, &known).await?;
    if before.state.is_final() {
        let text = format!("the job {name} has already ended: {}", before.state.name());
        context.ui.result(&text, json!({ "job": name, "state": before.state.name() }));
        return Ok(());
    }
    context.ui.stage(&format!("Stopping {name}: its script has two minutes to save what it has"));
    known.driver.stop(&known.job).await?;
    let after = job::look(&record, &known).await?;
    let text = format!(
        "the job {name} is {}; `alekseylearn fetch ./out {name}` brings what it saved",
        after.state.name()
    );
    context.ui.result(&text, json!({ "job": name, "state": after.state.name() }));
    Ok(())
}
