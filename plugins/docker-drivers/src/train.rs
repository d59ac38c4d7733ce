//! The train driver: one container, started and collected as SageMaker would.

use std::{fs, io::ErrorKind, path::Path};

use alekseylearn_sdk::{
    Artifact, ArtifactKind, Destination, Error, Finding, Job, JobStatus, LogPage, OptionSpec, State,
    Training, docker, progress, train,
};
use serde_json::{Value, json};

use crate::{Docker, Machine};

const NODE: &str = "algo-1";
/// What SageMaker gives a container between SIGTERM and SIGKILL.
const STOP_GRACE_SECONDS: u32 = 120;
/// As much of `/opt/ml/output/failure` as SageMaker keeps.
const REASON_LENGTH: usize = 1024;

const MODEL: &str = "model.tar.gz";
const OUTPUT: &str = "output.tar.gz";
/// Written last of all that is collected.
const OUTCOME: &str = "outcome.json";
const STOP_REQUESTED: &str = "stop-requested";
/// The exit code of what SIGTERM ended.
const STOPPED: i32 = 143;

impl<M: Machine> train::Guest for Docker<M> {
    fn options() -> Vec<OptionSpec> {
        let mut options = vec![
            OptionSpec::entries(
                "hyperparameters",
                "Arguments of the script, as --config.hyperparameters.NAME=VALUE",
            ),
            OptionSpec::entries(
                "environment",
                "Variables of the container, as --config.environment.NAME=VALUE",
            ),
        ];
        options.extend(M::options());
        options
    }

    fn check(training: &Training) -> Result<Vec<Finding>, Error> {
        M::check(training)
    }

    fn preview(training: &Training) -> Result<String, Error> {
        let options = training.options();
        Ok(json!({
            "node": NODE,
            "argument": "train",
            "environment": texts(&environment(training)),
            "hyperparameters.json": texts(&options.entries("hyperparameters")),
            "resourceconfig.json": resources(),
        })
        .to_string())
    }

    fn prepare(_training: &Training) -> Result<Destination, Error> {
        Ok(Destination::engine())
    }

    fn submit(training: &Training) -> Result<String, Error> {
        let name = training.job_name();
        let image = training.image().ok_or_else(|| Error::failed("there is no image to run"))?;
        let options = training.options();
        let container = docker::Container::new(training, NODE, &image);
        container.argument("train");
        container.scratch("/opt/ml");
        for (key, value) in environment(training) {
            container.environment(&key, &value);
        }
        for (file, content) in [
            ("hyperparameters.json", texts(&options.entries("hyperparameters"))),
            ("inputdataconfig.json", json!({})),
            ("resourceconfig.json", resources()),
        ] {
            container.file(&format!("/opt/ml/input/config/{file}"), content.to_string().as_bytes());
        }
        M::equip(&container, training)?;
        container.start()?;
        Ok(name)
    }

    fn status(job: &Job) -> Result<JobStatus, Error> {
        if let Some(mut outcome) = Outcome::read()? {
            if !outcome.released {
                outcome.release(job)?;
            }
            return Ok(outcome.status());
        }
        let Some(node) = docker::node(job, NODE)? else {
            return lost(job);
        };
        if node.running() {
            let status = JobStatus::new(if stop_requested() { State::Stopping } else { State::Running });
            if let Some(started) = node.started() {
                status.phase("Training", started, None);
            }
            return Ok(status);
        }
        match node.exit_code() {
            Some(exit_code) => Ok(collect(job, &node, exit_code)?.status()),
            // Made, and never started: whoever was to start it was cut off.
            None if stop_requested() => Ok(collect(job, &node, STOPPED)?.status()),
            None => Ok(JobStatus::new(State::Queued)),
        }
    }

    fn logs(job: &Job, cursor: Option<String>) -> Result<LogPage, Error> {
        docker::logs(job, NODE, cursor.as_deref())
    }

    fn stop(job: &Job) -> Result<(), Error> {
        if Outcome::read()?.is_some() {
            return Ok(());
        }
        write_whole(STOP_REQUESTED, b"")?;
        docker::stop(job, NODE, STOP_GRACE_SECONDS)
    }

    fn artifacts(_job: &Job) -> Result<Vec<Artifact>, Error> {
        let kinds = [(ArtifactKind::Model, MODEL), (ArtifactKind::OutputData, OUTPUT)];
        Ok(kinds
            .into_iter()
            .filter(|(_, file)| in_job(file).is_file())
            .map(|(kind, file)| Artifact::job_file(kind, file))
            .collect())
    }

    fn find(_location: String, _prefix: String) -> Result<Vec<String>, Error> {
        Err(Error::unsupported("local jobs have no location in the cloud")
            .hint("leave the S3 path away: `alekseylearn fetch DIR TAG`"))
    }
}

/// Brings home what an ended container holds, and lets the container go.
fn collect(job: &Job, node: &docker::NodeState, exit_code: i32) -> Result<Outcome, Error> {
    progress::stage("Collecting the model");
    docker::collect(job, NODE, "/opt/ml/model", MODEL)?;
    docker::collect(job, NODE, "/opt/ml/output/data", OUTPUT)?;
    let reason = docker::read(job, NODE, "/opt/ml/output/failure")?
        .map(|bytes| String::from_utf8_lossy(&bytes).chars().take(REASON_LENGTH).collect::<String>());
    docker::save_logs(job, NODE)?;
    let mut outcome = Outcome {
        stopped: stop_requested(),
        exit_code,
        out_of_memory: node.out_of_memory(),
        reason,
        started: node.started(),
        finished: node.finished(),
        released: false,
    };
    outcome.write()?;
    outcome.release(job)?;
    Ok(outcome)
}

fn lost(job: &Job) -> Result<JobStatus, Error> {
    if job.reference().is_none() {
        return Err(Error::not_found("there is no container of this job, and never was one"));
    }
    let status = JobStatus::new(State::Failed);
    status.reason("its container is gone, and no result of it was kept: it was removed by another program");
    Ok(status)
}

/// The user's own variables come last.
fn environment(training: &Training) -> Vec<(String, String)> {
    let name = training.job_name();
    let arn = format!("arn:aws:sagemaker:local:000000000000:training-job/{name}");
    let mut variables = vec![("TRAINING_JOB_NAME".to_owned(), name), ("TRAINING_JOB_ARN".to_owned(), arn)];
    variables.extend(training.options().entries("environment"));
    variables
}

/// All values are text, as SageMaker has it.
fn texts(entries: &[(String, String)]) -> Value {
    entries.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect()
}

/// What SageMaker writes for one instance, but for its type: there is none here.
fn resources() -> Value {
    json!({
        "current_host": NODE,
        "current_instance_type": "local",
        "current_group_name": "homogeneousCluster",
        "hosts": [NODE],
        "instance_groups": [
            { "instance_group_name": "homogeneousCluster", "instance_type": "local", "hosts": [NODE] }
        ],
        "network_interface_name": "eth0",
    })
}

/// How a job ended, kept in its folder.
struct Outcome {
    stopped: bool,
    exit_code: i32,
    out_of_memory: bool,
    reason: Option<String>,
    started: Option<u64>,
    finished: Option<u64>,
    /// The container has been removed.
    released: bool,
}

impl Outcome {
    fn read() -> Result<Option<Self>, Error> {
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

    fn write(&self) -> Result<(), Error> {
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

    /// Lets the container go, which is not needed any more. Written down only then: a program that is killed between
    /// leaves it to the next one.
    fn release(&mut self, job: &Job) -> Result<(), Error> {
        docker::remove(job, NODE)?;
        self.released = true;
        self.write()
    }

    fn status(&self) -> JobStatus {
        let state = match self.exit_code {
            _ if self.stopped => State::Stopped,
            0 => State::Completed,
            _ => State::Failed,
        };
        let status = JobStatus::new(state);
        status.exit_code(self.exit_code);
        if let Some(started) = self.started {
            status.phase("Training", started, self.finished);
        }
        match &self.reason {
            _ if self.out_of_memory => {
                status.reason("it was killed: the machine has too little memory for it")
            }
            Some(reason) => status.reason(reason),
            None if state == State::Failed => {
                status.reason(&format!("it ended with exit code {}", self.exit_code))
            }
            None => {}
        }
        status
    }
}

fn stop_requested() -> bool {
    in_job(STOP_REQUESTED).exists()
}

fn in_job(file: &str) -> std::path::PathBuf {
    Path::new("/job").join(file)
}

/// Whole or not at all: another process may read at any moment.
fn write_whole(file: &str, content: &[u8]) -> Result<(), Error> {
    let partial = in_job(&format!("{file}.part"));
    fs::write(&partial, content)
        .and_then(|()| fs::rename(&partial, in_job(file)))
        .map_err(|error| Error::failed(format!("cannot write {file} in the job's folder: {error}")))
}
