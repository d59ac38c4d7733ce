//! Reads a job's log streams in CloudWatch, one for each node, as pages of lines.
//!
//! A cursor holds the token of every stream that was read: `{"algo-1-1700000000": "f/…"}` below the job's name. An
//! empty page is not the end of a stream; only the same token twice means that there are no more lines for now.

use std::collections::BTreeMap;

use alekseylearn_sdk::{Error, Job, LogLine, LogPage, cloudwatch_logs};

const GROUP: &str = "/aws/sagemaker/TrainingJobs";
/// Empty pages of a stream after which a page ends. The next call continues.
const MAX_EMPTY: u32 = 10;
/// Lines after which a page ends. The next call returns the rest.
const PAGE_LINES: usize = 10_000;

type Tokens = BTreeMap<String, String>;

pub(crate) fn page(job: &Job, cursor: Option<&str>) -> Result<LogPage, Error> {
    let mut tokens = read(cursor)?;
    let mut lines = Vec::new();
    let mut drained = true;
    for stream in cloudwatch_logs::streams(job, GROUP)? {
        let node = node_of(&stream);
        let mut empty = 0;
        loop {
            let before = tokens.get(&stream);
            let (events, after) = cloudwatch_logs::events(job, GROUP, &stream, before.map(String::as_str))?;
            let end = before == Some(&after);
            empty = if events.is_empty() { empty + 1 } else { 0 };
            lines.extend(events.into_iter().map(|event| LogLine {
                node: node.clone(),
                time: Some(event.time),
                text: event.text,
            }));
            tokens.insert(stream.clone(), after);
            if end {
                break;
            }
            if lines.len() >= PAGE_LINES || empty >= MAX_EMPTY {
                drained = false;
                break;
            }
        }
    }
    // Merges the streams in the order in which they were written.
    lines.sort_by_key(|line| line.time);
    Ok(LogPage { lines, cursor: serde_json::to_string(&tokens).unwrap_or_default(), drained })
}

fn read(cursor: Option<&str>) -> Result<Tokens, Error> {
    let Some(cursor) = cursor else { return Ok(Tokens::new()) };
    serde_json::from_str(cursor)
        .map_err(|error| Error::invalid(format!("`{cursor}` is not a valid cursor: {error}")))
}

/// The node of a stream: `algo-1` for `job/algo-1-1700000000`.
fn node_of(stream: &str) -> String {
    let name = stream.rsplit('/').next().unwrap_or(stream);
    name.rsplit_once('-').map_or(name, |(node, _)| node).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_names_its_node() {
        assert_eq!(node_of("job-1/algo-2-1700000000"), "algo-2");
    }

    #[test]
    fn a_cursor_survives_a_round_trip() {
        let tokens = Tokens::from([("a/b".into(), "f/1".into())]);
        assert_eq!(read(Some(&serde_json::to_string(&tokens).unwrap())).unwrap(), tokens);
        assert!(read(Some("x")).is_err());
        assert!(read(None).unwrap().is_empty());
    }
}
