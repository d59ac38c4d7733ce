use std::time::Duration;

use serde_json::json;

use super::completions;
use crate::{
    error::{Error, Kind, Result},
    job::{self, Context, Record},
    ui::duration,
};

/// Stop a job
///
/// The script receives SIGTERM and, on most services, has two minutes to save its work. Waits for the job to end, and
/// shows what it left.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Name of a job, or a tag such as models/train for its newest job
    #[arg(add = completions::jobs_and_tags())]
    job: String,

    /// Return as soon as the service has the request
    #[arg(long)]
    detach: bool,

    /// Seconds to wait for the job to end
    #[arg(long, value_name = "SECONDS", default_value_t = 600, conflicts_with = "detach")]
    wait: u64,
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
    let most = Duration::from_secs(arguments.wait);
    context.ui.stage(&if arguments.detach {
        format!("Stopping {name}")
    } else {
        format!("Stopping {name}: waiting up to {} for its end", duration(most))
    });
    known.driver.stop(&known.job).await?;
    let after = if arguments.detach {
        job::look(&record, &known).await?
    } else {
        let end = job::wait_for_end(context, &record, &known, most);
        let hint = format!("it is still stopping: `alekseylearn status {name}` shows when it has ended");
        super::interruptible(end, &hint).await?.ok_or_else(|| {
            let late = format!("the job {name} did not end within {} of the stop request", duration(most));
            Error::new(Kind::Unavailable, late).hint(&hint)
        })?
    };
    let state = after.state.name();
    let fetch = format!("`alekseylearn fetch ./out {name}` downloads");
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
