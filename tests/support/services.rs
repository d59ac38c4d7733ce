//! Scripted web services: see `tests/services/README.md`.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::{Sandbox, workspace};

/// A proxy in front of all of them, which ends when this is dropped.
pub struct Services {
    child: Child,
    description: Value,
    _folder: tempfile::TempDir,
}

impl Services {
    /// Starts new services; `None` without `cargo xtask test`.
    pub fn start() -> Option<Self> {
        let mut python = python("services")?;
        let folder = tempfile::tempdir().expect("a folder can be made");
        python.arg("--folder").arg(folder.path());
        if let Some(program) = std::env::var_os("ALEKSEYLEARN_REGISTRY_PROGRAM") {
            python.arg("--registry-program").arg(program);
        }
        let mut child = python.spawn().expect("Python starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output is piped");
        BufReader::new(stdout).read_line(&mut line).expect("its output can be read");
        let description = serde_json::from_str(&line).expect("the services tell where they are");
        Some(Self { child, description, _folder: folder })
    }

    /// Makes a sandbox use them.
    pub fn lead(&self, sandbox: &mut Sandbox) {
        for (name, value) in self.environment() {
            sandbox.set(name, &value);
        }
    }

    /// The environment variables that make a client use them.
    pub fn environment(&self) -> [(&'static str, String); 3] {
        let text = |key: &str| self.description[key].as_str().expect("it is a text").to_owned();
        let certificates = text("certificates");
        [
            ("HTTPS_PROXY", text("proxy")),
            ("SSL_CERT_FILE", certificates.clone()),
            ("REQUESTS_CA_BUNDLE", certificates),
        ]
    }

    /// Changes the script of a service.
    pub fn script(&self, service: &str, changes: &Value) {
        self.post(&format!("script/{service}"), changes);
    }

    /// Adds a fault: see `tests/services/faults.py`.
    pub fn fault(&self, fault: &Value) {
        self.post("faults", fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        ureq::delete(self.url("faults")).call().expect("the services answer");
    }

    /// The state of a service.
    pub fn state(&self, service: &str) -> Value {
        self.get(&format!("state/{service}"))
    }

    /// All requests so far whose path contains the text.
    pub fn asked(&self, path: &str) -> Vec<Value> {
        let Value::Array(all) = self.get("asked") else { panic!("the requests are a list") };
        all.into_iter()
            .filter(|asked| asked["path"].as_str().is_some_and(|known| known.contains(path)))
            .collect()
    }

    fn get(&self, path: &str) -> Value {
        let mut answer = ureq::get(self.url(path)).call().expect("the services answer");
        serde_json::from_str(&answer.body_mut().read_to_string().expect("it is text")).expect("it is JSON")
    }

    fn post(&self, path: &str, body: &Value) {
        ureq::post(self.url(path)).send(body.to_string()).expect("the services answer");
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.description["proxy"].as_str().unwrap_or_default())
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        // When their input ends, they stop everything that they started, and exit.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// A command for one of the tests' Python modules, with piped input and output; `None` without `cargo xtask test`.
pub fn python(module: &str) -> Option<Command> {
    let mut python = Command::new(std::env::var_os("ALEKSEYLEARN_PYTHON")?);
    python
        .args(["-m", module])
        .env("PYTHONPATH", workspace().join("tests"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    Some(python)
}

/// The output of a Python module for an input.
pub fn says(module: &str, input: &str) -> String {
    let mut python = python(module).expect("the services need Python too");
    let mut child = python.spawn().expect("Python starts");
    let mut stdin = child.stdin.take().expect("its input is piped");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    String::from_utf8(output.stdout).expect("it says text")
}

/// A `.tar.gz` with one file, as text for a scripted output: each byte becomes a character.
pub fn archive_text(name: &str, content: &str) -> Value {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, content.as_bytes()).expect("memory takes all");
    let bytes = tar.into_inner().and_then(|gzip| gzip.finish()).expect("memory takes all");
    json!(bytes.iter().map(|byte| char::from(*byte)).collect::<String>())
}

/// The services, or skips the test.
#[macro_export]
macro_rules! services_or_skip {
    () => {
        match $crate::Services::start() {
            Some(services) => services,
            None => return $crate::skipped("ALEKSEYLEARN_PYTHON is not set: run `cargo xtask test`"),
        }
    };
}
