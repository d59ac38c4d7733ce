//! Collects everything about a job for its HTML report.

use std::collections::BTreeMap;

use super::{
    Context, Entry, JobHandle, Outcome, Record,
    left::Machines,
    log::Log,
    look,
    metrics::{Metrics, Series},
};
use crate::error::{Error, Kind, Result};

/// Maximum size of the log in a report, in bytes: a browser must be able to show it. The end of the log is kept.
const MAX_LOG: usize = 8 << 20;

/// The content of a job's report.
pub struct Report {
    /// The job's entry in the record.
    pub entry: Entry,
    /// What the service reports, or its last answer if it cannot be reached.
    pub outcome: Outcome,
    /// The metrics in the log.
    pub metrics: BTreeMap<String, Series>,
    /// The log, or the end of it: time, node and text of each line.
    pub log: Vec<(Option<u64>, String, String)>,
    /// Number of earlier lines that were left out.
    pub left_out: usize,
}

/// Asks the service for a job's state and log.
///
/// # Errors
/// Another machine submitted the job, or its service refuses to answer.
pub async fn report(context: &Context, record: &Record, known: &JobHandle<'_>) -> Result<Report> {
    let entry = known.entry.clone().ok_or_else(|| {
        Error::new(Kind::NotFound, format!("the job {} is not in the record of this machine", known.job.name))
    })?;
    let status = match look(record, known).await {
        Ok(status) => Some(status),
        Err(error) if error.kind() == Kind::Unavailable => {
            context.ui.warning(&format!("the report shows the last known state: {}", error.chain()));
            None
        }
        Err(error) => return Err(error),
    };
    let many = status.as_ref().is_some_and(|status| status.nodes > 1);
    let mut metrics = Metrics::new(known.job.options.metrics());
    let mut left = Machines::default();
    let mut log = std::collections::VecDeque::new();
    let (mut size, mut left_out) = (0, 0);
    let mut pages = Log::default();
    loop {
        let page = match pages.page(known).await {
            Ok(page) => page,
            // A job that never ran has no log.
            Err(error) if error.kind() == Kind::NotFound => break,
            Err(error) => {
                context.ui.warning(&format!("the log in the report is incomplete: {}", error.chain()));
                break;
            }
        };
        for line in page.lines {
            if left.take(&line.node, &line.text) {
                continue;
            }
            metrics.read(many.then_some(&line.node), line.time, &line.text);
            size += line.text.len();
            log.push_back((line.time, line.node, line.text));
        }
        while size > MAX_LOG
            && let Some((_, _, text)) = log.pop_front()
        {
            size -= text.len();
            left_out += 1;
        }
        if page.drained {
            break;
        }
    }
    let metrics =
        if metrics.series().is_empty() { entry.details.metrics.clone() } else { metrics.series().clone() };
    record.measured(&entry.name, &metrics)?;
    if status.as_ref().is_some_and(|status| status.state.is_final()) {
        record.left(&entry.name, left.together().as_ref())?;
    }
    let entry = record.get(&entry.name)?.unwrap_or(entry);
    let outcome = status.as_ref().map_or_else(|| entry.details.outcome.clone(), Outcome::from);
    Ok(Report { entry, outcome, metrics, log: log.into(), left_out })
}
