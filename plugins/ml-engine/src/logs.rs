//! The job's log in Cloud Logging.
//!
//! Each machine sends its own entries, so an entry may arrive after later ones. The next page therefore starts a minute
//! before the newest entry, and skips the known entries of that minute. A cursor holds the start time and the known
//! entries. If the minute has more entries than a cursor may hold, the next page starts at the oldest one it holds.

use std::{
    collections::BTreeMap,
    hash::{Hash, Hasher},
};

use alekseylearn_sdk::{Error, LogLine, LogPage};
use serde_json::{Value, json};

use crate::{api, job::CustomJob, time};

const LOGGING: &str = "https://logging.googleapis.com/v2/entries:list";
const PAGE_ENTRIES: u32 = 1_000;
/// Lines after which a page ends. The next call returns the rest.
const PAGE_LINES: usize = 10_000;
/// An empty page may have a next one; this bounds them.
const MAX_PAGES: usize = 1_000;
/// Maximum delay of an entry, in nanoseconds.
const LATE: u64 = 60_000_000_000;
/// Maximum number of entries in a cursor. Every call reads them again.
const MAX_KNOWN: usize = 1_000;
/// Maximum number of entries with the same time, which must all be in the cursor.
const MAX_OF_ONE_TIME: usize = 10 * MAX_KNOWN;

pub(crate) fn page(job: &CustomJob, cursor: Option<&str>) -> Result<LogPage, Error> {
    let mut read = Read::from(cursor)?;
    let filter = format!(
        "resource.type=\"ml_job\" AND resource.labels.job_id=\"{}\" AND timestamp>=\"{}\"",
        job.id,
        time::text(read.start)
    );
    let mut token: Option<String> = None;
    let mut drained = true;
    for _ in 0..MAX_PAGES {
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
    /// The earliest time to read, in nanoseconds.
    start: u64,
    /// Hashes of the identifiers of known entries, by time.
    known: BTreeMap<u64, Vec<u32>>,
    lines: Vec<LogLine>,
}

impl Read {
    fn from(cursor: Option<&str>) -> Result<Self, Error> {
        let Some(cursor) = cursor else {
            return Ok(Self { start: 0, known: BTreeMap::new(), lines: Vec::new() });
        };
        let (start, known) = serde_json::from_str(cursor)
            .map_err(|error| Error::invalid(format!("`{cursor}` is not a valid cursor: {error}")))?;
        Ok(Self { start, known, lines: Vec::new() })
    }

    fn cursor(&self) -> String {
        let newest = self.known.last_key_value().map_or(0, |(at, _)| *at);
        let mut start = self.start.max(newest.saturating_sub(LATE));
        let mut kept = BTreeMap::new();
        let mut count = 0;
        // Newest first. Either all entries of one time are kept, or none and the next page starts after that time.
        for (at, entries) in self.known.range(start..).rev() {
            count += entries.len();
            let most = if kept.is_empty() { MAX_OF_ONE_TIME } else { MAX_KNOWN };
            if count > most {
                start = at + 1;
                break;
            }
            kept.insert(at, entries);
        }
        json!([start, kept]).to_string()
    }

    fn add(&mut self, entry: &Value) {
        let written = entry["timestamp"].as_str();
        let Some(at) = written.and_then(time::nanoseconds) else { return };
        let known = self.known.entry(at).or_default();
        let entry_id = short(entry["insertId"].as_str().unwrap_or_default());
        if known.contains(&entry_id) {
            return;
        }
        known.push(entry_id);
        let text = entry["jsonPayload"]["message"].as_str().or(entry["textPayload"].as_str());
        let Some(text) = text else { return };
        let node = entry["resource"]["labels"]["task_name"].as_str().unwrap_or("service");
        for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
            self.lines.push(LogLine {
                node: node.to_owned(),
                time: Some(at / 1_000_000),
                text: line.to_owned(),
            });
        }
    }
}

/// A short hash that distinguishes the identifiers of one nanosecond.
fn short(identifier: &str) -> u32 {
    let mut hasher = std::hash::DefaultHasher::new();
    identifier.hash(&mut hasher);
    (hasher.finish() >> 32) as u32
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

    fn texts(read: &Read) -> Vec<&str> {
        read.lines.iter().map(|line| line.text.as_str()).collect()
    }

    fn next(read: &Read) -> Read {
        Read::from(Some(&read.cursor())).unwrap()
    }

    #[test]
    fn entries_of_one_time_are_distinguished() {
        let (one, two) = ("2026-11-22T00:00:01Z", "2026-11-22T00:00:02.5Z");
        let mut read = Read::from(None).unwrap();
        for entry in [entry(one, "a", "first\n"), entry(one, "b", "second"), entry(two, "a", "third\nfourth")]
        {
            read.add(&entry);
        }
        read.add(&json!({ "timestamp": two, "insertId": "t", "textPayload": "fifth" }));
        read.add(&json!({ "timestamp": two, "insertId": "n", "protoPayload": {} }));
        assert_eq!(texts(&read), ["first", "second", "third", "fourth", "fifth"]);
        assert_eq!((read.lines[0].node.as_str(), read.lines[4].node.as_str()), ("workerpool0-0", "service"));
        let mut next = next(&read);
        // The service may write any number of digits.
        next.add(&entry("2026-11-22T00:00:02.500Z", "a", "third\nfourth"));
        next.add(&entry(two, "z", "sixth"));
        assert_eq!(texts(&next), ["sixth"]);
        for cursor in ["", "x", "[\"\\\" OR a=\\\"\", {}]", "[1, {\"a\": [1]}]"] {
            assert!(Read::from(Some(cursor)).is_err(), "{cursor}");
        }
    }

    #[test]
    fn late_entries_are_read_once() {
        let mut read = Read::from(None).unwrap();
        read.add(&entry("2026-11-22T00:01:30Z", "a", "new"));
        for _ in 0..2 {
            let mut again = next(&read);
            assert_eq!(time::text(again.start), "2026-11-22T00:00:30.000000000Z", "a minute before");
            again.add(&entry("2026-11-22T00:00:31Z", "a", "late"));
            again.add(&entry("2026-11-22T00:01:30Z", "a", "new"));
            assert_eq!(texts(&again), if read.known.len() == 1 { vec!["late"] } else { vec![] });
            read = again;
        }
    }

    #[test]
    fn a_cursor_stays_small() {
        let at = |number: u64| time::text(1_795_305_600_000_000_000 + number * 1_000_000);
        let mut read = Read::from(None).unwrap();
        for number in 0..20_000 {
            read.add(&entry(&at(number), "a", "x"));
        }
        assert!(read.cursor().len() < 40_000, "{}", read.cursor().len());
        let mut again = next(&read);
        assert_eq!(again.known.len(), MAX_KNOWN);
        // It starts where it knows all entries, so it repeats none.
        assert_eq!(time::text(again.start - 1), at(20_000 - MAX_KNOWN as u64 - 1));
        for number in 0..20_001 {
            if at(number) >= time::text(again.start) {
                again.add(&entry(&at(number), "a", "x"));
            }
        }
        assert_eq!(again.lines.len(), 1);
        // The same for entries of one time.
        let mut flood = Read::from(None).unwrap();
        for number in 0..=MAX_OF_ONE_TIME {
            flood.add(&entry(&at(1), &number.to_string(), "x"));
        }
        let after = next(&flood);
        assert!(after.known.is_empty() && time::text(after.start - 1) == at(1));
    }
}
