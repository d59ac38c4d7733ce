//! The only module that reads environment variables and the home folder.
//!
//! The AWS SDK reads its own variables: profiles, regions and endpoints mean the same as in every other AWS tool.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs,
    io::IsTerminal,
    path::{Path, PathBuf},
};

use etcetera::base_strategy::{BaseStrategy, Xdg};

use crate::error::{Context, Error, Result};

/// The variable that a shell sets to request completions.
pub const COMPLETING: &str = "ALEKSEYLEARN_COMPLETE";

/// The environment of the program, read once at the start.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The data folder: jobs and their record. Nothing here can be recreated.
    pub data: PathBuf,
    /// The cache folder: compiled drivers. Everything here can be recreated.
    pub cache: PathBuf,
    /// The configuration folder, with the user's own defaults.
    pub config: PathBuf,
    /// The current folder.
    pub current: PathBuf,
    /// The variables that locate the Docker engine.
    pub docker: DockerEnvironment,
    /// The configuration of the user's pip and uv.
    pub packages: PackageEnvironment,
    /// The AWS profile of `AWS_PROFILE`.
    pub aws_profile: Option<String>,
    /// The CA bundle of the user's network.
    pub certificates: Option<CertificateBundle>,
    /// Standard output.
    pub out: Look,
    /// Standard error.
    pub err: Look,
    /// Whether standard error is a terminal.
    pub interactive: bool,
}

/// A CA bundle: a file of PEM certificates, and the variable that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateBundle {
    /// The variable, such as `SSL_CERT_FILE`. Messages show it instead of the path, which is a variable's value.
    pub named_by: String,
    /// The file.
    pub path: PathBuf,
}

impl CertificateBundle {
    /// The variables that name a bundle: those of OpenSSL, pip, Python's requests, curl and AWS. The first that is set counts.
    const VARIABLES: [&str; 5] =
        ["SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", Self::OF_AWS];
    /// The variable that AWS's own tools read.
    const OF_AWS: &str = "AWS_CA_BUNDLE";

    fn named_by(variable: &str) -> Option<Self> {
        let path = env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)?;
        // requests also accepts a folder, which is not a bundle: the system's certificates are used then.
        (!path.is_dir()).then(|| Self { named_by: variable.to_owned(), path })
    }

    /// The bundle that the environment names.
    pub fn of_the_environment() -> Option<Self> {
        Self::VARIABLES.iter().find_map(|variable| Self::named_by(variable))
    }

    /// The bundle of `AWS_CA_BUNDLE`, for requests to AWS.
    pub fn of_aws() -> Option<Self> {
        Self::named_by(Self::OF_AWS)
    }
}

/// What the reader of a stream can display.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whether to use colours.
    pub color: bool,
    /// Whether it is a terminal that shows only ASCII.
    pub ascii: bool,
}

impl Look {
    /// For a program: no colours.
    pub const PLAIN: Self = Self { color: false, ascii: false };

    /// Follows the conventions of no-color.org, bixense.com/clicolors and force-color.org, and the locale.
    fn read(stream: &impl IsTerminal) -> Self {
        let is_on = |name| text(name).is_some_and(|value| value != "0");
        let is_terminal = stream.is_terminal();
        let color = if text("NO_COLOR").is_some() {
            false
        } else if is_on("CLICOLOR_FORCE") || is_on("FORCE_COLOR") {
            true
        } else {
            is_terminal && !is_dumb() && text("CLICOLOR").is_none_or(|value| value != "0")
        };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| text(name)).unwrap_or_default();
        let is_utf8 = locale.to_lowercase().replace('-', "").ends_with("utf8");
        Self { color, ascii: is_terminal && !is_utf8 }
    }
}

fn is_dumb() -> bool {
    text("TERM").is_some_and(|term| term == "dumb")
}

/// The variables that Docker's command line reads to find its engine.
#[derive(Clone, Debug, Default)]
pub struct DockerEnvironment {
    /// `DOCKER_HOST`.
    pub host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub context: Option<String>,
    /// `DOCKER_CONFIG`, or `.docker` in the home folder.
    pub config: PathBuf,
    /// `DOCKER_TLS`: use TLS without verifying the engine.
    pub tls: bool,
    /// `DOCKER_TLS_VERIFY`: use TLS and verify the engine.
    pub tls_verify: bool,
    /// `DOCKER_CERT_PATH`.
    pub certificates: Option<PathBuf>,
    /// `DOCKER_BUILDKIT=0`.
    pub classic_builder: bool,
    /// The home folder.
    pub home: PathBuf,
    /// `XDG_RUNTIME_DIR`.
    pub runtime: Option<PathBuf>,
}

impl DockerEnvironment {
    fn read(home: &Path) -> Self {
        Self {
            host: text("DOCKER_HOST"),
            context: text("DOCKER_CONTEXT"),
            config: text("DOCKER_CONFIG").map_or_else(|| home.join(".docker"), PathBuf::from),
            tls: text("DOCKER_TLS").is_some(),
            tls_verify: text("DOCKER_TLS_VERIFY").is_some(),
            certificates: text("DOCKER_CERT_PATH").map(PathBuf::from),
            classic_builder: text("DOCKER_BUILDKIT")
                .is_some_and(|value| ["0", "f", "false"].contains(&value.to_lowercase().as_str())),
            home: home.to_owned(),
            runtime: text("XDG_RUNTIME_DIR").map(PathBuf::from),
        }
    }
}

/// The environment that pip, uv and Poetry read to find packages.
#[derive(Clone, Debug, Default)]
pub struct PackageEnvironment {
    /// The variables of these tools.
    pub variables: BTreeMap<String, String>,
    /// The home folder.
    pub home: PathBuf,
    /// `XDG_CONFIG_HOME`, or its default.
    pub config: PathBuf,
}

impl PackageEnvironment {
    fn read(folders: &Xdg) -> Self {
        let theirs = |name: &str| {
            ["PIP_", "UV_", "POETRY_HTTP_BASIC_"].iter().any(|start| name.starts_with(start))
                || ["NETRC", "VIRTUAL_ENV"].contains(&name)
        };
        let variables = env::vars_os().filter_map(|(name, value)| {
            let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
            (theirs(&name) && !value.is_empty()).then_some((name, value))
        });
        Self {
            variables: variables.collect(),
            home: folders.home_dir().to_owned(),
            config: folders.config_dir(),
        }
    }
}

/// The locations of git's settings.
#[derive(Clone, Debug, Default)]
pub struct GitEnvironment {
    /// The home folder.
    pub home: PathBuf,
    /// The configuration files of the user and of the machine. The first one that has a setting decides.
    pub configs: Vec<PathBuf>,
    /// The user's global ignore file, unless a configuration names another.
    pub ignore: PathBuf,
}

impl GitEnvironment {
    /// Those of this user; nothing without a home folder.
    pub fn read() -> Self {
        let Ok(folders) = Xdg::new() else { return Self::default() };
        let (home, config) = (folders.home_dir(), folders.config_dir().join("git"));
        let users = match text("GIT_CONFIG_GLOBAL") {
            Some(path) => vec![path.into()],
            None => vec![home.join(".gitconfig"), config.join("config")],
        };
        let machines = text("GIT_CONFIG_SYSTEM").unwrap_or_else(|| "/etc/gitconfig".to_owned());
        let machines = text("GIT_CONFIG_NOSYSTEM").is_none().then_some(machines.into());
        Self {
            home: home.to_owned(),
            configs: users.into_iter().chain(machines).collect(),
            ignore: config.join("ignore"),
        }
    }

    /// Resolves a path of git's: it may begin with `~/`, and is otherwise relative to the file that names it.
    pub fn resolve(&self, path: &str, stands_in: &Path) -> PathBuf {
        match path.strip_prefix("~/") {
            Some(inside) => self.home.join(inside),
            None => stands_in.parent().unwrap_or(Path::new("/")).join(path),
        }
    }
}

impl Environment {
    /// Reads the environment.
    ///
    /// # Errors
    /// There is no home folder, or the current folder does not exist.
    pub fn read() -> Result<Self> {
        let folders = Xdg::new()
            .map_err(|_| Error::invalid("no home folder found").hint("set HOME to a writable folder"))?;
        let (out, err) = (std::io::stdout(), std::io::stderr());
        Ok(Self {
            data: folders.data_dir().join("alekseylearn"),
            cache: folders.cache_dir().join("alekseylearn"),
            config: folders.config_dir().join("alekseylearn"),
            current: env::current_dir().context(|| "cannot read the current folder".into())?,
            docker: DockerEnvironment::read(folders.home_dir()),
            packages: PackageEnvironment::read(&folders),
            aws_profile: text("AWS_PROFILE"),
            certificates: CertificateBundle::of_the_environment(),
            out: Look::read(&out),
            err: Look::read(&err),
            interactive: err.is_terminal() && !is_dumb(),
        })
    }

    /// Cleans the variables that the AWS SDK reads itself: it takes an empty one for a value, and panics if a key contains
    /// a line end. Other AWS tools ignore both.
    pub fn clean() {
        for (name, value) in env::vars_os() {
            let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { continue };
            if !name.starts_with("AWS_") || value.trim() == value && !value.is_empty() {
                continue;
            }
            // SAFETY: the program has no other thread yet that could read or write variables.
            unsafe {
                match value.trim() {
                    "" => env::remove_var(name),
                    value => env::set_var(name, value),
                }
            }
        }
    }

    /// Whether a shell requests completions.
    pub fn is_completing() -> bool {
        env::var_os(COMPLETING).is_some_and(|shell| !shell.is_empty())
    }

    /// The program's arguments.
    pub fn arguments() -> Vec<OsString> {
        env::args_os().collect()
    }

    /// The path of this program, even if its file was replaced after the start.
    ///
    /// # Errors
    /// The system does not provide the path.
    pub fn program() -> Result<PathBuf> {
        let running = Path::new("/proc/self/exe");
        if running.exists() {
            return Ok(running.to_owned());
        }
        env::current_exe().context(|| "cannot find the program's own file".into())
    }

    /// The path of a program on the user's `PATH`; `None` if no folder on it has the program.
    pub fn program_on_path(name: &str) -> Option<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        let is_program = |path: &PathBuf| {
            path.metadata().is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
        };
        let folders = env::var_os("PATH")?;
        env::split_paths(&folders)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join(name))
            .find(is_program)
    }

    /// The variables that a training without a container gets: those that say where programs, files and networks are, but
    /// no credentials.
    pub fn of_processes() -> Vec<(OsString, OsString)> {
        const NAMES: [&str; 17] = [
            "PATH",
            "HOME",
            "USER",
            "LOGNAME",
            "SHELL",
            "LANG",
            "LANGUAGE",
            "TZ",
            "TMPDIR",
            "LD_LIBRARY_PATH",
            "CUDA_VISIBLE_DEVICES",
            "XDG_CACHE_HOME",
            "XDG_CONFIG_HOME",
            "XDG_DATA_HOME",
            "SSL_CERT_FILE",
            "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE",
        ];
        let is_passed = |name: &str| {
            let of_a_kind = ["LC_", "PIP_", "UV_"].iter().any(|prefix| name.starts_with(prefix));
            NAMES.contains(&name) || of_a_kind || name.to_ascii_lowercase().ends_with("_proxy")
        };
        env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_passed)).collect()
    }

    /// The value of a variable. The user may name one as the source of a credential, which is read only when needed.
    pub fn variable(name: &str) -> Option<String> {
        text(name)
    }

    /// Resolves a path of the user against the current folder.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.current.join(path)
    }

    /// Creates a folder that only this user can read.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn private_folder(path: &Path) -> Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .context(|| format!("cannot create the folder {}", path.display()))
    }
}

fn text(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
