use std::time::Duration;

use serde_json::json;

use super::completions;
use crate::{
    error::{Error, Result},
    job::{self, Context, Entry, Record},
    ui::duration,
};

/// List the jobs that this machine submitted
///
/// Asks the services for the states of those that have not ended; where one does not answer in time, the state is
/// the one last seen.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// As many as this
    #[arg(short = 'n', long, default_value_t = 20)]
    most: usize,

    /// Only those of this tag, such as models/train
    #[arg(add = completions::tags())]
    tag: Option<String>,
}

/// A list that does not come at once is no use.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let record = Record::open(&context.environment)?;
    let list = || -> Result<Vec<Entry>> {
        let mut jobs = record.all()?;
        jobs.retain(|job| arguments.tag.as_ref().is_none_or(|tag| job.tag == *tag));
        jobs.truncate(arguments.most);
        Ok(jobs)
    };
    let refresh = async {
        for entry in list()?.iter().filter(|entry| entry.finished.is_none()) {
            let asked = async { job::look(&record, &context.known(&record, &entry.name).await?).await };
            if let Err(error) = asked.await {
                context.ui.detail(&format!("{}: {}", entry.name, error.chain()));
            }
        }
        Ok::<(), Error>(())
    };
    if tokio::time::timeout(PATIENCE, refresh).await.is_err() {
        context.ui.detail("a service did not answer in time");
    }
    let jobs = list()?;
    let rows: Vec<[String; 5]> = jobs
        .iter()
        .map(|job| {
            let seconds = job.seconds().and_then(|seconds| seconds.try_into().ok()).unwrap_or(0);
            let started = job.created.get(..16).unwrap_or(&job.created).replace('T', " ");
            [
                job.name.clone(),
                job.driver.clone(),
                job.state.clone(),
                started,
                duration(Duration::from_secs(seconds)),
            ]
        })
        .collect();
    let text = match rows.is_empty() {
        true => "no jobs yet: `alekseylearn fit PATH` submits one".to_owned(),
        false => context.ui.table(["JOB", "DRIVER", "STATE", "SUBMITTED (UTC)", "TIME"], &rows),
    };
    context.ui.result(&text, json!({ "jobs": jobs }));
    Ok(())
}
