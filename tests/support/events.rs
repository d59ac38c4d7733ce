//! Validates every event of every `--json` run by the schema, with the Python package jsonschema.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
};

use crate::workspace;

/// The validator process. It starts with the first event, and ends with its input.
struct Validator {
    _process: Child,
    events: ChildStdin,
    verdicts: BufReader<ChildStdout>,
}

/// Fails the test unless each line is a valid event. Does nothing without `cargo xtask test`.
#[track_caller]
pub(crate) fn validate(lines: &str) {
    static VALIDATOR: OnceLock<Option<Mutex<Validator>>> = OnceLock::new();
    let Some(validator) = VALIDATOR.get_or_init(start) else { return };
    let mut validator = validator.lock().unwrap_or_else(PoisonError::into_inner);
    for line in lines.lines() {
        writeln!(validator.events, "{line}").expect("the validator reads");
        let mut verdict = String::new();
        validator.verdicts.read_line(&mut verdict).expect("the validator answers");
        assert_eq!(verdict, "\n", "not a valid event: {line}");
    }
}

fn start() -> Option<Mutex<Validator>> {
    let python = std::env::var_os("ALEKSEYLEARN_PYTHON")?;
    let mut child = Command::new(python)
        .arg(workspace().join("tests/support/events.py"))
        .arg(workspace().join("host/src/ui/events.schema.json"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    let events = child.stdin.take().expect("its input is piped");
    let verdicts = BufReader::new(child.stdout.take().expect("its output is piped"));
    Some(Mutex::new(Validator { _process: child, events, verdicts }))
}
