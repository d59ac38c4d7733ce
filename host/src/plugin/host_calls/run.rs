//! `run`: the training or job that a driver works on.

use std::{
    io::{self, ErrorKind, Write},
    path::Path,
    sync::Arc,
};

use sha2::{Digest, Sha256};
use wasmtime::{Result, component::Resource};

use super::{MAX_TEXT_LENGTH, in_job};
use crate::{
    capability::docker::BuildContext,
    disk::{Folder, PRIVATE, cannot_read},
    error::{Error, Kind},
    plugin::{
        driver::run::{OptionValues, SharedDependencies, SharedJob, SharedPython, SharedTraining},
        policy::verb::Verb,
        sandbox::{bindings::alekseylearn::driver::run, state::CallState},
    },
    project::Start,
};

/// The size limit of a file that a guest reads, in bytes. It fits a notebook with pictures.
const MAX_FILE_SIZE: u64 = 16 << 20;

impl run::Host for CallState {}

fn cannot_pack(error: io::Error) -> Error {
    Error::failed("cannot pack the project")
        .hint("check that its files are readable and the disk is not full")
        .source(error)
}

/// Collects at most `most` bytes.
struct AtMost {
    bytes: Vec<u8>,
    most: usize,
}

impl Write for AtMost {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.most {
            return Err(ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hashes what is written to the inner writer.
struct Hashed<W> {
    out: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl run::HostTraining for CallState {
    async fn tag(&mut self, this: Resource<SharedTraining>) -> Result<String> {
        Ok(self.get(&this)?.project.tag.clone())
    }

    async fn artifact(&mut self, this: Resource<SharedTraining>) -> Result<String> {
        Ok(self.get(&this)?.project.artifact.clone())
    }

    async fn description(&mut self, this: Resource<SharedTraining>) -> Result<String> {
        Ok(self.get(&this)?.project.description().to_string())
    }

    async fn import_folders(&mut self, this: Resource<SharedTraining>) -> Result<Vec<String>> {
        Ok(self.get(&this)?.project.package.folders.clone())
    }

    async fn metadata(&mut self, this: Resource<SharedTraining>) -> Result<Vec<(String, String)>> {
        Ok(self.get(&this)?.project.package.metadata.clone().into_iter().collect())
    }

    async fn is_notebook(&mut self, this: Resource<SharedTraining>) -> Result<bool> {
        Ok(self.get(&this)?.project.start == Start::Notebook)
    }

    async fn files(&mut self, this: Resource<SharedTraining>) -> Result<Vec<String>> {
        Ok(self.get(&this)?.project.files.iter().map(|file| file.path.clone()).collect())
    }

    async fn read(&mut self, this: Resource<SharedTraining>, path: String) -> Result<Vec<u8>, Error> {
        let training = self.get(&this)?;
        // A guest can read only files that are sent anyway, and never other paths.
        let file = training.project.files.iter().find(|file| file.path == path);
        let file =
            file.ok_or_else(|| Error::new(Kind::NotFound, format!("the project has no file {path}")))?;
        if let Some(text) = &file.cleaned {
            return Ok(text.clone());
        }
        file.read(MAX_FILE_SIZE).map_err(|error| match error.kind() {
            ErrorKind::FileTooLarge => {
                Error::invalid(format!("{path} is too large for a driver to read: the limit is 16 MiB"))
            }
            _ => cannot_read(&file.source, error),
        })
    }

    async fn packed(&mut self, this: Resource<SharedTraining>, most: u32) -> Result<Option<Vec<u8>>, Error> {
        let most = (most as usize).min(MAX_TEXT_LENGTH);
        let folder = BuildContext::of(&self.get(&this)?.project);
        // Compression never saves more than a factor of 1,000.
        if folder.size() / 1_000 > most as u64 {
            return Ok(None);
        }
        let mut bytes = AtMost { bytes: Vec::new(), most };
        match folder.pack(&mut bytes) {
            Ok(()) => Ok(Some(bytes.bytes)),
            Err(error) if error.kind() == ErrorKind::FileTooLarge => Ok(None),
            Err(error) => Err(cannot_pack(error)),
        }
    }

    async fn pack(&mut self, this: Resource<SharedTraining>, path: String) -> Result<String, Error> {
        let path = in_job(path);
        self.allow(Verb::JobFile(&path))?;
        let job = self.job.clone();
        let job = job.ok_or_else(|| Error::invalid("the job has no folder yet"))?;
        let folder = BuildContext::of(&self.get(&this)?.project);
        let pack = move || -> io::Result<String> {
            let mut partial = Folder::open(&job)?.begin(Path::new(&path), PRIVATE)?;
            let mut hashed = Hashed { out: partial.file_mut(), hash: Sha256::new() };
            folder.pack(&mut hashed)?;
            let hash = hex::encode(hashed.hash.finalize());
            partial.commit()?;
            Ok(hash)
        };
        let packed = tokio::task::spawn_blocking(pack).await;
        packed.map_err(io::Error::other).flatten().map_err(cannot_pack)
    }

    async fn dependencies(
        &mut self,
        this: Resource<SharedTraining>,
    ) -> Result<Option<Resource<SharedDependencies>>> {
        let found = self.get(&this)?.project.dependencies.clone();
        Ok(found.map(|found| self.push(Arc::new(found))).transpose()?)
    }

    async fn python(&mut self, this: Resource<SharedTraining>) -> Result<Option<Resource<SharedPython>>> {
        let python = self.get(&this)?.project.python.clone();
        Ok(python.map(|python| self.push(Arc::new(python))).transpose()?)
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

    async fn runner_environment(&mut self, this: Resource<SharedTraining>) -> Result<Vec<(String, String)>> {
        Ok(self.get(&this)?.runner_environment.clone())
    }

    async fn secrets(&mut self, this: Resource<SharedTraining>) -> Result<Vec<String>> {
        Ok(self.get(&this)?.secrets.names())
    }

    async fn image(&mut self, this: Resource<SharedTraining>) -> Result<Option<String>> {
        Ok(self.get(&this)?.image.clone())
    }

    async fn is_rehearsal(&mut self, this: Resource<SharedTraining>) -> Result<bool> {
        Ok(self.get(&this)?.dry_run)
    }

    async fn drop(&mut self, this: Resource<SharedTraining>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl run::HostDependencies for CallState {
    async fn form(&mut self, this: Resource<SharedDependencies>) -> Result<String> {
        Ok(self.get(&this)?.form.name().to_owned())
    }

    async fn file(&mut self, this: Resource<SharedDependencies>) -> Result<String> {
        Ok(self.get(&this)?.main.clone())
    }

    async fn files(&mut self, this: Resource<SharedDependencies>) -> Result<Vec<String>> {
        Ok(self.get(&this)?.files.keys().cloned().collect())
    }

    async fn place(&mut self, this: Resource<SharedDependencies>) -> Result<Option<String>> {
        Ok(self.get(&this)?.place.clone())
    }

    async fn member(&mut self, this: Resource<SharedDependencies>) -> Result<Option<String>> {
        Ok(self.get(&this)?.member.clone())
    }

    async fn extras(&mut self, this: Resource<SharedDependencies>) -> Result<Vec<String>> {
        Ok(self.get(&this)?.extras.clone())
    }

    async fn groups(&mut self, this: Resource<SharedDependencies>) -> Result<Vec<String>> {
        Ok(self.get(&this)?.groups.clone())
    }

    async fn added(&mut self, this: Resource<SharedDependencies>) -> Result<Vec<String>> {
        Ok(self.get(&this)?.added.clone())
    }

    async fn imported(&mut self, this: Resource<SharedDependencies>) -> Result<Vec<(String, String)>> {
        Ok(self.get(&this)?.imported.clone().into_iter().collect())
    }

    async fn as_of(&mut self, this: Resource<SharedDependencies>) -> Result<Option<String>> {
        Ok(self.get(&this)?.as_of.clone())
    }

    async fn programs(&mut self, this: Resource<SharedDependencies>) -> Result<Vec<String>> {
        Ok(self.get(&this)?.programs().into_iter().map(str::to_owned).collect())
    }

    async fn drop(&mut self, this: Resource<SharedDependencies>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl run::HostPython for CallState {
    async fn versions(&mut self, this: Resource<SharedPython>) -> Result<Vec<String>> {
        Ok(self.get(&this)?.versions.clone())
    }

    async fn origin(&mut self, this: Resource<SharedPython>) -> Result<String> {
        Ok(self.get(&this)?.origin.clone())
    }

    async fn drop(&mut self, this: Resource<SharedPython>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl run::HostJob for CallState {
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

    async fn found_at(&mut self, this: Resource<SharedJob>) -> Result<Option<String>> {
        Ok(self.get(&this)?.found_at.as_ref().map(ToString::to_string))
    }

    async fn drop(&mut self, this: Resource<SharedJob>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
