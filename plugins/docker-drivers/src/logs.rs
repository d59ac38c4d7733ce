//! The merged log of all nodes.
//!
//! A cursor holds the position in each node's log: `{"algo-1": "42"}`.

use std::collections::BTreeMap;

use alekseylearn_sdk::{Error, Job, LogPage, docker};

use crate::nodes;

type Cursors = BTreeMap<String, String>;

pub(crate) fn page(job: &Job, cursor: Option<&str>) -> Result<LogPage, Error> {
    let mut cursors = read(cursor)?;
    let mut lines = Vec::new();
    let mut drained = true;
    for node in nodes::of(&job.options()) {
        let page = match docker::logs(job, &node, cursors.get(&node).map(String::as_str)) {
            Ok(page) => page,
            // Not started yet, or never started.
            Err(Error::NotFound(_)) if node != "algo-1" => continue,
            Err(error) => return Err(error),
        };
        lines.extend(page.lines);
        drained &= page.drained;
        cursors.insert(node, page.cursor);
    }
    // In the order in which they were written.
    lines.sort_by_key(|line| line.time);
    Ok(LogPage { lines, cursor: serde_json::to_string(&cursors).unwrap_or_default(), drained })
}

fn read(cursor: Option<&str>) -> Result<Cursors, Error> {
    let Some(cursor) = cursor else { return Ok(Cursors::new()) };
    serde_json::from_str(cursor)
        .map_err(|error| Error::invalid(format!("`{cursor}` is not a valid cursor: {error}")))
}
