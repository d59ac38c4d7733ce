//! The only reader of environment variables and of the home folder.
//!
//! The AWS SDK reads its own variables, as its documentation has it: profiles, regions and endpoints mean here what
//! they mean to every other AWS tool.

use std::{
    env,
    ffi::OsString,
    fs,
    io::IsTerminal,
    path::{Path, PathBuf},
};

use etcetera::base_strategy::{BaseStrategy, Xdg};

use crate::error::{Context, Error, Result};

/// What the program takes from its surroundings, read once.
#[derive(Debug)]
pub struct Environment {
    /// Jobs and their record: nothing here can be made again.
    pub data: PathBuf,
    /// Compiled drivers: all of it can be made again.
    pub cache: PathBuf,
    /// The user's own defaults.
    pub config: PathBuf,
    /// Where relative paths start.
    pub current: PathBuf,
    /// `DOCKER_HOST`.
    pub docker_host: Option<String>,
    /// A bundle of certificates that this network needs, by `SSL_CERT_FILE`, `PIP_CERT` or `REQUESTS_CA_BUNDLE`.
    pub certificates: Option<PathBuf>,
    /// Colours are welcome on standard error.
    pub color: bool,
    /// Somebody watches standard error.
    pub interactive: bool,
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
        let interactive =
            std::io::stderr().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb");
        Ok(Self {
            data: folders.data_dir().join("alekseylearn"),
            cache: folders.cache_dir().join("alekseylearn"),
            config: folders.config_dir().join("alekseylearn"),
            current: env::current_dir().context(|| "the current folder is gone".into())?,
            docker_host: text("DOCKER_HOST"),
            certificates: ["SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"]
                .iter()
                .filter_map(env::var_os)
                .map(PathBuf::from)
                .find(|path| path.is_file()),
            color: interactive && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            interactive,
        })
    }

    /// The program's arguments.
    pub fn arguments() -> Vec<OsString> {
        env::args_os().collect()
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
