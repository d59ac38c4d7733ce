//! The environment of a bench: a rig, and a separate home folder, so that the user's jobs and plugins are not touched.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process::{run, text};
use crate::rig::{self, Rig};
use crate::tools::{self, SDK};
use crate::workspace::{cache, remove, root};

const PEERS: &str = "tests/bench/requirements.txt";
/// A script that trains nothing.
pub const TRIVIAL: &str = "open('/opt/ml/model/m', 'w').write('x')\n";
/// Turns off the telemetry of SageMaker's SDK.
const NO_TELEMETRY: &str =
    "SchemaVersion: '1.0'\nSageMaker: {PythonSDK: {Modules: {TelemetryOptOut: true}}}\n";

pub struct Place {
    /// The home folder, which is also the current folder.
    pub home: PathBuf,
    /// The program to measure.
    pub program: PathBuf,
    /// The Python with the tools to compare with.
    peers: PathBuf,
    /// A PATH with docker-compose.
    path: OsString,
    /// The base image.
    pub base_image: String,
    state: PathBuf,
    environment: BTreeMap<String, String>,
    _rig: Rig,
}

impl Place {
    pub fn new(program: &Path, base_image: &str) -> Result<Self> {
        let folder = cache()?.join("bench");
        remove(&folder)?;
        let (home, state) = (folder.join("home"), folder.join("rig"));
        fs::create_dir_all(&home)?;
        let rig = Rig::start(&state, &tools::ensure()?)?;
        let environment = serde_json::from_value(rig::describe(&state)?["env"].clone())?;
        let peers = tools::python(&[PEERS, SDK], None)?;
        let path =
            tools::path_with_compose()?.context("the SDK's local mode needs docker-compose: install it")?;
        let (program, base_image) = (program.to_owned(), base_image.to_owned());
        let place = Self { home, program, peers, path, base_image, state, environment, _rig: rig };
        place.write("trivial/train.py", TRIVIAL)?;
        place.write("trivial/requirements.txt", "")?;
        place.write("sagemaker.yaml", NO_TELEMETRY)?;
        Ok(place)
    }

    /// A command of the program to measure.
    pub fn ours(&self, arguments: &[&str]) -> Command {
        self.command(&self.program, arguments)
    }

    /// `fit` with the local base image.
    pub fn fit(&self, script: &str, arguments: &[&str]) -> Command {
        let base = format!("--config.base_image={}", self.base_image);
        self.ours(&[&["fit", script, &base], arguments].concat())
    }

    /// `fit` on the rig's SageMaker.
    pub fn fit_sagemaker(&self, script: &str, arguments: &[&str]) -> Result<Command> {
        let (role, place) = (format!("--config.role_name={}", self.rig("role")?), self.output_path()?);
        let place = format!("--config.output_path={place}");
        Ok(self.fit(script, &[&["--train-driver", "sagemaker", &role, &place], arguments].concat()))
    }

    pub fn output_path(&self) -> Result<String> {
        Ok(format!("s3://{}/jobs", self.rig("bucket")?))
    }

    /// One of the scripts of `tests/bench`.
    pub fn peer(&self, script: &str, arguments: &[&str]) -> Command {
        let script = root().join("tests/bench").join(script);
        self.command(&self.peers, &[&[&*script.to_string_lossy()], arguments].concat())
    }

    /// A program that is installed with the peers.
    pub fn installed(&self, program: &str, arguments: &[&str]) -> Command {
        self.command(&self.peers.with_file_name(program), arguments)
    }

    pub fn docker(&self, arguments: &[&str]) -> Command {
        self.of_system("docker", arguments)
    }

    /// A program of the system.
    pub fn of_system(&self, program: &str, arguments: &[&str]) -> Command {
        self.command(Path::new(program), arguments)
    }

    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.home).env("HOME", &self.home).envs(&self.environment);
        command
            .env("PATH", &self.path)
            .env("SAGEMAKER_USER_CONFIG_OVERRIDE", self.home.join("sagemaker.yaml"));
        for name in ["XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "VIRTUAL_ENV"] {
            command.env_remove(name);
        }
        command
    }

    /// A value of the rig's description, such as `registry`.
    pub fn rig(&self, name: &str) -> Result<String> {
        let description = rig::describe(&self.state)?;
        Ok(description[name].as_str().with_context(|| format!("the rig has no {name}"))?.to_owned())
    }

    /// A variable of the rig's environment, such as `AWS_REGION`.
    pub fn variable(&self, name: &str) -> Result<&str> {
        let value = self.environment.get(name);
        Ok(value.with_context(|| format!("the rig sets no {name}"))?)
    }

    /// Ends the rig's jobs, so that none disturbs the measurement.
    pub fn quiet(&self) -> Result<()> {
        let code = "import sys, urllib.request as r; r.urlopen(r.Request(sys.argv[1] + '/_rig/reset', b'{}', method='POST'))";
        run(&mut self.command(&self.peers, &["-c", code, &self.rig("endpoint")?]))
    }

    /// The size of all layers and manifests in the rig's registry.
    pub fn pushed_bytes(&self) -> Result<u64> {
        bytes_below(&self.state.join("registry"))
    }

    pub fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.home.join(file);
        fs::create_dir_all(path.parent().context("it lies in the home")?)?;
        Ok(fs::write(path, text)?)
    }

    /// Removes a folder in the home folder.
    pub fn forget(&self, folder: &str) -> Result<()> {
        remove(&self.home.join(folder))
    }

    /// Runs a command to its end, with its errors on stderr.
    pub fn must(&self, mut command: Command) -> Result<()> {
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
        ensure!(status.success(), "{command:?}: {status}");
        Ok(())
    }

    /// The newest job, from `jobs --json`.
    pub fn newest_job(&self) -> Result<Value> {
        let jobs: Value = serde_json::from_str(&text(&mut self.ours(&["jobs", "--json"]))?)?;
        Ok(jobs["data"]["jobs"][0].clone())
    }
}

fn bytes_below(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes +=
            if entry.file_type()?.is_dir() { bytes_below(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}
