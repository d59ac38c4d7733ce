//! All that is known of a job, gathered for a page that tells it.

use std::collections::BTreeMap;

use super::{
    Context, Entry, Known, Outcome, Record,
    left::Machines,
    log::Log,
    look,
    metrics::{Metrics, Series},
};
use crate::error::{Error, Kind, Result};

/// As much of the end of a log as a page holds: a browser must be able to show it.
const LONGEST_LOG: usize = 8 << 20;

/// A job and what became of it.
pub struct Report {
    /// Its record.
    pub entry: Entry,
    /// What its service says of it; what that said last, where it does not answer.
    pub outcome: Outcome,
    /// What the log says of the training.
    pub metrics: BTreeMap<String, Series>,
    /// The log's end, or all of it: time, node and text of each line.
    pub log: Vec<(Option<u64>, String, String)>,
    /// As many lines before these were left out.
    pub left_out: usize,
}

/// Asks the service for a job's state and log.
///
/// # Errors
/// Another machine submitted it, or its service refuses to tell of it.
pub async fn report(context: &Context, record: &Record, known: &Known<'_>) -> Result<Report> {
    let entry = known.entry.clone().ok_or_else(|| {
        Error::new(Kind::NotFound, format!("this machine knows nothing of {}", known.job.name))
    })?;
    let status = match look(record, known).await {
        Ok(status) => Some(status),
        Err(error) if error.kind() == Kind::Unavailable => {
            context.ui.warning(&format!("the page tells what was seen last: {}", error.chain()));
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
            // A job that never ran has none.
            Err(error) if error.kind() == Kind::NotFound => break,
            Err(error) => {
                context.ui.warning(&format!("the page has no whole log: {}", error.chain()));
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
        while size > LONGEST_LOG
            && let Some((_, _, text)) = log.pop_front()
        {
            size -= text.len();
            left_out += 1;
        }
        if page.drained {
            break;
        }
    }
    let metrics = match metrics.series().is_empty() {
        true => entry.details.metrics.clone(),
        false => metrics.series().clone(),
    };
    record.measured(&entry.name, &metrics)?;
    if status.as_ref().is_some_and(|status| status.state.is_final()) {
        record.left(&entry.name, left.together().as_ref())?;
    }
    let entry = record.get(&entry.name)?.unwrap_or(entry);
    let outcome = status.as_ref().map_or_else(|| entry.details.outcome.clone(), Outcome::from);
    Ok(Report { entry, outcome, metrics, log: log.into(), left_out })
}
