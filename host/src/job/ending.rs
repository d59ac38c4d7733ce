//! Explains how a job ended: the reason, the end of its log, and what to do next.

use std::collections::VecDeque;

use super::{Ended, JobHandle, advice, kept_back, left::Left, log::Log};
use crate::{
    error::{Error, Kind, Result},
    plugin::JobState,
};

/// Number of last log lines in the error of a failed job.
const LAST_LINES: usize = 20;

/// Fails if the job did not complete. The error has the reason, the end of the log, and what to do next.
///
/// # Errors
/// Always, unless the job completed.
pub async fn end_of(known: &JobHandle<'_>, ended: &Ended) -> Result<()> {
    let (name, status) = (&known.job.name, &ended.status);
    let reason = status.reason.as_deref().unwrap_or("no reason was given");
    if status.by_service {
        let state = status.state.name();
        return Err(Error::new(Kind::Unavailable, format!("the job {name} {state}: {reason}")).hint(
            "the service ended the job, not the script: run it again later, or on another machine type",
        ));
    }
    let (mut missed, mut advice) = (None, None);
    let error = match status.state {
        JobState::Stopped => match &status.reason {
            Some(reason) => Error::new(Kind::JobStopped, format!("the job {name} was stopped: {reason}")),
            None => Error::new(Kind::JobStopped, format!("the job {name} was stopped")),
        },
        JobState::Failed => {
            let first = reason.lines().next().unwrap_or(reason);
            let error = Error::new(Kind::JobFailed, format!("the job {name} failed: {first}"));
            let log = if ended.shown.is_empty() { last_lines(known).await } else { Vec::new() };
            let seen: Vec<String> = ended.shown.iter().chain(&log).cloned().collect();
            missed = kept_back::hint(&known.job.folder, &format!("{reason}\n{}", seen.join("\n")));
            advice = known.entry.as_ref().and_then(|entry| advice::for_arguments(entry, &seen));
            let details = told(reason, status.exit_code, &log, &ended.shown);
            if details.is_empty() { error } else { error.details(details) }
        }
        _ => return Ok(()),
    };
    if let Some(missed) = missed {
        return Err(error.hint(missed));
    }
    if let Some(advice) = known.entry.as_ref().and_then(|entry| {
        let installed = entry.details.installed.as_deref().unwrap_or_default();
        entry.details.project.advice(reason, &entry.artifact, installed)
    }) {
        return Err(error.hint(advice));
    }
    if let Some(advice) = advice {
        return Err(error.hint(advice));
    }
    let all = format!("`alekseylearn logs {name}` shows the whole log");
    let left_nothing = ended.left.as_ref().is_some_and(|left| left.output_data.count == 0);
    Err(error.hint(if left_nothing {
        all
    } else {
        format!("{all}; `alekseylearn fetch DIR {name} --output-data` downloads its files")
    }))
}

/// The details that the user has not seen yet: the reason after its first line (the traceback), the meaning of the
/// exit code if the reason lacks it, and the log's last lines without that traceback.
fn told(reason: &str, exit_code: Option<i32>, log: &[String], shown: &VecDeque<String>) -> String {
    let is_seen = |line: &str| {
        let line = line.trim();
        line.is_empty() || line == WHOLE || shown.iter().any(|shown| shown.contains(line))
    };
    let is_hidden = |line: &&str| !shown.is_empty() && is_seen(line);
    let mut parts: Vec<String> =
        reason.lines().skip(1).filter(|line| !is_hidden(line)).map(str::to_owned).collect();
    if let Some((code, meaning)) = exit_code.and_then(|code| Some((code, meaning(code)?)))
        && !reason.contains(meaning)
    {
        parts.push(format!("exit code {code}: {meaning}"));
    }
    let is_new = |line: &&String| {
        let line = line.trim();
        !line.is_empty() && !reason.contains(line) && line != TRACEBACK
    };
    if log.iter().any(|line| is_new(&line)) {
        parts.push("last lines of the log:".to_owned());
        parts.extend(log.iter().filter(is_new).map(|line| format!("  {line}")));
    }
    parts.join("\n")
}

/// The runner's heading between the start of a reason and its full text.
const WHOLE: &str = "In full:";

/// The first line of a traceback in Python.
const TRACEBACK: &str = "Traceback (most recent call last):";

/// The meaning of an exit code that is not the script's own: the shell's, or 128 plus the number of a signal.
const fn meaning(code: i32) -> Option<&'static str> {
    Some(match code {
        126 => "a command could not be executed",
        127 => "a command was not found",
        132 => "SIGILL: native code uses an instruction that this processor does not have",
        134 => "SIGABRT: native code gave up",
        135 => "SIGBUS: often too little shared memory in /dev/shm",
        136 => "SIGFPE: an arithmetic error in native code",
        137 => "killed by SIGKILL, usually because memory ran out",
        139 => "SIGSEGV: a segmentation fault in native code",
        143 => "ended by SIGTERM",
        _ => return None,
    })
}

async fn last_lines(known: &JobHandle<'_>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut log = Log::default();
    loop {
        // The job has failed already: a missing log is not a second failure.
        let Ok(page) = log.page(known).await else { break };
        let is_whole = |line: &String| !line.ends_with('\r') && Left::of_line(line).is_none();
        lines.extend(page.lines.into_iter().map(|line| line.text).filter(is_whole));
        lines.drain(..lines.len().saturating_sub(LAST_LINES));
        if page.drained {
            break;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_its_reason_and_the_end_of_its_log() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let none = VecDeque::new();
        let log =
            lines("epoch 1\nTraceback (most recent call last):\n  File \"train.py\", line 3\nValueError: no");
        let reason = "AlgorithmError: ValueError: no\n  File \"train.py\", line 3\n, exit code: 1";
        assert_eq!(
            told(reason, Some(1), &log, &none),
            "  File \"train.py\", line 3\n, exit code: 1\nlast lines of the log:\n  epoch 1"
        );
        let killed = told("AlgorithmError: , exit code: 137", Some(137), &[], &none);
        assert_eq!(killed, "exit code 137: killed by SIGKILL, usually because memory ran out");
        assert_eq!(told("it broke: ValueError: no", Some(1), &log[1..2], &none), "", "nothing twice");
    }

    #[test]
    fn a_traceback_is_not_shown_twice() {
        let shown: VecDeque<String> =
            ["Traceback (most recent call last):", "  File \"train.py\", line 3", "ValueError: no"]
                .map(str::to_owned)
                .into();
        let reason = "ValueError: no\n  File \"train.py\", line 3\n\nIn full:\nValueError: no\n  File \"train.py\", line 3\n";
        assert_eq!(told(reason, Some(1), &[], &shown), "");
        assert_eq!(told("algo-2: it is gone\nnobody knows why", None, &[], &shown), "nobody knows why");
    }
}
