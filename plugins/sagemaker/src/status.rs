//! Maps SageMaker's statuses to the contract's states.

use std::time::{SystemTime, UNIX_EPOCH};

use alekseylearn_sdk::{JobStatus, State, Values, sagemaker::TrainingJob};

use crate::price;

/// Prefixes of the failure reasons that are not the training's fault.
const OF_THE_SERVICE: [&str; 2] = ["CapacityError", "InternalServerError"];
/// Seconds between two polls: the service allows an account only a few requests per second.
const ASK_AGAIN: u32 = 5;
const ASK_AGAIN_WAITING: u32 = 10;
const READ_LOG_AGAIN: u32 = 3;

pub(crate) fn of(job: &TrainingJob, options: &Values) -> JobStatus {
    let (primary, secondary) = (job.status(), job.secondary_status());
    let state = state(&primary, &secondary);
    let status = JobStatus::new(state);
    status.nodes(job.instance_count());
    if !is_final(state) && !secondary.is_empty() {
        status.detail(&detail(state, &secondary, job.status_message().as_deref()));
    }
    let age = job.transitions().first().map_or(0, |(_, start, _)| seconds_since(*start));
    let most = if state == State::Queued { ASK_AGAIN_WAITING } else { ASK_AGAIN };
    status.ask_again(pause(age, most));
    status.read_log_again(pause(age, most.min(READ_LOG_AGAIN)));
    for (name, start, end) in job.transitions() {
        status.phase(&name, start, end);
    }
    if let Some(reason) = job.failure_reason() {
        status.reason(&reason);
        match exit_code(&reason) {
            Some(code) => status.exit_code(code),
            None if OF_THE_SERVICE.iter().any(|start| reason.starts_with(start)) => status.by_service(),
            None => {}
        }
    } else if is_final(state) {
        match secondary.as_str() {
            "MaxRuntimeExceeded" => status.reason("exceeded --config.max_runtime"),
            "MaxWaitTimeExceeded" => {
                status.reason("no spot capacity within --config.max_wait");
                status.by_service();
            }
            "Interrupted" => {
                status.reason("its spot instances were interrupted, and too little time was left to restart");
                status.by_service();
            }
            _ => {}
        }
    }
    if let Some(seconds) = job.billable_seconds() {
        status.billable_seconds(seconds);
        // `arn:aws:sagemaker:REGION:…`
        let arn = job.arn();
        let region = arn.split(':').nth(3).unwrap_or_default();
        if let Some(dollars) = price::charged(options, region, seconds) {
            status.cost(dollars);
        }
    }
    status
}

/// Seconds to the next poll: fewer for a young job, which may be short.
fn pause(age: u64, most: u32) -> u32 {
    u32::try_from(age / 5).unwrap_or(most).clamp(1, most)
}

/// Seconds since a time in milliseconds since the Unix epoch.
fn seconds_since(time: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    now.saturating_sub(time / 1000)
}

/// The service's secondary status. While the job waits, also its message, such as a lack of capacity.
fn detail(state: State, secondary: &str, message: Option<&str>) -> String {
    match message.filter(|message| state == State::Queued && !message.is_empty()) {
        Some(message) => format!("{secondary}: {message}"),
        None => secondary.to_owned(),
    }
}

/// The state. Both lists of statuses may grow, so an unknown status counts as running.
fn state(primary: &str, secondary: &str) -> State {
    match (primary, secondary) {
        ("Completed", _) => State::Completed,
        ("Failed", _) => State::Failed,
        ("Stopped", _) => State::Stopped,
        ("Stopping" | "Deleting", _) => State::Stopping,
        (_, "Starting" | "Pending" | "LaunchingMLInstances" | "PreparingTrainingStack") => State::Queued,
        _ => State::Running,
    }
}

fn is_final(state: State) -> bool {
    matches!(state, State::Completed | State::Failed | State::Stopped)
}

/// The exit code at the end of a reason, such as `AlgorithmError: …, exit code: 139`.
fn exit_code(reason: &str) -> Option<i32> {
    let at = reason.to_lowercase().rfind("exit code: ")?;
    let digits = &reason[at + "exit code: ".len()..];
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_statuses_are_treated_as_running() {
        assert_eq!(state("InProgress", "Starting"), State::Queued);
        assert_eq!(state("InProgress", "SomethingNew"), State::Running);
        assert_eq!(state("BrandNew", ""), State::Running);
        assert_eq!(state("Stopped", "MaxRuntimeExceeded"), State::Stopped);
    }

    #[test]
    fn a_waiting_job_has_the_services_message() {
        let message = Some("Insufficient capacity error from EC2 while launching instances, retrying!");
        assert!(detail(State::Queued, "Starting", message).contains("Insufficient capacity"));
        assert_eq!(detail(State::Running, "Training", message), "Training");
        assert_eq!(detail(State::Queued, "Pending", None), "Pending");
    }

    #[test]
    fn the_exit_code_is_at_the_end_of_the_reason() {
        assert_eq!(exit_code("AlgorithmError: boom, exit code: 139"), Some(139));
        assert_eq!(exit_code("AlgorithmError: , Exit Code: 1"), Some(1));
        assert_eq!(exit_code("CapacityError"), None);
    }
}
