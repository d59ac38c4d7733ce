use serde_json::json;

use super::completions;
use crate::{
    error::Result,
    job::{self, Context, Record},
};

/// Stop a job
///
/// The script gets SIGTERM, and two minutes to save what it has. Waits for the job's end, and says what it left.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A job's name, or a tag such as models/train for its newest job
    #[arg(add = completions::jobs_and_tags())]
    job: String,

    /// Return as soon as the service was asked
    #[arg(long)]
    detach: bool,
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
    let after = match arguments.detach {
        true => job::look(&record, &known).await?,
        false => {
            let end = job::wait_for_end(context, &record, &known);
            let hint = format!("it goes on stopping: `alekseylearn status {name}` tells when it has");
            super::interruptible(end, &hint).await?
        }
    };
    let state = after.state.name();
    let fetch = format!("`alekseylearn fetch ./out {name}` brings");
    if !after.state.is_final() {
        let text = format!("the job {name} is {state}; {fetch} what it saved");
        context.ui.result(&text, json!({ "job": name, "state": state }));
        return Ok(());
    }
    let kept: Vec<&str> =
        known.driver.artifacts(&known.job).await?.iter().map(|one| one.kind.name()).collect();
    let left = match kept.as_slice() {
        [] => "it left nothing".to_owned(),
        ["model"] => format!("it left a model: {fetch} it"),
        kept => format!(
            "it left: {}; {fetch} the model, and with --output-data and --checkpoints the rest",
            kept.join(", ")
        ),
    };
    context.ui.result(
        &format!("the job {name} is {state}; {left}"),
        json!({ "job": name, "state": state, "left": kept }),
    );
    Ok(())
}
