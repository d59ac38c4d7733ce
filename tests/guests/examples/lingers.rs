//! A job without a service. The option `service` selects what the driver does wrong while the job is watched. Counts
//! the calls in the job's folder.

use std::{
    fs,
    io::Write,
    time::{SystemTime, UNIX_EPOCH},
};

use alekseylearn_sdk::{
    Artifact, Destination, Error, Finding, Job, JobStatus, LogLine, LogPage, OptionSpec, State, Training,
    train,
};

/// The duration of the job, in seconds.
const RUNS: u64 = 8;

struct Driver;

alekseylearn_sdk::plugin!(train = Driver);

impl train::Guest for Driver {
    fn options() -> Vec<OptionSpec> {
        vec![OptionSpec::text("service", "What to do wrong")]
    }

    fn check(training: &Training) -> Result<Vec<Finding>, Error> {
        let _ = writeln!(std::io::stdout(), "a word of its author's");
        match training.options().text("service").as_deref() {
            Some("unreachable") => Err(Error::unavailable("nobody is there").hint("wait")),
            Some("panics") => panic!("it has forgotten its lines"),
            _ => Ok(Vec::new()),
        }
    }

    fn preview(_: &Training) -> Result<String, Error> {
        Ok("{}".to_owned())
    }

    fn prepare(_: &Training) -> Result<Destination, Error> {
        Ok(Destination::none())
    }

    fn submit(training: &Training) -> Result<String, Error> {
        fs::write("/job/begun", now().to_string()).map_err(|error| Error::failed(error.to_string()))?;
        training.pack("/job/packed.tar.gz")?;
        Ok(training.job_name())
    }

    fn status(job: &Job) -> Result<JobStatus, Error> {
        count("states");
        let wrong = job.options().text("service").unwrap_or_default();
        match (wrong.as_str(), asked("states")) {
            ("breaks", 2..) => return Err(Error::failed("I do not know")),
            ("panics-later", 2..) => panic!("it has forgotten its lines"),
            ("denied-twice", 2..=3) => return Err(Error::denied("not now")),
            ("capacity", 2..) => {
                let status = JobStatus::new(State::Failed);
                status.reason("there are no machines");
                status.by_service();
                return Ok(status);
            }
            _ => {}
        }
        let ended = wrong != "never-ends" && age() >= RUNS;
        let status = JobStatus::new(if ended { State::Completed } else { State::Running });
        if wrong == "asked-seldom" {
            status.ask_again(4);
            status.read_log_again(4);
        }
        Ok(status)
    }

    fn logs(job: &Job, cursor: Option<String>) -> Result<LogPage, Error> {
        count("logs");
        let wrong = job.options().text("service").unwrap_or_default();
        let line = |text: String| LogLine { node: "one".into(), time: None, text };
        match wrong.as_str() {
            "no-log" => Err(Error::denied("the log is not for you")),
            // `drained` is inverted, and the cursor does not change.
            "never-drained" => {
                let lines = if cursor.is_none() { vec![line("the only line".into())] } else { Vec::new() };
                Ok(LogPage { lines, cursor: "1".into(), drained: false })
            }
            "in-one" => {
                let lines = if cursor.is_none() { vec![line("a\nb\r\nc".into())] } else { Vec::new() };
                Ok(LogPage { lines, cursor: "1".into(), drained: true })
            }
            // New cursors without end, but no lines.
            "endless" => {
                let next = cursor.and_then(|cursor| cursor.parse::<u64>().ok()).unwrap_or(0) + 1;
                Ok(LogPage { lines: Vec::new(), cursor: next.to_string(), drained: false })
            }
            // One line per second.
            _ => {
                let seen = cursor.and_then(|cursor| cursor.parse::<u64>().ok()).unwrap_or(0);
                let written = age().min(RUNS);
                let lines = (seen..written).map(|second| line(format!("second {second}"))).collect();
                Ok(LogPage { lines, cursor: written.to_string(), drained: true })
            }
        }
    }

    fn stop(_: &Job) -> Result<(), Error> {
        Ok(())
    }

    fn artifacts(_: &Job) -> Result<Vec<Artifact>, Error> {
        Ok(vec![Artifact::job_file(alekseylearn_sdk::ArtifactKind::Model, "/job/packed.tar.gz")])
    }

    fn find(_: String, _: String) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())
}

fn age() -> u64 {
    let begun = fs::read_to_string("/job/begun").ok().and_then(|text| text.parse().ok());
    now().saturating_sub(begun.unwrap_or_else(now))
}

fn count(what: &str) {
    let _ = fs::write(format!("/job/{what}"), (asked(what) + 1).to_string());
}

fn asked(what: &str) -> u64 {
    fs::read_to_string(format!("/job/{what}")).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}
