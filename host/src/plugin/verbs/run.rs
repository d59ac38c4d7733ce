//! `run`: what a driver works on.

use std::io::Read;

use wasmtime::{Result, component::Resource};

use super::LONGEST_TEXT;
use crate::{
    error::{Context, Error, Kind},
    plugin::{
        bindings::alekseylearn::driver::run,
        run::{OptionValues, SharedJob, SharedTraining},
        state::State,
    },
};

impl run::Host for State {}

impl run::HostTraining for State {
    async fn tag(&mut self, this: Resource<SharedTraining>) -> Result<String> {
        Ok(self.get(&this)?.project.tag.clone())
    }

    async fn artifact(&mut self, this: Resource<SharedTraining>) -> Result<String> {
        Ok(self.get(&this)?.project.artifact.clone())
    }

    async fn is_notebook(&mut self, this: Resource<SharedTraining>) -> Result<bool> {
        Ok(self.get(&this)?.project.notebook)
    }

    async fn requirements(&mut self, this: Resource<SharedTraining>) -> Result<Option<String>> {
        Ok(self.get(&this)?.project.requirements.clone())
    }

    async fn files(&mut self, this: Resource<SharedTraining>) -> Result<Vec<String>> {
        Ok(self.get(&this)?.project.files.iter().map(|file| file.path.clone()).collect())
    }

    async fn read(&mut self, this: Resource<SharedTraining>, path: String) -> Result<Vec<u8>, Error> {
        let training = self.get(&this)?;
        // Only what may leave the machine anyway: a guest names it, and never a path.
        let file = training.project.files.iter().find(|file| file.path == path);
        let file =
            file.ok_or_else(|| Error::new(Kind::NotFound, format!("the training folder holds no {path}")))?;
        let cannot_read = || format!("cannot read {}", file.source.display());
        let mut content = Vec::new();
        let source = std::fs::File::open(&file.source).context(cannot_read)?;
        source.take(LONGEST_TEXT as u64 + 1).read_to_end(&mut content).context(cannot_read)?;
        if content.len() > LONGEST_TEXT {
            return Err(Error::invalid(format!("{path} is too large to be read by a driver: at most 1 MiB")));
        }
        Ok(content)
    }

    async fn certificates(&mut self, this: Resource<SharedTraining>) -> Result<Option<String>> {
        Ok(self.get(&this)?.certificates.clone())
    }

    async fn options(&mut self, this: Resource<SharedTraining>) -> Result<Resource<OptionValues>> {
        let options = self.get(&this)?.options.clone();
        Ok(self.push(options)?)
    }

    async fn job_name(&mut self, this: Resource<SharedTraining>) -> Result<String> {
        Ok(self.get(&this)?.job_name.clone())
    }

    async fn image(&mut self, this: Resource<SharedTraining>) -> Result<Option<String>> {
        Ok(self.get(&this)?.image.clone())
    }

    async fn drop(&mut self, this: Resource<SharedTraining>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl run::HostJob for State {
    async fn name(&mut self, this: Resource<SharedJob>) -> Result<String> {
        Ok(self.get(&this)?.name.clone())
    }

    async fn reference(&mut self, this: Resource<SharedJob>) -> Result<Option<String>> {
        Ok(self.get(&this)?.reference.clone())
    }

    async fn tag(&mut self, this: Resource<SharedJob>) -> Result<String> {
        Ok(self.get(&this)?.tag.clone())
    }

    async fn options(&mut self, this: Resource<SharedJob>) -> Result<Resource<OptionValues>> {
        let options = self.get(&this)?.options.clone();
        Ok(self.push(options)?)
    }

    async fn drop(&mut self, this: Resource<SharedJob>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
