//! The only reader of environment variables and of the home folder.
//!
//! The AWS SDK reads its own variables, as its documentation has it: profiles, regions and endpoints mean here what
//! they mean to every other AWS tool.

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

/// Set by a shell that asks how a command line could go on.
pub const COMPLETING: &str = "ALEKSEYLEARN_COMPLETE";

/// What the program takes from its surroundings, read once.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Jobs and their record: nothing here can be made again.
    pub data: PathBuf,
    /// Compiled drivers: all of it can be made again.
    pub cache: PathBuf,
    /// The user's own defaults.
    pub config: PathBuf,
    /// Where relative paths start.
    pub current: PathBuf,
    /// What says where the Docker engine is.
    pub docker: DockerEnvironment,
    /// How the user's pip and uv are set up.
    pub packages: PackageEnvironment,
    /// The AWS profile that the user names by `AWS_PROFILE`.
    pub aws_profile: Option<String>,
    /// The bundle of certificates that this network needs.
    pub certificates: Option<CertificateBundle>,
    /// Standard output.
    pub out: Look,
    /// Standard error.
    pub err: Look,
    /// Somebody watches standard error.
    pub interactive: bool,
}

/// A file of certificates in PEM, and who names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateBundle {
    /// Such as `SSL_CERT_FILE`. Messages name this, never the path: it is a variable's value.
    pub named_by: String,
    /// The file.
    pub path: PathBuf,
}

impl CertificateBundle {
    /// The variables that name one, the first that is set first: those of OpenSSL, pip, Python's requests, curl and AWS.
    const VARIABLES: [&str; 5] =
        ["SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", Self::OF_AWS];
    /// The variable that AWS's own tools read.
    const OF_AWS: &str = "AWS_CA_BUNDLE";

    fn named_by(variable: &str) -> Option<Self> {
        let path = env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)?;
        // requests takes a folder as well, which is not a bundle: the system's certificates are then used.
        (!path.is_dir()).then(|| Self { named_by: variable.to_owned(), path })
    }

    /// The one that the environment names.
    pub fn of_the_environment() -> Option<Self> {
        Self::VARIABLES.iter().find_map(|variable| Self::named_by(variable))
    }

    /// The one that `AWS_CA_BUNDLE` names, for requests to AWS.
    pub fn of_aws() -> Option<Self> {
        Self::named_by(Self::OF_AWS)
    }
}

/// How a stream is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Colours are welcome.
    pub color: bool,
    /// A terminal that shows nothing but ASCII.
    pub ascii: bool,
}

impl Look {
    /// As a program looks at it.
    pub const PLAIN: Self = Self { color: false, ascii: false };

    /// By the conventions of no-color.org, bixense.com/clicolors and force-color.org, and by the locale.
    fn read(stream: &impl IsTerminal) -> Self {
        let is_on = |name| text(name).is_some_and(|value| value != "0");
        let is_terminal = stream.is_terminal();
        let color = match () {
            () if text("NO_COLOR").is_some() => false,
            () if is_on("CLICOLOR_FORCE") || is_on("FORCE_COLOR") => true,
            () => is_terminal && !is_dumb() && text("CLICOLOR").is_none_or(|value| value != "0"),
        };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| text(name)).unwrap_or_default();
        let is_utf8 = locale.to_lowercase().replace('-', "").ends_with("utf8");
        Self { color, ascii: is_terminal && !is_utf8 }
    }
}

fn is_dumb() -> bool {
    text("TERM").is_some_and(|term| term == "dumb")
}

/// What Docker's own command line reads to find its engine.
#[derive(Clone, Debug, Default)]
pub struct DockerEnvironment {
    /// `DOCKER_HOST`.
    pub host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub context: Option<String>,
    /// `DOCKER_CONFIG`, or `.docker` in the home folder.
    pub config: PathBuf,
    /// `DOCKER_TLS`: speak TLS, to whomever.
    pub tls: bool,
    /// `DOCKER_TLS_VERIFY`: speak TLS.
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

/// What pip, uv and Poetry read to find packages.
#[derive(Clone, Debug, Default)]
pub struct PackageEnvironment {
    /// The variables that are theirs.
    pub variables: BTreeMap<String, String>,
    /// The home folder.
    pub home: PathBuf,
    /// `XDG_CONFIG_HOME`, or what stands for it.
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

/// Where git's own settings lie.
#[derive(Clone, Debug, Default)]
pub struct GitEnvironment {
    /// The home folder.
    pub home: PathBuf,
    /// The configurations of the user and of the machine; the first that names a setting decides.
    pub configs: Vec<PathBuf>,
    /// The user's list of what is ignored everywhere, unless a configuration names another.
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

    /// A path of git's, which may begin with `~/`, or with the folder of the file where it stands.
    pub fn resolve(&self, path: &str, stands_in: &Path) -> PathBuf {
        match path.strip_prefix("~/") {
            Some(inside) => self.home.join(inside),
            None => stands_in.parent().unwrap_or(Path::new("/")).join(path),
        }
    }
}

impl Environment {
    /// Reads it all.
    ///
    /// # Errors
    /// There is no home folder, or the current folder is gone.
    pub fn read() -> Result<Self> {
        let folders = Xdg::new().map_err(|_| {
            Error::invalid("there is no home folder").hint("set HOME to a folder that you may write to")
        })?;
        let (out, err) = (std::io::stdout(), std::io::stderr());
        Ok(Self {
            data: folders.data_dir().join("alekseylearn"),
            cache: folders.cache_dir().join("alekseylearn"),
            config: folders.config_dir().join("alekseylearn"),
            current: env::current_dir().context(|| "the current folder is gone".into())?,
            docker: DockerEnvironment::read(folders.home_dir()),
            packages: PackageEnvironment::read(&folders),
            aws_profile: text("AWS_PROFILE"),
            certificates: CertificateBundle::of_the_environment(),
            out: Look::read(&out),
            err: Look::read(&err),
            interactive: err.is_terminal() && !is_dumb(),
        })
    }

    /// Cleans the variables that AWS's SDK reads itself: it takes an empty one for a value, and panics at a key with a line
    /// end. Other AWS tools ignore both.
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

    /// A shell asks how a command line could go on.
    pub fn is_completing() -> bool {
        env::var_os(COMPLETING).is_some_and(|shell| !shell.is_empty())
    }

    /// The program's arguments.
    pub fn arguments() -> Vec<OsString> {
        env::args_os().collect()
    }

    /// This very program, also where another file has taken its place since it was started.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn program() -> Result<PathBuf> {
        let running = Path::new("/proc/self/exe");
        if running.exists() {
            return Ok(running.to_owned());
        }
        env::current_exe().context(|| "cannot find the program's own file".into())
    }

    /// A variable that the user named as the place of a credential, read when that is needed.
    pub fn variable(name: &str) -> Option<String> {
        text(name)
    }

    /// A path of the user's, from the current folder on.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.current.join(path)
    }

    /// Makes a folder that only this user may read.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn private_folder(path: &Path) -> Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .context(|| format!("cannot make the folder {}", path.display()))
    }
}

fn text(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
