//! Runs of the program.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::Value;

use crate::events::validate;

/// A run that ended.
#[derive(Debug)]
pub struct Run {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Run {
    #[track_caller]
    pub(crate) fn of(mut command: Command) -> Self {
        let output = command.stdin(Stdio::null()).output().expect("the program starts");
        let run = Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        run.held_to_schema(&command).held_to_commands(&command)
    }

    /// Checks that the program accepts each of its own commands in an error or hint.
    #[track_caller]
    fn held_to_commands(self, command: &Command) -> Self {
        if command.get_program().to_string_lossy().ends_with("alekseylearn") {
            for told in commands_in(&self.stderr) {
                let mut asked = Command::new(command.get_program());
                let mut words = words(&told);
                // What follows `--` is a script's.
                let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
                words.insert(end, "--help".into());
                asked.args(words).stdin(Stdio::null());
                let output = asked.output().expect("the program starts");
                let why = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "the hint `alekseylearn {told}` is not a command: {why}");
            }
        }
        self
    }

    /// Checks that the output of `--json` is valid, and that its error has the program's exit code.
    #[track_caller]
    fn held_to_schema(self, command: &Command) -> Self {
        let mut words = command.get_args().take_while(|word| *word != "--");
        if words.any(|word| word == "--json") && !self.stdout.starts_with("Usage") {
            // A killed process may have written a partial line.
            let whole = self.stdout.rfind('\n').map_or(0, |end| end + 1);
            validate(&self.stdout[..whole]);
            if let Some(code) = self.code {
                let errors = self.events().into_iter().filter(|event| event["event"] == "error");
                let told: Vec<Value> = errors.map(|event| event["exit_code"].clone()).collect();
                let expected: Vec<Value> = if code == 0 { Vec::new() } else { vec![code.into()] };
                assert_eq!(told, expected, "{}", self.stdout);
            }
        }
        self
    }

    /// Fails the test unless the run succeeded.
    #[track_caller]
    pub fn success(self) -> Self {
        self.failure(0)
    }

    /// Fails the test unless the run ended with that exit code.
    #[track_caller]
    pub fn failure(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }

    /// Fails the test unless standard error contains the text.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no `{text}` in\n{}", self.stderr);
        self
    }

    /// Fails the test unless there is exactly one error, with one hint.
    #[track_caller]
    pub fn one_error(self) -> Self {
        let count = |start: &str| self.stderr.lines().filter(|line| line.starts_with(start)).count();
        assert_eq!((count("error: "), count("hint: ")), (1, 1), "{}", self.stderr);
        self
    }

    /// The events of a `--json` run.
    #[track_caller]
    pub fn events(&self) -> Vec<Value> {
        let parse =
            |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in `{line}`"));
        self.stdout.lines().map(parse).collect()
    }

    /// The data of a `--json` run's result.
    #[track_caller]
    pub fn data(&self) -> Value {
        let result = self.events().into_iter().rfind(|event| event["event"] == "result");
        result.unwrap_or_else(|| panic!("no result in\n{}\n{}", self.stdout, self.stderr))["data"].clone()
    }
}

/// The commands of this program that stand in backticks, without the program's name.
fn commands_in(text: &str) -> Vec<String> {
    let quoted = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let told = quoted.filter_map(|quoted| quoted.strip_prefix("alekseylearn "));
    told.filter(|told| !told.contains('…')).map(str::to_owned).collect()
}

/// Splits a command line like a shell. Supports only single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().expect("there is one").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A run in progress.
pub struct Running {
    command: Command,
    child: Child,
    stdout: BufReader<ChildStdout>,
    read: String,
}

impl Running {
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stdout = child.stdout.take().expect("its output is piped");
        Self { command, child, stdout: BufReader::new(stdout), read: String::new() }
    }

    /// Waits for a line of output that contains the text.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            let length = self.stdout.read_line(&mut line).expect("its output can be read");
            if length == 0 {
                let errors = self.errors();
                panic!("it ended without `{text}`:\n{}\n{errors}", self.read);
            }
            self.read.push_str(&line);
            if line.contains(text) {
                return line;
            }
        }
    }

    /// The next line of output; `None` at the end.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let length = self.stdout.read_line(&mut line).expect("its output can be read");
        self.read.push_str(&line);
        (length > 0).then_some(line)
    }

    /// Sends a signal, by name.
    pub fn signal(&self, signal: &str) {
        let status =
            Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status();
        assert!(status.expect("kill starts").success(), "the signal is sent");
    }

    /// Sends a signal, by name, to a process that may have ended.
    pub fn signal_if_running(&self, signal: &str) {
        let status =
            Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status();
        // The process was not waited for yet, so its ID is not reused.
        status.expect("kill starts");
    }

    /// Waits for the end of the run.
    pub fn end(mut self) -> Run {
        let mut stdout = self.read.clone();
        self.stdout.read_to_string(&mut stdout).expect("its output can be read");
        let stderr = self.errors();
        let status = self.child.wait().expect("it can be waited for");
        Run { code: status.code(), stdout, stderr }.held_to_schema(&self.command)
    }

    fn errors(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut text).expect("its errors can be read");
        }
        text
    }
}
