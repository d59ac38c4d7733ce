//! The `venv` plugin: trains on this machine without a container, in a virtual environment of its own. The same runner
//! keeps the same contract as in an image, below other folders.

use std::{collections::BTreeMap, fs, io::ErrorKind, path::Path};

use alekseylearn_sdk::{
    Artifact, ArtifactKind, Destination, Error, Finding, Job, JobStatus, LogPage, OptionSpec, State,
    Training, process, progress, train,
};
use serde_json::{Value, json};

/// Seconds that SageMaker gives a container between SIGTERM and SIGKILL.
const STOP_GRACE_SECONDS: u32 = 120;
const PROGRAM: &str = "start.py";
const START: &str = include_str!("start.py");
const PROJECT: &str = "project.tar.gz";
const OUTCOME: &str = "outcome.json";
const STOP_REQUESTED: &str = "stop-requested";
const RESULTS: [(ArtifactKind, &str); 3] = [
    (ArtifactKind::Model, "model.tar.gz"),
    (ArtifactKind::OutputData, "output.tar.gz"),
    (ArtifactKind::Checkpoints, "checkpoints.tar.gz"),
];
const DIFFERENCES: &str = "it trains without a container: with this machine's Python and system packages, and it can read \
                           and write all your files; scripts find SM_MODEL_DIR and not /opt/ml/model";

struct Venv;

impl train::Guest for Venv {
    fn options() -> Vec<OptionSpec> {
        vec![
            OptionSpec::entries(
                "hyperparameters",
                "Hyperparameters of the script, as --config.hyperparameters.NAME=VALUE",
            ),
            OptionSpec::entries(
                "environment",
                "Environment variables of the script, as --config.environment.NAME=VALUE",
            ),
            OptionSpec::inputs(
                "input",
                "Folders with data, linked as SM_CHANNEL_NAME, as --config.input.NAME=FOLDER",
                &["s3".to_owned()],
            ),
            OptionSpec::text(runner::PROCESSES.0, runner::PROCESSES.1),
            OptionSpec::metrics(
                "metrics",
                "Regular expressions that find metrics in the log; the group is the value",
            ),
        ]
    }

    fn check(training: &Training) -> Result<Vec<Finding>, Error> {
        if let Some(name) = training.secrets().first() {
            return Err(Error::unsupported(format!(
                "the secret {name} cannot be kept from other programs of this machine"
            ))
            .hint("train in a container with --train-driver local, or set the variable in the script"));
        }
        for (name, folder) in training.options().entries("input") {
            if folder.starts_with("s3://") {
                return Err(Error::unsupported(format!(
                    "--config.input.{name}: a training on this machine cannot read {folder}"
                ))
                .hint("download the data with `aws s3 sync`, and set the option to its folder"));
            }
        }
        Ok(vec![Finding::note(DIFFERENCES)])
    }

    fn preview(training: &Training) -> Result<String, Error> {
        let mut start = start(training)?;
        start["runner"] = Value::Null;
        Ok(json!({ "environment": texts(environment(training)), "start": start }).to_string())
    }

    fn prepare(_training: &Training) -> Result<Destination, Error> {
        Ok(Destination::none())
    }

    fn submit(training: &Training) -> Result<String, Error> {
        progress::stage("Training in a virtual environment of this machine, without a container");
        training.pack(PROJECT)?;
        write("start.json", start(training)?.to_string().as_bytes())?;
        write(PROGRAM, format!("{}\n{START}", runner::INSTALL).as_bytes())?;
        process::start(training, PROGRAM, &environment(training))?;
        Ok(training.job_name())
    }

    fn status(job: &Job) -> Result<JobStatus, Error> {
        // Asked first, because the process may write its outcome and end in between.
        let running = process::running(job)?;
        if let Some(outcome) = outcome()? {
            return Ok(ended(&outcome));
        }
        if running {
            let status = JobStatus::new(if stop_requested() { State::Stopping } else { State::Running });
            status.ask_again(0);
            status.read_log_again(0);
            return Ok(status);
        }
        if job.reference().is_none() {
            return Err(Error::not_found("this job has no process, and never had one"));
        }
        let status = JobStatus::new(if stop_requested() { State::Stopped } else { State::Failed });
        status.reason("its process was killed before its results were saved");
        Ok(status)
    }

    fn logs(job: &Job, cursor: Option<String>) -> Result<LogPage, Error> {
        process::logs(job, cursor.as_deref())
    }

    fn stop(job: &Job) -> Result<(), Error> {
        if outcome()?.is_some() {
            return Ok(());
        }
        write(STOP_REQUESTED, b"")?;
        process::stop(job, STOP_GRACE_SECONDS)
    }

    fn artifacts(_job: &Job) -> Result<Vec<Artifact>, Error> {
        let there = RESULTS.into_iter().filter(|(_, file)| in_job(file).is_file());
        Ok(there.map(|(kind, file)| Artifact::job_file(kind, file)).collect())
    }

    fn find(_location: String, _prefix: String) -> Result<Vec<String>, Error> {
        Err(Error::unsupported("local jobs have no cloud location")
            .hint("leave out the location: `alekseylearn fetch DIR TAG`"))
    }
}

/// What `start.py` needs.
fn start(training: &Training) -> Result<Value, Error> {
    let options = training.options();
    let mut inputs = BTreeMap::new();
    for (name, folder) in options.entries("input") {
        inputs.insert(name, process::input(&folder)?);
    }
    let channel = json!({
        "TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None",
    });
    let channels: BTreeMap<&String, &Value> = inputs.keys().map(|name| (name, &channel)).collect();
    let python = training.python();
    let (versions, origin) =
        python.map_or_else(Default::default, |python| (python.versions(), python.origin()));
    Ok(json!({
        "description": serde_json::from_str::<Value>(&training.description()).unwrap_or_default(),
        "hyperparameters": runner::hyperparameters(options.entries("hyperparameters")),
        "inputdataconfig": channels,
        "resourceconfig": { "current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "lo" },
        "inputs": inputs,
        "imports": training.import_folders(),
        "package": training.metadata().into_iter().collect::<BTreeMap<_, _>>(),
        "python": { "versions": versions, "origin": origin },
        "dependencies": dependencies(training)?,
        "uv": runner::UV,
        "poetry": [runner::POETRY, runner::POETRY_EXPORT],
        "runner": runner::FILES.iter().copied().collect::<BTreeMap<_, _>>(),
    }))
}

/// The dependencies to install; `null` if the project needs no packages.
fn dependencies(training: &Training) -> Result<Value, Error> {
    let notebook = training.is_notebook().then_some(runner::NOTEBOOK_REQUIREMENTS);
    let notebook = notebook.into_iter().flatten().map(|&name| name.to_owned());
    let Some(found) = training.dependencies() else {
        let added: Vec<String> = notebook.collect();
        let none = json!({
            "form": "none", "file": "", "place": null, "member": null, "extras": [], "groups": [], "added": added,
            "imported": [], "as_of": null,
        });
        return Ok(if added.is_empty() { Value::Null } else { none });
    };
    if !runner::FORMS.contains(&found.form().as_str()) {
        return Err(Error::unsupported(format!("this driver cannot install from {}", found.form()))
            .hint("list the dependencies in a requirements.txt"));
    }
    Ok(json!({
        "form": found.form(),
        "file": found.file(),
        "place": found.place(),
        "member": found.member(),
        "extras": found.extras(),
        "groups": found.groups(),
        "added": found.added().into_iter().chain(notebook).collect::<Vec<_>>(),
        "imported": found.imported(),
        "as_of": found.as_of(),
    }))
}

/// The variables of the process. The user's own come last.
fn environment(training: &Training) -> Vec<(String, String)> {
    let (arguments, as_written) = runner::AS_WRITTEN;
    let mut variables = vec![
        ("TRAINING_JOB_NAME".to_owned(), training.job_name()),
        (arguments.to_owned(), as_written.to_owned()),
    ];
    variables.extend(training.runner_environment());
    variables.extend(training.options().entries("environment"));
    variables
}

fn texts(entries: Vec<(String, String)>) -> Value {
    entries.into_iter().map(|(name, value)| (name, Value::String(value))).collect()
}

fn ended(outcome: &Value) -> JobStatus {
    let code = outcome["exit_code"].as_i64().and_then(|code| code.try_into().ok()).unwrap_or(1);
    let state = match code {
        _ if stop_requested() => State::Stopped,
        0 => State::Completed,
        _ => State::Failed,
    };
    let status = JobStatus::new(state);
    status.exit_code(code);
    if let Some(started) = outcome["started"].as_u64() {
        status.phase("Training", started, outcome["finished"].as_u64());
    }
    match outcome["reason"].as_str() {
        Some(reason) => status.reason(reason),
        None if state == State::Failed => status.reason(&format!("exited with code {code}")),
        None => {}
    }
    status
}

fn outcome() -> Result<Option<Value>, Error> {
    match fs::read(in_job(OUTCOME)) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| Error::failed(format!("{OUTCOME} in the job's folder is damaged: {error}"))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::failed(format!("cannot read {OUTCOME}: {error}"))),
    }
}

fn stop_requested() -> bool {
    in_job(STOP_REQUESTED).exists()
}

fn in_job(file: &str) -> std::path::PathBuf {
    Path::new("/job").join(file)
}

/// Writes a file atomically: another process may read it at any moment.
fn write(file: &str, content: &[u8]) -> Result<(), Error> {
    let partial = in_job(&format!("{file}.part"));
    fs::write(&partial, content)
        .and_then(|()| fs::rename(&partial, in_job(file)))
        .map_err(|error| Error::failed(format!("cannot write {file} in the job's folder: {error}")))
}

alekseylearn_sdk::plugin!(train = Venv);
