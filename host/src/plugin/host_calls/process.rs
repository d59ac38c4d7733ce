//! `process`: a job as a process of this machine, for shipped drivers alone.

use std::{path::Path, time::Duration};

use wasmtime::component::Resource;

use super::in_job;
use crate::{
    capability::process,
    disk::{Folder, cannot_read},
    error::{Error, Kind, Result},
    plugin::{
        driver::run::{SharedJob, SharedTraining},
        policy::verb::Verb,
        sandbox::{
            bindings::alekseylearn::driver::{
                process as wit,
                types::{LogLine, LogPage},
            },
            state::CallState,
        },
    },
};

/// The node in the log. There is only one.
const NODE: &str = "algo-1";
/// The longest time between SIGTERM and SIGKILL, in seconds.
const MAX_GRACE: u32 = 600;
/// Where processes keep virtual environments, which later ones use again.
const CACHE: &str = "ALEKSEYLEARN_ENVIRONMENTS";

impl CallState {
    /// The folder of a job that has a process of its own.
    fn folder_of_process(&self, job: &Resource<SharedJob>) -> Result<Folder> {
        let job = self.get(job)?;
        self.allow(Verb::Process(&job.name))?;
        Folder::open(&job.folder).map_err(|error| cannot_read(&job.folder, error))
    }
}

impl wit::Host for CallState {
    async fn start(
        &mut self,
        training: Resource<SharedTraining>,
        program: String,
        environment: Vec<(String, String)>,
    ) -> Result<()> {
        let training = self.get(&training)?.clone();
        self.allow(Verb::Process(&training.job_name))?;
        let program = in_job(program);
        self.allow(Verb::JobFile(&program))?;
        let missing = || Error::new(Kind::Plugin, "a process needs a job's folder");
        let path = self.job.clone().ok_or_else(missing)?;
        let folder = Folder::open(&path).map_err(|error| cannot_read(&path, error))?;
        let cache = self.services.environments()?.display().to_string();
        let environment = [vec![(CACHE.to_owned(), cache)], environment].concat();
        process::start(&folder, Path::new(&program), &environment).await
    }

    async fn input(&mut self, folder: String) -> Result<String> {
        self.allow(Verb::ProcessInput(&folder))?;
        let path = Path::new(&folder).canonicalize().ok().filter(|path| path.is_dir());
        let path = path.ok_or_else(|| {
            Error::new(Kind::NotFound, format!("there is no folder {folder}"))
                .hint("use a folder of this machine")
        })?;
        Ok(path.display().to_string())
    }

    async fn running(&mut self, job: Resource<SharedJob>) -> Result<bool> {
        let folder = self.folder_of_process(&job)?;
        process::is_running(&folder).map_err(|error| cannot_read(folder.path(), error))
    }

    async fn logs(&mut self, job: Resource<SharedJob>, cursor: Option<String>) -> Result<LogPage> {
        let folder = self.folder_of_process(&job)?;
        let seen = match cursor {
            Some(cursor) => {
                cursor.parse().map_err(|_| Error::invalid(format!("`{cursor}` is not a valid log cursor")))?
            }
            None => 0,
        };
        let chunk = process::chunk(&folder, seen).await?;
        let line = |text| LogLine { node: NODE.to_owned(), time: None, text };
        Ok(LogPage {
            lines: chunk.lines.into_iter().map(line).collect(),
            cursor: chunk.seen.to_string(),
            drained: chunk.drained,
        })
    }

    async fn stop(&mut self, job: Resource<SharedJob>, grace: u32) -> Result<()> {
        let folder = self.folder_of_process(&job)?;
        process::stop(&folder, Duration::from_secs(grace.min(MAX_GRACE).into())).await
    }
}
