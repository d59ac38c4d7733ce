//! The train driver: a container for each node, started and collected as SageMaker would.

use alekseylearn_sdk::{
    Artifact, ArtifactKind, Destination, Error, Finding, Job, JobStatus, LogPage, OptionSpec, State,
    Training, Values, docker, progress, train,
};
use serde_json::{Value, json};

use crate::{
    Docker, Machine,
    folder::{in_job, request_stop, stop_requested},
    logs,
    nodes::{self, Node},
    outcome::Outcome,
};

/// Seconds that SageMaker gives a container between SIGTERM and SIGKILL.
const STOP_GRACE_SECONDS: u32 = 120;
/// Characters of `/opt/ml/output/failure` that SageMaker keeps.
const REASON_LENGTH: usize = 1024;

const MODEL: &str = "model.tar.gz";
const OUTPUT: &str = "output.tar.gz";
const CHECKPOINTS: &str = "checkpoints.tar.gz";
/// The exit code of a process that SIGTERM ended.
const STOPPED: i32 = 143;

impl<M: Machine> train::Guest for Docker<M> {
    fn options() -> Vec<OptionSpec> {
        let mut options = vec![
            OptionSpec::entries(
                "hyperparameters",
                "Hyperparameters of the script, as --config.hyperparameters.NAME=VALUE",
            ),
            OptionSpec::entries(
                "environment",
                "Environment variables of the container, as --config.environment.NAME=VALUE",
            ),
            OptionSpec::inputs(
                "input",
                "Folders to mount read-only at /opt/ml/input/data/NAME, as --config.input.NAME=FOLDER",
                &["s3".to_owned()],
            ),
            nodes::option(),
            OptionSpec::text(runner::PROCESSES.0, runner::PROCESSES.1),
            OptionSpec::text(
                "shm_size",
                "Size of /dev/shm, such as 8g, or `half` of the machine's memory as on SageMaker",
            )
            .default_to("half"),
            OptionSpec::metrics(
                "metrics",
                "Regular expressions that find metrics in the log; the group is the value",
            ),
        ];
        options.extend(M::options());
        options
    }

    fn check(training: &Training) -> Result<Vec<Finding>, Error> {
        for (name, folder) in training.options().entries("input") {
            if folder.starts_with("s3://") {
                return Err(Error::unsupported(format!(
                    "--config.input.{name}: local containers cannot read {folder}"
                ))
                .hint("download the data with `aws s3 sync`, and set the option to its folder"));
            }
        }
        M::check(training)
    }

    fn preview(training: &Training) -> Result<String, Error> {
        let options = training.options();
        let nodes = nodes::of(&options);
        Ok(json!({
            "nodes": nodes,
            "argument": "train",
            "environment": texts(&nodes::shown_environment(training)),
            "shm_size": options.text("shm_size"),
            "hyperparameters.json": runner::hyperparameters(options.entries("hyperparameters")),
            "resourceconfig.json": nodes::resources(&nodes[0], &nodes),
        })
        .to_string())
    }

    fn prepare(_training: &Training) -> Result<Destination, Error> {
        Ok(Destination::engine())
    }

    fn submit(training: &Training) -> Result<String, Error> {
        let image = training.image().ok_or_else(|| Error::failed("no image to run"))?;
        let options = training.options();
        let nodes = nodes::of(&options);
        for node in &nodes {
            let container = docker::Container::new(training, node, &image);
            container.argument("train");
            container.scratch("/opt/ml");
            if let Some(size) = options.text("shm_size") {
                container.shm_size(&size)?;
            }
            for (name, folder) in options.entries("input") {
                container.input(&format!("/opt/ml/input/data/{name}"), &folder)?;
            }
            for (key, value) in nodes::environment(training) {
                container.environment(&key, &value);
            }
            for (file, content) in [
                ("hyperparameters.json", runner::hyperparameters(options.entries("hyperparameters")).into()),
                ("inputdataconfig.json", channels(&options)),
                ("resourceconfig.json", nodes::resources(node, &nodes)),
            ] {
                container.file(&format!("/opt/ml/input/config/{file}"), content.to_string().as_bytes());
            }
            if nodes.len() > 1 {
                container.network();
            }
            M::equip(&container, training)?;
            container.start()?;
        }
        Ok(training.job_name())
    }

    fn status(job: &Job) -> Result<JobStatus, Error> {
        if let Some(mut outcome) = Outcome::read()? {
            if !outcome.released {
                outcome.release(job)?;
            }
            return Ok(outcome.status(job));
        }
        let nodes = Node::all(job)?;
        if nodes.iter().all(|node| node.state.is_none()) {
            return lost(job);
        }
        if stop_requested() && !nodes.iter().any(Node::is_running) {
            return Ok(collect(job, &nodes)?.status(job));
        }
        if let Some(failed) = failed(job, &nodes) {
            // One failed node ends the job, as on SageMaker.
            let running: Vec<&Node> = nodes.iter().filter(|node| node.is_running()).collect();
            if !running.is_empty() {
                progress::stage(&format!("Stopping the other nodes: {} failed", failed.name));
                let running: Vec<String> = running.iter().map(|node| node.name.clone()).collect();
                docker::stop(job, &running, STOP_GRACE_SECONDS)?;
            }
            return Ok(collect(job, &nodes)?.status(job));
        }
        if nodes.iter().all(|node| node.exit_code().is_some()) {
            return Ok(collect(job, &nodes)?.status(job));
        }
        let started = nodes.iter().filter_map(Node::started).min();
        let status = JobStatus::new(match started {
            _ if stop_requested() => State::Stopping,
            Some(_) => State::Running,
            // Created but never started, because the process that created it was killed.
            None => State::Queued,
        });
        status.ask_again(0);
        status.read_log_again(0);
        status.nodes(nodes.len() as u32);
        if let Some(started) = started {
            status.phase("Training", started, None);
        }
        Ok(status)
    }

    fn logs(job: &Job, cursor: Option<String>) -> Result<LogPage, Error> {
        logs::page(job, cursor.as_deref())
    }

    fn stop(job: &Job) -> Result<(), Error> {
        if Outcome::read()?.is_some() {
            return Ok(());
        }
        request_stop()?;
        docker::stop(job, &nodes::of(&job.options()), STOP_GRACE_SECONDS)
    }

    fn artifacts(_job: &Job) -> Result<Vec<Artifact>, Error> {
        let kinds = [
            (ArtifactKind::Model, MODEL),
            (ArtifactKind::OutputData, OUTPUT),
            (ArtifactKind::Checkpoints, CHECKPOINTS),
        ];
        let there = kinds.into_iter().filter(|(_, file)| in_job(file).is_file());
        Ok(there.map(|(kind, file)| Artifact::job_file(kind, file)).collect())
    }

    fn find(_location: String, _prefix: String) -> Result<Vec<String>, Error> {
        Err(Error::unsupported("local jobs have no cloud location")
            .hint("leave out the location: `alekseylearn fetch DIR TAG`"))
    }
}

/// The first node that failed. A node without a container has failed if the job was submitted.
fn failed<'a>(job: &Job, nodes: &'a [Node]) -> Option<&'a Node> {
    let gone = nodes.iter().find(|node| node.state.is_none() && job.reference().is_some());
    let failed = nodes.iter().filter(|node| node.exit_code().is_some_and(|code| code != 0));
    gone.or(failed.min_by_key(|node| node.finished()))
}

/// Saves the results of the ended containers, and removes them.
fn collect(job: &Job, nodes: &[Node]) -> Result<Outcome, Error> {
    progress::stage("Collecting the model");
    let there: Vec<String> =
        nodes.iter().filter(|node| node.state.is_some()).map(|node| node.name.clone()).collect();
    if !docker::collect(job, &there, "/opt/ml/model", MODEL)? {
        // Seldom, a busy engine does not find what is there. The containers are removed next, so it is asked again.
        require_volumes(job, nodes)?;
        docker::collect(job, &there, "/opt/ml/model", MODEL)?;
    }
    docker::collect(job, &there, "/opt/ml/output/data", OUTPUT)?;
    docker::collect(job, &there, "/opt/ml/checkpoints", CHECKPOINTS)?;
    for node in &there {
        docker::save_logs(job, node)?;
    }
    let failed = failed(job, nodes);
    let mut outcome = Outcome {
        stopped: stop_requested(),
        exit_code: match failed {
            Some(node) => node.exit_code().unwrap_or(STOPPED),
            // A node that was created but never started ends when the job is stopped.
            None if nodes.iter().any(|node| node.exit_code().is_none()) => STOPPED,
            None => 0,
        },
        out_of_memory: failed
            .and_then(|node| node.state.as_ref())
            .is_some_and(docker::NodeState::out_of_memory),
        reason: match failed {
            Some(node) => reason(job, node, nodes.len())?,
            None => None,
        },
        started: nodes.iter().filter_map(Node::started).min(),
        finished: nodes.iter().filter_map(Node::finished).max(),
        released: false,
    };
    outcome.write()?;
    outcome.release(job)?;
    Ok(outcome)
}

/// Checks that the engine finds `/opt/ml` of the nodes that succeeded, by a file that each has there from its start.
fn require_volumes(job: &Job, nodes: &[Node]) -> Result<(), Error> {
    for node in nodes.iter().filter(|node| node.exit_code() == Some(0)) {
        if docker::read(job, &node.name, "/opt/ml/input/config/hyperparameters.json")?.is_none() {
            return Err(Error::unavailable(format!(
                "the Docker engine cannot read /opt/ml of {}",
                node.name
            ))
            .hint("run the command again; the container is kept"));
        }
    }
    Ok(())
}

/// Why a node failed.
fn reason(job: &Job, node: &Node, count: usize) -> Result<Option<String>, Error> {
    if node.state.is_none() {
        return Ok(Some(format!("the container of {} was removed by another program", node.name)));
    }
    let said = docker::read(job, &node.name, "/opt/ml/output/failure")?
        .map(|bytes| String::from_utf8_lossy(&bytes).chars().take(REASON_LENGTH).collect::<String>());
    Ok(match said {
        Some(said) if count > 1 => Some(format!("{}: {said}", node.name)),
        None if count > 1 => {
            let code = node.exit_code().unwrap_or(STOPPED);
            Some(format!("{} exited with code {code}", node.name))
        }
        said => said,
    })
}

fn lost(job: &Job) -> Result<JobStatus, Error> {
    if job.reference().is_none() {
        return Err(Error::not_found("this job has no container, and never had one"));
    }
    let status = JobStatus::new(State::Failed);
    status.reason("its container was removed by another program before the results were saved");
    Ok(status)
}

/// The input channels, as SageMaker describes them.
fn channels(options: &Values) -> Value {
    let channel = json!({
        "TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None",
    });
    options.entries("input").into_iter().map(|(name, _)| (name, channel.clone())).collect()
}

/// An object of strings only, as SageMaker has it.
fn texts(entries: &[(String, String)]) -> Value {
    entries.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect()
}
