//! How a job ended, recorded in its folder because its containers are removed.

use std::{fs, io::ErrorKind};

use alekseylearn_sdk::{Error, Job, JobStatus, State, docker};
use serde_json::{Value, json};

use crate::{
    folder::{in_job, write_whole},
    nodes,
};

/// Written after everything else is collected.
const OUTCOME: &str = "outcome.json";

/// How a job ended.
pub(crate) struct Outcome {
    pub(crate) stopped: bool,
    pub(crate) exit_code: i32,
    pub(crate) out_of_memory: bool,
    pub(crate) reason: Option<String>,
    pub(crate) started: Option<u64>,
    pub(crate) finished: Option<u64>,
    /// Whether the containers have been removed.
    pub(crate) released: bool,
}

impl Outcome {
    pub(crate) fn read() -> Result<Option<Self>, Error> {
        let text = match fs::read_to_string(in_job(OUTCOME)) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::failed(format!("cannot read {OUTCOME}: {error}"))),
        };
        let value: Value = serde_json::from_str(&text)
            .map_err(|error| Error::failed(format!("{OUTCOME} in the job's folder is damaged: {error}")))?;
        Ok(Some(Self {
            stopped: value["stopped"] == true,
            exit_code: value["exit_code"].as_i64().and_then(|code| code.try_into().ok()).unwrap_or(1),
            out_of_memory: value["out_of_memory"] == true,
            reason: value["reason"].as_str().map(str::to_owned),
            started: value["started"].as_u64(),
            finished: value["finished"].as_u64(),
            released: value["released"] == true,
        }))
    }

    pub(crate) fn write(&self) -> Result<(), Error> {
        let value = json!({
            "stopped": self.stopped,
            "exit_code": self.exit_code,
            "out_of_memory": self.out_of_memory,
            "reason": self.reason,
            "started": self.started,
            "finished": self.finished,
            "released": self.released,
        });
        write_whole(OUTCOME, value.to_string().as_bytes())
    }

    /// Removes the containers, and only then records it: if this process is killed in between, the next one repeats it.
    pub(crate) fn release(&mut self, job: &Job) -> Result<(), Error> {
        for node in nodes::of(&job.options()) {
            docker::remove(job, &node)?;
        }
        self.released = true;
        self.write()
    }

    pub(crate) fn status(&self, job: &Job) -> JobStatus {
        let state = match self.exit_code {
            _ if self.stopped => State::Stopped,
            0 => State::Completed,
            _ => State::Failed,
        };
        let status = JobStatus::new(state);
        status.exit_code(self.exit_code);
        status.nodes(nodes::of(&job.options()).len() as u32);
        if let Some(started) = self.started {
            status.phase("Training", started, self.finished);
        }
        match &self.reason {
            _ if self.out_of_memory => status.reason("killed: out of memory"),
            Some(reason) => status.reason(reason),
            None if state == State::Failed => status.reason(&format!("exited with code {}", self.exit_code)),
            None => {}
        }
        status
    }
}
