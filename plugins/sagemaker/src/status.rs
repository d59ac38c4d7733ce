//! SageMaker's statuses as the contract's states.

use alekseylearn_sdk::{JobStatus, State, Values, sagemaker::TrainingJob};

use crate::price;

pub(crate) fn of(job: &TrainingJob, options: &Values) -> JobStatus {
    let (primary, secondary) = (job.status(), job.secondary_status());
    let state = state(&primary, &secondary);
    let status = JobStatus::new(state);
    status.nodes(job.instance_count());
    if !is_final(state) && !secondary.is_empty() {
        status.detail(&secondary);
    }
    for (name, start, end) in job.transitions() {
        status.phase(&name, start, end);
    }
    if let Some(reason) = job.failure_reason() {
        status.reason(&reason);
        if let Some(code) = exit_code(&reason) {
            status.exit_code(code);
        }
    } else if secondary == "MaxRuntimeExceeded" {
        status.reason("it ran longer than --config.max_runtime allows");
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

/// Both lists of statuses may grow: what is not known still runs.
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

/// `AlgorithmError: …, exit code: 139`
fn exit_code(reason: &str) -> Option<i32> {
    let at = reason.to_lowercase().rfind("exit code: ")?;
    let digits = &reason[at + "exit code: ".len()..];
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_that_are_not_known_still_run() {
        assert_eq!(state("InProgress", "Starting"), State::Queued);
        assert_eq!(state("InProgress", "SomethingNew"), State::Running);
        assert_eq!(state("BrandNew", ""), State::Running);
        assert_eq!(state("Stopped", "MaxRuntimeExceeded"), State::Stopped);
    }

    #[test]
    fn the_exit_code_stands_at_the_end_of_the_reason() {
        assert_eq!(exit_code("AlgorithmError: boom, exit code: 139"), Some(139));
        assert_eq!(exit_code("AlgorithmError: , Exit Code: 1"), Some(1));
        assert_eq!(exit_code("CapacityError"), None);
    }
}
