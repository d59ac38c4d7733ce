//! The kernel's source: a script that holds the project, or the notebook with a cell before and after it.

use std::io::Write;

use alekseylearn_sdk::{Error, Training};
use base64::prelude::{BASE64_STANDARD, Engine};
use flate2::{Compression, write::ZlibEncoder};
use serde_json::{Map, Value, json};

const START: &str = include_str!("start.py");
/// The service accepts less than one megabyte.
pub(crate) const MAX_LENGTH: usize = 1_000_000;
/// Maximum size of a packed project that is embedded in the source. It leaves space for base64's overhead, the runner
/// and a notebook's cells.
pub(crate) const MAX_FOLDER_SIZE: u32 = 500_000;

/// Where the session finds the project.
pub(crate) enum Folder {
    /// In the kernel's source.
    Embedded(Vec<u8>),
    /// In a file of a dataset, with this SHA-256.
    Dataset { file: String, sha256: String },
}

/// The whole source.
pub(crate) fn text(training: &Training, folder: &Folder) -> Result<String, Error> {
    let job = job(training, folder);
    if training.is_notebook() { notebook(training, &job) } else { Ok(script(&job, "train")) }
}

/// The dependencies to install; `None` if the session has no internet access.
fn dependencies(training: &Training) -> Option<Value> {
    let found = training.dependencies().filter(|_| training.options().boolean("internet") == Some(true))?;
    Some(json!({
        "form": found.form(),
        "file": found.file(),
        "place": found.place(),
        "member": found.member(),
        "extras": found.extras(),
        "groups": found.groups(),
        "added": found.added(),
        "imported": found.imported(),
        "as_of": found.as_of(),
    }))
}

fn job(training: &Training, folder: &Folder) -> Map<String, Value> {
    let options = training.options();
    let entries = |key: &str| -> Value {
        options.entries(key).into_iter().map(|(name, value)| (name, Value::String(value))).collect()
    };
    let (embedded, file, sha256) = match folder {
        Folder::Embedded(bytes) => (Some(BASE64_STANDARD.encode(bytes)), None, None),
        Folder::Dataset { file, sha256 } => (None, Some(file), Some(sha256)),
    };
    let job = json!({
        "name": training.job_name(),
        "description": serde_json::from_str::<Value>(&training.description()).unwrap_or_default(),
        "hyperparameters": runner::hyperparameters(options.entries("hyperparameters")),
        "arguments": runner::AS_WRITTEN,
        "told": training.runner_environment().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "environment": entries("environment"),
        "dependencies": dependencies(training),
        "imports": training.import_folders(),
        "package": training.metadata().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "uv": runner::UV,
        "poetry": [runner::POETRY, runner::POETRY_EXPORT],
        "runner": packed_runner(),
        "folder": embedded,
        "file": file,
        "sha256": sha256,
    });
    job.as_object().cloned().unwrap_or_default()
}

fn packed_runner() -> String {
    let files: Value = runner::FILES.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect();
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    zlib.write_all(files.to_string().as_bytes()).expect("writing to memory cannot fail");
    BASE64_STANDARD.encode(zlib.finish().expect("writing to memory cannot fail"))
}

/// A line that identifies the job's kernel if the response to its submission is lost.
pub(crate) fn mark(job_name: &str) -> String {
    format!("alekseylearn: the job {job_name}.")
}

/// One step of `start.py`.
fn script(job: &Map<String, Value>, step: &str) -> String {
    let mut job = job.clone();
    job.insert("step".into(), step.into());
    let name = job["name"].as_str().unwrap_or_default().to_owned();
    // A JSON string is also a Python literal.
    let literal = Value::String(Value::Object(job).to_string()).to_string();
    format!("# {}\nimport json\nJOB = json.loads({literal})\n{}\n{START}", mark(&name), runner::INSTALL)
}

fn notebook(training: &Training, job: &Map<String, Value>) -> Result<String, Error> {
    let path = training.artifact();
    let bytes = training.read(&path)?;
    let broken = |what: &str| {
        Error::invalid(format!("Kaggle cannot run the notebook {path}: {what}"))
            .hint("open the notebook in Jupyter and save it again")
    };
    let mut book: Value = serde_json::from_slice(&bytes).map_err(|error| broken(&error.to_string()))?;
    let with_ids = (book["nbformat"].as_u64(), book["nbformat_minor"].as_u64()) >= (Some(4), Some(5));
    let cells = book["cells"].as_array_mut().ok_or_else(|| broken("it has no cells"))?;
    for cell in cells.iter_mut() {
        if let Some(lines) = cell["source"].as_array() {
            // The service does not accept a list.
            cell["source"] = lines.iter().filter_map(Value::as_str).collect::<String>().into();
        }
        if cell["cell_type"] == "code" {
            cell["outputs"] = json!([]);
        }
    }
    let own = |id: &str, source: String| {
        let mut cell = json!({
            "cell_type": "code",
            "execution_count": null,
            "metadata": { "tags": ["alekseylearn"] },
            "outputs": [],
            "source": source,
        });
        if with_ids {
            cell["id"] = format!("alekseylearn-{id}").into();
        }
        cell
    };
    let tagged = |cell: &Value| {
        let tags = cell["metadata"]["tags"].as_array();
        tags.is_some_and(|tags| tags.iter().any(|tag| tag == "parameters"))
    };
    if let Some(source) = variables(&job["hyperparameters"]) {
        let at = cells.iter().position(tagged).map_or(0, |at| at + 1);
        cells.insert(at, own("parameters", source));
    }
    cells.insert(0, own("start", cell(job, "enter")));
    let ends = json!({ "name": job["name"] });
    cells.push(own("end", cell(ends.as_object().unwrap_or(job), "keep")));
    Ok(book.to_string())
}

/// A cell that runs a step and defines no names.
fn cell(job: &Map<String, Value>, step: &str) -> String {
    let name = job["name"].as_str().unwrap_or_default();
    let literal = Value::String(script(job, step));
    format!(
        "# {}\nexec(compile({literal}, 'alekseylearn', 'exec'), {{'__name__': 'alekseylearn'}})",
        mark(name)
    )
}

/// Assignments of the hyperparameters that are valid Python names. The others are only in SM_HPS.
fn variables(hyperparameters: &Value) -> Option<String> {
    let name = |key: &str| {
        let plain = |c: char| c.is_alphanumeric() || c == '_';
        !key.is_empty() && key.chars().all(plain) && !key.starts_with(|c: char| c.is_ascii_digit())
    };
    let lines: Vec<String> = hyperparameters
        .as_object()?
        .iter()
        .filter(|(key, _)| name(key))
        .map(|(key, value)| {
            let text = value.as_str().unwrap_or_default();
            let decoded = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
            format!("{key} = {}", literal(&decoded))
        })
        .collect();
    (!lines.is_empty()).then(|| format!("# Parameters\n{}", lines.join("\n")))
}

/// A JSON value as a Python literal.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Array(items) => format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let member = |(key, value): (&String, &Value)| format!("{}: {}", json!(key), literal(value));
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
        plain => plain.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hyperparameters_are_python() {
        let text = variables(&json!({ "b": "[1, true, null]", "a": "x y", "c-d": "1", "e": "{\"k\": 1.5}" }));
        assert_eq!(text.unwrap(), "# Parameters\na = \"x y\"\nb = [1, True, None]\ne = {\"k\": 1.5}");
        assert_eq!(variables(&json!({})), None);
    }

    #[test]
    fn the_runner_leaves_space_for_the_project() {
        assert!(packed_runner().len() + START.len() < 100_000, "{}", packed_runner().len());
        assert!(MAX_FOLDER_SIZE as usize * 4 / 3 + 100_000 < MAX_LENGTH);
    }
}
