use std::time::Duration;

use serde_json::json;

use crate::{
    error::Result,
    job::{Context, Record},
    ui::{duration, table},
};

/// List the jobs that this machine submitted
///
/// The states are those last seen; `alekseylearn status JOB` asks the service.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// As many as this
    #[arg(short = 'n', long, default_value_t = 20)]
    most: usize,

    /// Only those of this tag, such as models/train
    tag: Option<String>,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let record = Record::open(&context.environment)?;
    let mut jobs = record.all()?;
    jobs.retain(|job| arguments.tag.as_ref().is_none_or(|tag| job.tag == *tag));
    jobs.truncate(arguments.most);
    let rows: Vec<[String; 5]> = jobs
        .iter()
        .map(|job| {
            let seconds = job.seconds().and_then(|seconds| seconds.try_into().ok()).unwrap_or(0);
            let started = job.created.get(..16).unwrap_or(&job.created).replace('T', " ");
            [job.name.clone(), job.driver.clone(), job.state.clone(), started, duration(Duration::from_secs(seconds))]
        })
        .collect();
    let text = match rows.is_empty() {
        true => "no jobs yet: `alekseylearn fit PATH` submits one".to_owned(),
        false => table(["JOB", "DRIVER", "STATE", "SUBMITTED (UTC)", "TIME"], &rows),
    };
    context.ui.result(&text, json!({ "jobs": jobs }));
    Ok(())
}
