//! A user with an empty home and an empty environment.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Rig, Run, Running, Terminal, workspace};

/// The variables that are passed through: how this machine reaches its engine and networks.
const OF_THE_MACHINE: [&str; 5] = ["PATH", "DOCKER_HOST", "SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"];

/// A home folder and a working folder.
pub struct Sandbox {
    root: TempDir,
    variables: BTreeMap<String, String>,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Sandbox {
    /// An empty sandbox.
    pub fn new() -> Self {
        let root =
            tempfile::Builder::new().prefix("alekseylearn-test-").tempdir().expect("a folder can be made");
        for folder in ["home", "work"] {
            fs::create_dir(root.path().join(folder)).expect("a folder can be made");
        }
        Self { root, variables: BTreeMap::new() }
    }

    /// A sandbox with the rig as AWS.
    pub fn with_rig(rig: &Rig) -> Self {
        Self { variables: rig.environment(), ..Self::new() }
    }

    /// Sets an environment variable.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Removes an environment variable.
    pub fn unset(&mut self, name: &str) -> &mut Self {
        self.variables.remove(name);
        self
    }

    /// A path in the working folder.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.path().join("work").join(relative)
    }

    /// Writes a file in the home folder.
    pub fn write_home(&self, relative: &str, content: &str) {
        let path = self.root.path().join("home").join(relative);
        fs::create_dir_all(path.parent().expect("it lies in the home")).expect("a folder can be made");
        fs::write(path, content).expect("a file can be written");
    }

    /// A path in the home folder.
    pub fn home(&self, relative: &str) -> PathBuf {
        self.root.path().join("home").join(relative)
    }

    /// The program's data folder.
    pub fn data(&self) -> PathBuf {
        self.root.path().join("home/.local/share/alekseylearn")
    }

    /// Fails the test if a file in the program's data folder contains one of these secrets, or if there are at most two
    /// files.
    pub fn keeps_none_of(&self, secrets: &[&str]) {
        let mut folders = vec![self.data()];
        let mut files = 0;
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                    continue;
                }
                let content = fs::read(entry.path()).unwrap();
                for secret in secrets {
                    let holds = content.windows(secret.len()).any(|part| part == secret.as_bytes());
                    assert!(!holds, "{}: {secret}", entry.path().display());
                }
                files += 1;
            }
        }
        assert!(files > 2, "there is a record, and a plugin");
    }

    /// Writes a file in the working folder.
    pub fn write(&self, relative: &str, content: &str) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().expect("it lies in the folder")).expect("a folder can be made");
        fs::write(&path, content).expect("a file can be written");
        path
    }

    /// Copies a project of the repository, such as `examples/digits`.
    pub fn project(&self, folder: &str) -> PathBuf {
        let source = workspace().join(folder);
        let target =
            self.path(source.file_name().and_then(|name| name.to_str()).expect("a folder has a name"));
        copy(&source, &target);
        target
    }

    /// The path of the program.
    pub fn program(&self) -> PathBuf {
        program()
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments))
    }

    /// Runs the program to its end, in a folder below the working folder.
    pub fn run_in(&self, folder: &str, arguments: &[&str]) -> Run {
        let mut command = self.command(arguments);
        command.current_dir(self.path(folder));
        Run::of(command)
    }

    /// Starts the program.
    pub fn start(&self, arguments: &[&str]) -> Running {
        Running::of(self.command(arguments))
    }

    /// Runs the program on a terminal with that number of columns.
    pub fn on_terminal(&self, columns: u16, arguments: &[&str]) -> Terminal {
        Terminal::start(&self.command(arguments), columns)
    }

    /// Runs another program on a terminal, with this program on its PATH.
    pub fn other_on_terminal(&self, columns: u16, program: &Path, arguments: &[&str]) -> Terminal {
        Terminal::start(&self.other(program, arguments), columns)
    }

    /// Runs another program to its end, with this program on its PATH.
    pub fn run_other(&self, program: &Path, arguments: &[&str]) -> Run {
        Run::of(self.other(program, arguments))
    }

    /// The newest job in `jobs --json`.
    pub fn newest_job(&self) -> Value {
        self.run(&["jobs", "--json"]).success().data()["jobs"][0].clone()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.surrounded(&program(), arguments)
    }

    fn other(&self, other: &Path, arguments: &[&str]) -> Command {
        let mut command = self.surrounded(other, arguments);
        let program = program();
        let folder = program.parent().expect("the program lies in a folder").display();
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{folder}:{path}"));
        command
    }

    fn surrounded(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.path("")).env_clear();
        command.env("HOME", self.root.path().join("home"));
        // All tests share the cache of compiled drivers. One test checks that it is not needed.
        command.env("XDG_CACHE_HOME", std::env::temp_dir().join("alekseylearn-tests-cache"));
        for name in OF_THE_MACHINE {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(&self.variables);
        command
    }
}

/// The program that `cargo xtask test` built, or the one beside this test.
fn program() -> PathBuf {
    if let Some(program) = std::env::var_os("ALEKSEYLEARN_PROGRAM") {
        return program.into();
    }
    let test = std::env::current_exe().expect("a test has a path");
    test.ancestors().nth(2).expect("it lies in target/debug/deps").join("alekseylearn")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("the training folder is there") {
        let entry = entry.expect("it can be listed");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
}
