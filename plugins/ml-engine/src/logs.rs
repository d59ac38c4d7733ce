//! The job's log in Cloud Logging.
//!
//! A cursor holds the time of the last entry that was read, and the identifiers of all entries of that time: the next
//! page begins with that time again, and what is known of it is passed over.

use alekseylearn_sdk::{Error, LogLine, LogPage};
use serde_json::{Value, json};

use crate::{api, job::CustomJob, time};

const LOGGING: &str = "https://logging.googleapis.com/v2/entries:list";
const PAGE_ENTRIES: u32 = 1_000;
/// As many lines as one page may grow to before the rest waits for the next call.
const PAGE_LINES: usize = 10_000;
/// An empty page may have a next one, but not without end.
const MOST_PAGES: usize = 1_000;
const BEGINNING: &str = "1970-01-01T00:00:00Z";

pub(crate) fn page(job: &CustomJob, cursor: Option<&str>) -> Result<LogPage, Error> {
    let mut read = Read::from(cursor)?;
    let filter = format!(
        "resource.type=\"ml_job\" AND resource.labels.job_id=\"{}\" AND timestamp>=\"{}\"",
        job.id, read.from
    );
    let mut token: Option<String> = None;
    let mut drained = true;
    for _ in 0..MOST_PAGES {
        let mut body = json!({
            "resourceNames": [format!("projects/{}", job.project)],
            "filter": filter,
            "orderBy": "timestamp asc",
            "pageSize": PAGE_ENTRIES,
        });
        if let Some(token) = &token {
            body["pageToken"] = token.as_str().into();
        }
        let answer = api::ask_by_post(LOGGING, &body)?;
        answer["entries"].as_array().into_iter().flatten().for_each(|entry| read.add(entry));
        match answer["nextPageToken"].as_str().filter(|next| !next.is_empty()) {
            Some(next) if token.as_deref() != Some(next) => token = Some(next.to_owned()),
            _ => break,
        }
        if read.lines.len() >= PAGE_LINES {
            drained = false;
            break;
        }
    }
    Ok(LogPage { cursor: read.cursor(), lines: read.lines, drained })
}

struct Read {
    from: String,
    seen: Vec<String>,
    lines: Vec<LogLine>,
}

impl Read {
    fn from(cursor: Option<&str>) -> Result<Self, Error> {
        let Some(cursor) = cursor else {
            return Ok(Self { from: BEGINNING.to_owned(), seen: Vec::new(), lines: Vec::new() });
        };
        let known: Option<(String, Vec<String>)> = serde_json::from_str(cursor).ok();
        let known = known.filter(|(from, _)| time::milliseconds(from).is_some());
        let (from, seen) = known.ok_or_else(|| Error::invalid(format!("`{cursor}` is no cursor")))?;
        Ok(Self { from, seen, lines: Vec::new() })
    }

    fn cursor(&self) -> String {
        json!([self.from, self.seen]).to_string()
    }

    fn add(&mut self, entry: &Value) {
        let Some(at) = entry["timestamp"].as_str() else { return };
        let id = entry["insertId"].as_str().unwrap_or_default();
        // A service may write fractions of a second with more digits or fewer.
        if at != self.from {
            self.from = at.to_owned();
            self.seen.clear();
        } else if self.seen.iter().any(|seen| seen == id) {
            return;
        }
        self.seen.push(id.to_owned());
        let text = entry["jsonPayload"]["message"].as_str().or(entry["textPayload"].as_str());
        let Some(text) = text else { return };
        let node = entry["resource"]["labels"]["task_name"].as_str().unwrap_or("service");
        let milliseconds = time::milliseconds(at);
        for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
            self.lines.push(LogLine { node: node.to_owned(), time: milliseconds, text: line.to_owned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(at: &str, id: &str, message: &str) -> Value {
        json!({
            "timestamp": at, "insertId": id, "jsonPayload": { "message": message },
            "resource": { "labels": { "task_name": "workerpool0-0" } },
        })
    }

    #[test]
    fn entries_of_one_time_are_told_apart() {
        let (one, two) = ("2026-11-22T00:00:01Z", "2026-11-22T00:00:02.5Z");
        let mut read = Read::from(None).unwrap();
        for entry in [entry(one, "a", "first\n"), entry(one, "b", "second"), entry(two, "a", "third\nfourth")]
        {
            read.add(&entry);
        }
        read.add(&json!({ "timestamp": two, "insertId": "t", "textPayload": "fifth" }));
        read.add(&json!({ "timestamp": two, "insertId": "n", "protoPayload": {} }));
        let texts: Vec<&str> = read.lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["first", "second", "third", "fourth", "fifth"]);
        assert_eq!((read.lines[0].node.as_str(), read.lines[4].node.as_str()), ("workerpool0-0", "service"));
        let mut next = Read::from(Some(&read.cursor())).unwrap();
        assert_eq!(next.from, two);
        next.add(&entry(two, "a", "third\nfourth"));
        next.add(&entry(two, "z", "sixth"));
        assert_eq!(next.lines.len(), 1);
        for cursor in ["", "x", "[\"\\\" OR a=\\\"\", []]"] {
            assert!(Read::from(Some(cursor)).is_err(), "{cursor}");
        }
    }
}
