//! A session: its status, log and results.

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::time::Duration;

use alekseylearn_sdk::{Artifact, ArtifactKind, Error, JobStatus, LogLine, LogPage, State, http};
use serde_json::{Value, json};

use crate::{
    api::{self, API},
    kernel::Kernel,
};

const NODE: &str = "kaggle";
/// The start of the last line that `start.py` prints if the training fails.
const FAILED: &str = "alekseylearn: the training failed with exit code ";
const END_OF_LOG: &str = "END_OF_LOG";
/// A live log that is silent for this long has no more lines for now.
const SILENCE: Duration = Duration::from_secs(1);
/// Lines of one page.
const PAGE_LINES: usize = 10_000;
const PAGE_FILES: u64 = 100;
/// More pages than the files of any session fill.
const MAX_PAGES: usize = 1_000;

pub(crate) fn status(kernel: &Kernel) -> Result<JobStatus, Error> {
    let asked = Value::Object(kernel.named());
    let answer = api::ask("kernels.KernelsApiService/GetKernelSessionStatus", &asked)?;
    let word = answer["status"].as_str().unwrap_or("QUEUED");
    let (state, known) = state(word);
    let status = JobStatus::new(state);
    if !known {
        status.detail(&format!("unknown Kaggle status {word}, treated as running"));
    }
    let message = answer["failureMessage"].as_str().filter(|message| !message.is_empty());
    if state == State::Failed {
        // A missing log is not an error of its own.
        let own =
            lines(kernel, 0).ok().and_then(|(lines, _)| lines.iter().rev().find_map(|line| failure(line)));
        if let Some((code, _)) = &own {
            status.exit_code(*code);
        }
        match (own, message) {
            (Some((_, reason)), _) => status.reason(&reason),
            (None, Some(message)) => status.reason(message),
            (None, None) => {}
        }
    } else if let Some(message) = message {
        status.reason(message);
    }
    Ok(status)
}

/// The state, and whether the service's word for it is known. The API uses several cases.
fn state(word: &str) -> (State, bool) {
    let mut plain = word.to_lowercase();
    plain.retain(|c| c.is_ascii_alphanumeric());
    let plain = plain.strip_prefix("kernelworkerstatus").unwrap_or(&plain);
    let state = match plain {
        "queued" | "newscript" => State::Queued,
        "running" => State::Running,
        "complete" => State::Completed,
        "error" => State::Failed,
        "cancelrequested" => State::Stopping,
        "cancelacknowledged" => State::Stopped,
        _ => return (State::Running, false),
    };
    (state, true)
}

/// The exit code and reason from `start.py`'s last line.
fn failure(line: &str) -> Option<(i32, String)> {
    let (code, reason) = line.trim().strip_prefix(FAILED)?.split_once(": ")?;
    Some((code.parse().ok()?, reason.to_owned()))
}

/// The lines after the cursor. The cursor counts lines, because the service always sends the log from its start.
pub(crate) fn log(kernel: &Kernel, cursor: Option<&str>) -> Result<LogPage, Error> {
    let wrong = |_| Error::invalid(format!("`{}` is not a valid cursor", cursor.unwrap_or_default()));
    let seen = cursor.map_or(Ok(0), str::parse::<usize>).map_err(wrong)?;
    let (lines, drained) = lines(kernel, seen)?;
    let cursor = (seen + lines.len()).to_string();
    let line = |text: String| LogLine { node: NODE.to_owned(), time: None, text };
    Ok(LogPage { lines: lines.into_iter().map(line).collect(), cursor, drained })
}

/// At most a page of lines after the first `seen`, and whether these are all.
fn lines(kernel: &Kernel, seen: usize) -> Result<(Vec<String>, bool), Error> {
    let Kernel { user, slug, .. } = kernel;
    let label = kernel.label().map_or_else(String::new, |label| format!("?versionLabel={label}"));
    let url = format!("{API}/v1/kernels/logs/stream/{user}/{slug}{label}");
    let answer = http::get(&url).header("accept", "text/event-stream, */*").silence(SILENCE).send()?;
    if answer.status() == 404 {
        // The session has not started.
        return Ok((Vec::new(), true));
    }
    let live = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
    if answer.status() >= 300 {
        let status = answer.status().into();
        let text = answer.text().unwrap_or_default();
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        return Err(api::refusal(status, value["message"].as_str().unwrap_or_default()).passing());
    }
    let mut page = Page { seen, at: 0, lines: Vec::new() };
    if live {
        page.read_events(BufReader::new(answer));
    } else {
        page.read_whole(answer)?;
    }
    let drained = page.lines.len() <= PAGE_LINES;
    page.lines.truncate(PAGE_LINES);
    Ok((page.lines, drained))
}

struct Page {
    seen: usize,
    at: usize,
    lines: Vec<String>,
}

impl Page {
    /// Adds an event's lines. The last one may lack its line end.
    fn add(&mut self, data: &str) {
        for line in data.strip_suffix('\n').unwrap_or(data).split('\n') {
            if self.at >= self.seen && !self.is_full() {
                self.lines.push(line.to_owned());
            }
            self.at += 1;
        }
    }

    fn is_full(&self) -> bool {
        self.lines.len() > PAGE_LINES
    }

    /// Reads until the log ends or is silent. If the connection breaks, the next call starts over.
    fn read_events(&mut self, mut events: impl BufRead) {
        let mut line = Vec::new();
        while !self.is_full() {
            line.clear();
            match events.read_until(b'\n', &mut line) {
                Ok(0) => return,
                Ok(_) => {}
                // An incomplete line is sent again.
                Err(error) if error.kind() == ErrorKind::TimedOut => return,
                Err(_) => return,
            }
            let text = String::from_utf8_lossy(&line);
            let Some(data) = text.trim_end_matches(['\r', '\n']).strip_prefix("data:") else { continue };
            let data = data.trim_start();
            if data == END_OF_LOG {
                return;
            }
            match serde_json::from_str::<Value>(data) {
                Ok(event) if event.is_object() => self.add(event["data"].as_str().unwrap_or_default()),
                _ => self.add(data),
            }
        }
    }

    /// Reads the log of a session that has ended: a list of the same events, else text.
    fn read_whole(&mut self, mut answer: impl Read) -> Result<(), Error> {
        let mut bytes = Vec::new();
        let read = answer.read_to_end(&mut bytes);
        read.map_err(|error| Error::unavailable(format!("cannot read the log: {error}")))?;
        let text = String::from_utf8_lossy(&bytes);
        match serde_json::from_str::<Vec<Value>>(&text) {
            Ok(events) => {
                events.iter().filter_map(|event| event["data"].as_str()).for_each(|data| self.add(data));
            }
            Err(_) if text.is_empty() => {}
            Err(_) => self.add(&text),
        }
        Ok(())
    }
}

/// The files that `start.py` leaves, found by their exact names. All others are ignored.
pub(crate) fn artifacts(kernel: &Kernel) -> Result<Vec<Artifact>, Error> {
    let kinds = [("model.tar.gz", ArtifactKind::Model), ("output.tar.gz", ArtifactKind::OutputData)];
    let mut found = Vec::new();
    let mut token = String::new();
    for _ in 0..MAX_PAGES {
        let mut asked = kernel.named();
        asked.insert("pageSize".into(), json!(PAGE_FILES));
        asked.insert("pageToken".into(), json!(token));
        let answer = api::ask("kernels.KernelsApiService/ListKernelSessionOutput", &Value::Object(asked))?;
        for file in answer["files"].as_array().into_iter().flatten() {
            let (name, url) = (file["fileName"].as_str(), file["url"].as_str());
            for (own, kind) in kinds {
                if let (true, Some(url)) = (name == Some(own), url) {
                    found.push(Artifact::web_object(kind, url));
                }
            }
        }
        match answer["nextPageToken"].as_str().filter(|next| !next.is_empty() && *next != token) {
            Some(next) if found.len() < kinds.len() => token = next.to_owned(),
            _ => break,
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_in_any_case() {
        for (word, expected) in [
            ("QUEUED", State::Queued),
            ("running", State::Running),
            ("cancelAcknowledged", State::Stopped),
            ("CANCEL_REQUESTED", State::Stopping),
            ("KernelWorkerStatus.COMPLETE", State::Completed),
            ("Error", State::Failed),
        ] {
            assert_eq!(state(word), (expected, true), "{word}");
        }
        assert_eq!(state("DREAMING"), (State::Running, false));
    }

    #[test]
    fn a_log_is_continued_after_the_lines_seen() {
        let events = "data: {\"data\":\"one\"}\n\n: still there\ndata: {\"data\":\"two\\nthree\\n\"}\n\ndata: four\ndata: END_OF_LOG\ndata: no\n";
        let read = |seen| {
            let mut page = Page { seen, at: 0, lines: Vec::new() };
            page.read_events(events.as_bytes());
            page.lines
        };
        assert_eq!(read(0), ["one", "two", "three", "four"]);
        assert_eq!(read(2), ["three", "four"]);
        assert!(read(9).is_empty());
        let mut whole = Page { seen: 1, at: 0, lines: Vec::new() };
        whole.read_whole(r#"[{"data": "one\n"}, {"data": "two\n"}]"#.as_bytes()).unwrap();
        assert_eq!(whole.lines, ["two"]);
        let mut plain = Page { seen: 0, at: 0, lines: Vec::new() };
        plain.read_whole(&b"one\ntwo\n"[..]).unwrap();
        assert_eq!(plain.lines, ["one", "two"]);
    }

    #[test]
    fn the_last_line_holds_the_exit_code_and_reason() {
        let line = "alekseylearn: the training failed with exit code 3: ValueError: no: data";
        assert_eq!(failure(line), Some((3, "ValueError: no: data".to_owned())));
        assert_eq!(failure("something else"), None);
    }
}
