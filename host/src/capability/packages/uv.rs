//! uv: the user's own if it is recent, else a pinned version, which is downloaded once and verified by its hash.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::Stdio,
};

use semver::Version;
use tokio::process::Command;

use super::{Request, failure::failed, settings, work::Work};
use crate::{
    capability::{Listener, Progress},
    disk::PRIVATE,
    environment::Environment,
    error::{Context, Error, Kind, Result},
    project::{Content, Form},
};

/// The pinned version and the hashes of its wheels, as in the images of Docker engines.
const PINNED: &str = include_str!("../../../../plugins/docker-drivers/src/uv.txt");
/// The pinned version.
pub(in crate::capability) const VERSION: &str = pinned_version();
/// Variables of the environment that lead to the network.
const NETWORK: [&str; 8] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];
/// Maximum number of characters of the output that an error shows.
const MAX_OUTPUT: usize = 16 << 10;

const fn pinned_version() -> &'static str {
    let start = "uv==".len();
    let mut end = start;
    while PINNED.as_bytes()[end] != b' ' {
        end += 1;
    }
    PINNED.split_at(end).0.split_at(start).1
}

/// The installer, and a Python that it asks about this machine.
pub(super) struct Uv {
    program: PathBuf,
    python: String,
}

impl Uv {
    /// Finds uv, or downloads it to a folder.
    pub(super) async fn find(folder: &Path, work: &Work, listener: Listener<'_>) -> Result<Self> {
        let python = python(work).await?;
        if is_recent(Path::new("uv"), work).await {
            return Ok(Self { program: "uv".into(), python });
        }
        let place = folder.join(format!("uv-{VERSION}"));
        let program = place.join("bin/uv");
        if !program.is_file() {
            listener(Progress::Step("Downloading uv"));
            download(&python, work, &place).await?;
        }
        Ok(Self { program, python })
    }

    /// Prepares the files and variables for an installation.
    pub(super) fn runner<'a>(&'a self, work: &'a Work, request: &Request<'_>) -> io::Result<Runner<'a>> {
        let folder = work.folder();
        let write = |name: &str, text: &str| {
            folder.write(Path::new(name), PRIVATE, |file| file.write_all(text.as_bytes()))
        };
        let mut variables: Vec<(String, String)> = Vec::new();
        let mut set = |name: &str, value: String| variables.push((name.to_owned(), value));
        for name in NETWORK {
            if let Some(value) = Environment::variable(name) {
                set(name, value);
            }
        }
        for (name, value) in &request.indexes.variables {
            if name.starts_with("UV_") {
                set(name, value.clone());
            }
        }
        if let Some(text) = request.indexes.netrc().filter(|_| request.logins) {
            write("netrc", &text)?;
            set("NETRC", work.path("netrc"));
        }
        if let Some(text) = request.certificates {
            write("certificates.pem", text)?;
            set("SSL_CERT_FILE", work.path("certificates.pem"));
        }
        // Not the user's home, whose logins and settings are read and confirmed before.
        set("HOME", work.path(""));
        // An installer that finds no programs runs none.
        set("PATH", String::new());
        write("uv.toml", &settings_of(request)?)?;
        Ok(Runner { uv: self, work, variables })
    }
}

/// Runs uv for one installation.
pub(super) struct Runner<'a> {
    uv: &'a Uv,
    work: &'a Work,
    variables: Vec<(String, String)>,
}

impl Runner<'_> {
    /// Runs a command of uv, and returns its output.
    pub(super) async fn run(
        &mut self,
        request: &Request<'_>,
        arguments: &[String],
        listener: Listener<'_>,
    ) -> Result<String> {
        let cache = self.work.folder().path().join("../../uv-cache");
        let mut command = command(&self.uv.program, self.work);
        command.env_clear().envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.work.folder().path().join(super::PROJECT));
        command.args(["--config-file", &self.work.path("uv.toml")]).arg("--cache-dir").arg(cache);
        command.args(["--no-progress", "--no-python-downloads", "--color", "never"]);
        command.args(arguments);
        if arguments.first().is_some_and(|first| first == "pip") && arguments[1] == "install" {
            command.args(["--keyring-provider", "disabled"]);
        }
        command.env("UV_PYTHON", &self.uv.python);
        let output = command.output().await.context(|| "cannot start uv".into())?;
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            request.indexes.secret_words().iter().fold(text, |text, word| text.replace(word, "****"))
        };
        let said = text(&output.stderr);
        said.lines().for_each(|line| listener(Progress::Line(line)));
        if output.status.success() {
            return Ok(text(&output.stdout));
        }
        let start = said.len().saturating_sub(MAX_OUTPUT);
        let start = (start..=said.len()).find(|at| said.is_char_boundary(*at)).unwrap_or_default();
        Err(failed(request, &said[start..]))
    }
}

/// The settings of the project's own `pyproject.toml`, if its dependencies come from there.
fn settings_of(request: &Request<'_>) -> io::Result<String> {
    let Some(found) = request.dependencies else { return Ok(String::new()) };
    if !matches!(found.form, Form::Pyproject | Form::UvLock) {
        return Ok(String::new());
    }
    let path = Path::new(&found.main).with_file_name("pyproject.toml").display().to_string();
    let text = match found.files.get(&path) {
        None => return Ok(String::new()),
        Some(Content::Text(text)) => text.clone(),
        Some(Content::File(file)) => {
            let bytes = match &file.cleaned {
                Some(bytes) => bytes.clone(),
                None => file.read(super::MAX_SIZE)?,
            };
            String::from_utf8_lossy(&bytes).into_owned()
        }
    };
    Ok(settings::of(&text))
}

/// A command that is killed if nobody waits for it any more.
fn command(program: &Path, work: &Work) -> Command {
    let mut command = Command::new(program);
    command.current_dir(work.folder().path()).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// The path of a Python on this machine. uv asks it about this machine, but installs for another.
async fn python(work: &Work) -> Result<String> {
    for name in ["python3", "python"] {
        let mut command = command(Path::new(name), work);
        command.args(["-I", "-S", "-c", "import sys; print(sys.executable)"]);
        if let Ok(output) = command.output().await
            && output.status.success()
        {
            let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            if !path.is_empty() {
                return Ok(path);
            }
        }
    }
    Err(Error::new(Kind::NotFound, "cannot install the dependencies: there is no Python 3 on this machine")
        .hint("install any version of Python 3, which resolves the versions; or use --build-driver local"))
}

/// Whether a uv is at least as recent as the pinned one, up to the last number.
async fn is_recent(program: &Path, work: &Work) -> bool {
    let mut command = command(program, work);
    let Ok(output) = command.arg("--version").output().await else { return false };
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_whitespace().nth(1).and_then(|version| Version::parse(version).ok());
    let pinned = Version::parse(VERSION).ok();
    version.zip(pinned).is_some_and(|(has, pinned)| (has.major, has.minor) >= (pinned.major, pinned.minor))
}

/// Downloads the pinned version with pip, which knows the user's index and network.
async fn download(python: &str, work: &Work, place: &Path) -> Result<()> {
    let failed = |why: String| {
        Error::new(Kind::Unavailable, format!("cannot download uv {VERSION}"))
            .hint("install uv (https://docs.astral.sh/uv), or use --build-driver local")
            .details(why.trim_end().to_owned())
    };
    let written = work.folder().write(Path::new("uv.txt"), PRIVATE, |file| file.write_all(PINNED.as_bytes()));
    written.map_err(|error| failed(error.to_string()))?;
    let mut command = command(Path::new(python), work);
    command.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]);
    command.args(["--only-binary=:all:", "--require-hashes", "--no-deps", "--target", &work.path("uv")]);
    command.args(["--requirement", &work.path("uv.txt")]);
    let output = command.output().await.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let moved = std::fs::rename(work.path("uv"), place);
    // Another run may have been faster.
    match moved {
        Err(error) if !place.join("bin/uv").is_file() => Err(failed(error.to_string())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_version_is_that_of_the_hashes() {
        assert!(PINNED.starts_with(&format!("uv=={VERSION} ")));
        Version::parse(VERSION).unwrap();
    }
}
