//! A train driver in Rust. It runs the image in one container on the user's Docker engine, with SageMaker's container
//! contract, and collects the model. Each function may be called in a new process: only `/job` is kept between calls.

use std::{fs, path::Path};

use alekseylearn_sdk::{
    Artifact, ArtifactKind, Destination, Error, Finding, Job, JobStatus, LogPage, OptionSpec, State,
    Training, docker, progress, train,
};
use serde_json::{Map, Value, json};

const NODE: &str = "algo-1";
const STOP_GRACE_SECONDS: u32 = 120;
const REASON_LENGTH: usize = 1024;
const MODEL: &str = "model.tar.gz";
const OUTPUT: &str = "output.tar.gz";
const OUTCOME: &str = "/job/outcome.json";
const STOP_REQUESTED: &str = "/job/stop-requested";

struct Driver;

alekseylearn_sdk::plugin!(train = Driver);

impl train::Guest for Driver {
    fn options() -> Vec<OptionSpec> {
        vec![OptionSpec::entries(
            "hyperparameters",
            "Hyperparameters for the script, as --config.hyperparameters.NAME=VALUE",
        )]
    }

    fn check(_training: &Training) -> Result<Vec<Finding>, Error> {
        Ok(Vec::new())
    }

    fn preview(training: &Training) -> Result<String, Error> {
        Ok(json!({ "node": NODE, "hyperparameters": hyperparameters(training) }).to_string())
    }

    fn prepare(_training: &Training) -> Result<Destination, Error> {
        Ok(Destination::engine())
    }

    fn submit(training: &Training) -> Result<String, Error> {
        let image = training.image().ok_or_else(|| Error::failed("there is no image to run"))?;
        let container = docker::Container::new(training, NODE, &image);
        container.argument("train");
        container.scratch("/opt/ml");
        container.environment("TRAINING_JOB_NAME", &training.job_name());
        // Otherwise the runner changes arguments as SageMaker's toolkit does, such as `true` to `True`.
        container.environment("ALEKSEYLEARN_ARGUMENTS", "as-written");
        for (name, content) in [
            ("hyperparameters", hyperparameters(training)),
            ("inputdataconfig", json!({})),
            (
                "resourceconfig",
                json!({ "current_host": NODE, "hosts": [NODE], "network_interface_name": "eth0" }),
            ),
        ] {
            container.file(&format!("/opt/ml/input/config/{name}.json"), content.to_string().as_bytes());
        }
        container.start()?;
        Ok(training.job_name())
    }

    fn status(job: &Job) -> Result<JobStatus, Error> {
        if let Ok(outcome) = fs::read(OUTCOME) {
            return Ok(ended(&serde_json::from_slice(&outcome).unwrap_or_default()));
        }
        let Some(node) = docker::node(job, NODE)? else {
            let status = JobStatus::new(State::Failed);
            status.reason("the container was removed before its results were saved");
            return Ok(status);
        };
        if !node.running() {
            return collect(job, &node).map(|outcome| ended(&outcome));
        }
        Ok(JobStatus::new(if stop_requested() { State::Stopping } else { State::Running }))
    }

    fn logs(job: &Job, cursor: Option<String>) -> Result<LogPage, Error> {
        docker::logs(job, NODE, cursor.as_deref())
    }

    fn stop(job: &Job) -> Result<(), Error> {
        keep(STOP_REQUESTED, b"")?;
        docker::stop(job, &nodes(), STOP_GRACE_SECONDS)
    }

    fn artifacts(_job: &Job) -> Result<Vec<Artifact>, Error> {
        let kinds = [(ArtifactKind::Model, MODEL), (ArtifactKind::OutputData, OUTPUT)];
        let there = kinds.into_iter().filter(|(_, name)| Path::new("/job").join(name).exists());
        Ok(there.map(|(kind, name)| Artifact::job_file(kind, name)).collect())
    }

    fn find(_location: String, _prefix: String) -> Result<Vec<String>, Error> {
        Err(Error::unsupported("jobs of this driver have no location in the cloud")
            .hint("run the command without the S3 path"))
    }
}

fn hyperparameters(training: &Training) -> Value {
    let entries = training.options().entries("hyperparameters");
    Value::Object(entries.into_iter().map(|(name, text)| (name, text.into())).collect::<Map<_, _>>())
}

fn nodes() -> Vec<String> {
    vec![NODE.to_owned()]
}

fn stop_requested() -> bool {
    Path::new(STOP_REQUESTED).exists()
}

/// Saves the results of an ended container. The outcome is written last and atomically, then the container is removed.
fn collect(job: &Job, node: &docker::NodeState) -> Result<Value, Error> {
    progress::stage("Collecting the model");
    docker::collect(job, &nodes(), "/opt/ml/model", MODEL)?;
    docker::collect(job, &nodes(), "/opt/ml/output/data", OUTPUT)?;
    docker::save_logs(job, NODE)?;
    let reason = docker::read(job, NODE, "/opt/ml/output/failure")?;
    let reason =
        reason.map(|bytes| String::from_utf8_lossy(&bytes).chars().take(REASON_LENGTH).collect::<String>());
    let outcome = json!({
        "exit_code": node.exit_code(),
        "stopped": stop_requested(),
        "reason": reason,
        "started": node.started(),
        "finished": node.finished(),
    });
    keep(OUTCOME, outcome.to_string().as_bytes())?;
    docker::remove(job, NODE)?;
    Ok(outcome)
}

fn ended(outcome: &Value) -> JobStatus {
    let exit_code = outcome["exit_code"].as_i64().and_then(|code| i32::try_from(code).ok()).unwrap_or(1);
    let status = JobStatus::new(if outcome["stopped"] == true {
        State::Stopped
    } else if exit_code == 0 {
        State::Completed
    } else {
        State::Failed
    });
    status.exit_code(exit_code);
    if let Some(started) = outcome["started"].as_u64() {
        status.phase("Training", started, outcome["finished"].as_u64());
    }
    if let Some(reason) = outcome["reason"].as_str() {
        status.reason(reason);
    }
    status
}

/// Writes a file atomically, because another process may read it at any time.
fn keep(path: &str, content: &[u8]) -> Result<(), Error> {
    let partial = format!("{path}.part");
    fs::write(&partial, content)
        .and_then(|()| fs::rename(&partial, path))
        .map_err(|error| Error::failed(format!("cannot write {path}: {error}")))
}
