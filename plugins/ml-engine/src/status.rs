//! Maps Vertex AI's states to the contract's.

use std::time::{SystemTime, UNIX_EPOCH};

use alekseylearn_sdk::{Error, JobStatus, State};

use crate::{api, job::CustomJob, storage::Location, time};

/// The primary replica.
const FIRST_REPLICA: &str = "workerpool0-0";
/// RESOURCE_EXHAUSTED, INTERNAL and UNAVAILABLE: failures of the service, not of the training.
const OF_THE_SERVICE: [i64; 3] = [8, 13, 14];
/// Seconds between two polls: Cloud Logging allows a project 60 reads per minute.
const ASK_AGAIN: u32 = 5;
/// Maximum length of a failure reason.
const MAX_REASON_LENGTH: usize = 1024;

pub(crate) fn of(job: &CustomJob, output: &Location) -> Result<JobStatus, Error> {
    let answer = job.get()?;
    let word = answer["state"].as_str().unwrap_or("JOB_STATE_PENDING");
    let (state, known) = state(word);
    let status = JobStatus::new(state);
    let short = word.trim_start_matches("JOB_STATE_").to_lowercase().replace('_', " ");
    match known {
        Known::Not => status.detail(&format!("unknown Vertex AI state {word}, treated as running")),
        Known::InOtherWords => status.detail(&short),
        Known::Yes => {}
    }
    let pools = answer["jobSpec"]["workerPoolSpecs"].as_array().into_iter().flatten();
    let nodes = pools.filter_map(|pool| pool["replicaCount"].as_str()?.parse::<u32>().ok()).sum::<u32>();
    status.nodes(nodes.max(1));
    let at = |member: &str| answer[member].as_str().and_then(time::milliseconds);
    let (created, started, ended) = (at("createTime"), at("startTime"), at("endTime"));
    let pause = pause(created.unwrap_or_default());
    status.ask_again(pause);
    status.read_log_again(pause);
    if let Some(created) = created {
        status.phase("Pending", created, started.or(ended));
    }
    if let Some(started) = started {
        status.phase("Running", started, ended);
    }
    let code = answer["error"]["code"].as_i64().unwrap_or_default();
    let message = answer["error"]["message"].as_str().filter(|message| !message.is_empty());
    if state == State::Failed {
        match message.and_then(exit_code) {
            Some(code) => status.exit_code(code),
            None if OF_THE_SERVICE.contains(&code) => status.by_service(),
            None => {}
        }
        match (own_reason(output, message.and_then(replica)), message) {
            (Some(reason), _) => status.reason(&reason),
            (None, Some(message)) => status.reason(message),
            (None, None) if word == "JOB_STATE_EXPIRED" => {
                status.reason("exceeded --config.timeout");
            }
            (None, None) => {}
        }
    } else if let Some(message) = message {
        status.reason(message);
    }
    Ok(status)
}

/// Seconds to the next poll: fewer for a young job, which may be short.
fn pause(created: u64) -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let age = now.saturating_sub(created / 1000);
    u32::try_from(age / 5).unwrap_or(ASK_AGAIN).clamp(1, ASK_AGAIN)
}

/// The reason that a replica's runner left, which says more than the service's. A missing one is not an error.
fn own_reason(output: &Location, replica: Option<&str>) -> Option<String> {
    let left = |name: &str| {
        let text = api::content(&output.join(name).download()).ok().flatten()?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.chars().take(MAX_REASON_LENGTH).collect::<String>())
    };
    let other = replica.filter(|replica| *replica != FIRST_REPLICA);
    let of_other = other
        .and_then(|replica| left(&format!("failure-{replica}")).map(|reason| format!("{replica}: {reason}")));
    of_other.or_else(|| left("failure"))
}

#[derive(Debug, PartialEq)]
enum Known {
    Yes,
    /// Known, but the state does not say everything.
    InOtherWords,
    Not,
}

fn state(word: &str) -> (State, Known) {
    match word {
        "JOB_STATE_QUEUED" | "JOB_STATE_PENDING" => (State::Queued, Known::Yes),
        "JOB_STATE_RUNNING" => (State::Running, Known::Yes),
        "JOB_STATE_PAUSED" | "JOB_STATE_UPDATING" => (State::Running, Known::InOtherWords),
        "JOB_STATE_CANCELLING" => (State::Stopping, Known::Yes),
        "JOB_STATE_SUCCEEDED" => (State::Completed, Known::Yes),
        "JOB_STATE_PARTIALLY_SUCCEEDED" => (State::Completed, Known::InOtherWords),
        "JOB_STATE_FAILED" => (State::Failed, Known::Yes),
        "JOB_STATE_EXPIRED" => (State::Failed, Known::InOtherWords),
        "JOB_STATE_CANCELLED" => (State::Stopped, Known::Yes),
        _ => (State::Running, Known::Not),
    }
}

/// `The replica workerpool0-0 exited with a non-zero status of 1. …`
fn exit_code(message: &str) -> Option<i32> {
    let (_, rest) = message.split_once("non-zero status of ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The first replica that a message names.
fn replica(message: &str) -> Option<&str> {
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    message.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').find(|word| {
        word.strip_prefix("workerpool")
            .and_then(|rest| rest.split_once('-'))
            .is_some_and(|(pool, index)| is_number(pool) && is_number(index))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_states_are_treated_as_running() {
        for (word, expected) in [
            ("QUEUED", State::Queued),
            ("PENDING", State::Queued),
            ("RUNNING", State::Running),
            ("SUCCEEDED", State::Completed),
            ("FAILED", State::Failed),
            ("CANCELLING", State::Stopping),
            ("CANCELLED", State::Stopped),
            ("PAUSED", State::Running),
            ("EXPIRED", State::Failed),
            ("UPDATING", State::Running),
            ("PARTIALLY_SUCCEEDED", State::Completed),
        ] {
            let (state, known) = state(&format!("JOB_STATE_{word}"));
            assert!(state == expected && known != Known::Not, "{word}");
        }
        assert_eq!(state("JOB_STATE_DREAMING"), (State::Running, Known::Not));
    }

    #[test]
    fn the_exit_code_is_read_from_the_services_message() {
        let message = "The replica workerpool0-0 exited with a non-zero status of 137. To find out more, see";
        assert_eq!(exit_code(message), Some(137));
        assert_eq!(exit_code("Internal error"), None);
        assert_eq!(replica(message), Some("workerpool0-0"));
        assert_eq!(replica("Replicas low on memory: workerpool1-12, workerpool0-0."), Some("workerpool1-12"));
        assert_eq!(replica("the workerpool-x/../0"), None);
    }
}
