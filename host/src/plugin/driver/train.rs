use std::{path::Path, sync::Arc};

use url::Url;
use wasmtime::component::Resource;

use super::{Call, Driver, scope_of};
use crate::{
    capability::http::WebFile,
    config::{Assignment, Chosen, Location, OptionSpec},
    error::{Error, Kind, Result},
    plugin::{
        authority::{Scope, Used},
        bindings::alekseylearn::driver::types::{LogLine, LogPage},
        grant::Capability,
        identity::Identity,
        limits::MOST_LINES,
        origin::Origin,
        report::{Archive, Artifact, Destination, Finding, Folder, JobStatus, Place},
        repository::{Repository, registry_of},
        run::{Job, SharedJob, SharedTraining, Training},
        verb::Verb,
        verbs::{Asked, route},
    },
};

/// A line in which a driver left line ends is several.
fn parts(line: LogLine) -> Vec<LogLine> {
    if !line.text.contains('\n') {
        return vec![line];
    }
    let text = line.text.strip_suffix('\n').unwrap_or(&line.text);
    let part =
        |text: &str| LogLine { text: text.strip_suffix('\r').unwrap_or(text).to_owned(), ..line.clone() };
    text.split('\n').map(part).collect()
}

/// How secrets of a training come to its job. The host does it itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretWay {
    /// As variables of containers.
    Container,
    /// As variables in the request for the job.
    Request,
}

/// A driver that trains images.
pub struct TrainDriver<'a>(pub(in crate::plugin) Driver<'a>);

impl TrainDriver<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.plugin.name
    }

    /// Who its plugin is.
    pub fn identity(&self) -> &Identity {
        &self.0.plugin.identity
    }

    /// It came with the program.
    pub fn is_shipped(&self) -> bool {
        self.0.is_shipped()
    }

    /// How its jobs get secrets; `None` if they get none, as those of any driver that is not shipped.
    pub fn secret_way(&self) -> Option<SecretWay> {
        let may = |capability: Capability| self.0.plugin.granted.has(&capability.into());
        match self.is_shipped() {
            true if may(Capability::Docker) => Some(SecretWay::Container),
            true if may(Capability::Sagemaker) => Some(SecretWay::Request),
            _ => None,
        }
    }

    /// These options, with what files say of them.
    pub fn chosen<'a>(&'a self, specs: &'a [OptionSpec], defaults: &'a [Assignment]) -> Chosen<'a> {
        Chosen { name: self.name(), specs, defaults, shipped: self.0.is_shipped() }
    }

    /// The digest of its component.
    pub fn digest(&self) -> String {
        self.0.plugin.digest()
    }

    /// The options it declares.
    ///
    /// # Errors
    /// The plugin is broken.
    pub async fn options(&self) -> Result<Vec<OptionSpec>> {
        let mut call = self.0.call("train.options", Scope::default(), None)?;
        let specs = call.train(async |driver, store| driver.call_options(store).await.map(Ok)).await?;
        call.take_specs(specs)
    }

    /// Looks before anything is built or spent.
    ///
    /// # Errors
    /// The driver cannot look.
    pub async fn check(&self, training: Training) -> Result<Vec<Finding>> {
        // In a dry run too: some services can be looked at by POST alone.
        let (mut call, training) = self.0.call_in("train.check", scope_of(&training), training, None)?;
        let findings = call.train(async |driver, store| driver.call_check(store, training).await).await?;
        call.take_all(findings, "findings")
    }

    /// What `submit` would ask the service for, as JSON.
    ///
    /// # Errors
    /// The driver cannot tell.
    pub async fn preview(&self, training: Training) -> Result<String> {
        let (mut call, training) = self.0.call_for("train.preview", training, None)?;
        call.train(async |driver, store| driver.call_preview(store, training).await).await
    }

    /// Where the image must go, and, where that is a repository, how it gets there.
    ///
    /// # Errors
    /// The destination cannot be made ready, or is not this run's to push to.
    pub async fn prepare(&self, training: Training) -> Result<(Destination, Option<Repository>)> {
        let (call, training) = self.0.call_for("train.prepare", training, None)?;
        self.destination(call, training).await.map(|(destination, repository, _)| (destination, repository))
    }

    /// What [`TrainDriver::prepare`] would give, of a dry run, with nothing made ready; false where the repository is still to be
    /// made.
    ///
    /// # Errors
    /// The driver cannot tell.
    pub async fn rehearse(&self, training: Training) -> Result<(Destination, Option<Repository>, bool)> {
        let (call, training) = self.0.call_for("train.prepare", training, None)?;
        self.destination(call, training).await
    }

    async fn destination(
        &self,
        mut call: Call<'_>,
        training: Resource<SharedTraining>,
    ) -> Result<(Destination, Option<Repository>, bool)> {
        let destination =
            call.train(async |driver, store| driver.call_prepare(store, training).await).await?;
        let destination = call.take(destination)?;
        let state = call.store.data();
        let exists = state.rehearsal.as_ref().is_none_or(|rehearsal| !rehearsal.repository_is_missing);
        let Destination::Repository { address, to_be_made } = &destination else {
            return Ok((destination, None, exists));
        };
        let exists = exists && !(*to_be_made && state.rehearsal.is_some());
        let ready = state.repositories.iter().find(|repository| repository.address == *address).cloned();
        let registry = registry_of(address);
        state.allow(Verb::Push { address, made_ready: ready.is_some(), registry: registry.as_ref() })?;
        let granted =
            registry.and_then(|registry| state.authority.granted.requests(&registry)?.credential.clone());
        let repository = match (ready, granted) {
            (Some(ready), _) => Some(Repository::made_ready(ready, state.authority.scope.aws.clone())),
            (None, granted) => granted.map(|login| Repository::granted(address, login)),
        };
        Ok((destination, repository, exists))
    }

    /// Starts the job, with `folder` as the job's. Its reference, and where it was started.
    ///
    /// # Errors
    /// The service refuses.
    pub async fn submit(&self, training: Training, folder: &Path) -> Result<(String, Used)> {
        let (mut call, training) = self.0.call_for("train.submit", training, Some(folder))?;
        let reference = call.train(async |driver, store| driver.call_submit(store, training).await).await?;
        Ok((reference, call.store.data().authority.used()))
    }

    /// The job as it is now.
    ///
    /// # Errors
    /// The service does not answer.
    pub async fn status(&self, job: &Job) -> Result<JobStatus> {
        let (mut call, job) = self.call_of("train.status", job)?;
        let status = call.train(async |driver, store| driver.call_status(store, job).await).await?;
        call.take(status)
    }

    /// What the training wrote after the cursor.
    ///
    /// # Errors
    /// The service does not answer.
    pub async fn logs(&self, job: &Job, cursor: Option<&str>) -> Result<LogPage> {
        let (mut call, job) = self.call_of("train.logs", job)?;
        let mut page = call.train(async |driver, store| driver.call_logs(store, job, cursor).await).await?;
        call.few(page.lines.len(), MOST_LINES, "lines of its log")?;
        page.lines = page.lines.into_iter().flat_map(parts).collect();
        Ok(page)
    }

    /// Asks the job to stop.
    ///
    /// # Errors
    /// The service refuses.
    pub async fn stop(&self, job: &Job) -> Result<()> {
        let (mut call, job) = self.call_of("train.stop", job)?;
        call.train(async |driver, store| driver.call_stop(store, job).await).await
    }

    /// Where the job's results lie: only what the host may bring.
    ///
    /// # Errors
    /// The service does not answer, or the driver points to what this run may not touch.
    pub async fn artifacts(&self, job: &Job) -> Result<Vec<Artifact>> {
        let (mut call, job) = self.call_of("train.artifacts", job)?;
        let artifacts = call.train(async |driver, store| driver.call_artifacts(store, job).await).await?;
        let artifacts: Vec<Artifact> = call.take_all(artifacts, "results")?;
        for artifact in &artifacts {
            match &artifact.place {
                Place::Archive(Archive::S3(place)) | Place::Folder(Folder::S3(place)) => {
                    call.store.data().allow(Verb::Location(place))?;
                }
                Place::Archive(Archive::JobFile(file)) => call.store.data().allow(Verb::JobFile(file))?,
                // Each of its addresses is decided when it is asked for.
                Place::Archive(Archive::Web(_)) => {}
                Place::Folder(Folder::Web(files)) => {
                    call.few(files.len(), MOST_LINES, "files of a result")?
                }
            }
        }
        Ok(artifacts)
    }

    /// A result that lies on the web, to be brought as far as the plugin may reach: redirects are decided one by one.
    pub fn web_file(&self, job: &Job, address: &Url) -> WebFile {
        let authority =
            Arc::new(self.0.authority("train.artifacts", Scope::of(&job.options, &job.tag, &job.name)));
        let way = move |url: &Url| {
            let origin = url.origin().ascii_serialization().parse::<Origin>();
            let origin = origin.map_err(|problem| Error::new(Kind::Denied, problem))?;
            route(&authority, &origin, url, Asked::READ)
        };
        WebFile::new(self.0.plugins.services.http.clone(), address.clone(), Arc::new(way))
    }

    /// Names of jobs that left a model under a location and begin with a prefix.
    ///
    /// # Errors
    /// The service does not answer, or has no such thing.
    pub async fn find(&self, location: &Location, prefix: &str) -> Result<Vec<String>> {
        let scope = Scope { locations: vec![location.clone()], ..Scope::default() };
        let mut call = self.0.call("train.find", scope, None)?;
        let place = location.to_string();
        let names = call.train(async |driver, store| driver.call_find(store, &place, prefix).await).await?;
        call.few(names.len(), MOST_LINES, "names of jobs")?;
        Ok(names)
    }

    fn call_of(&self, function: &'static str, job: &Job) -> Result<(Call<'_>, Resource<SharedJob>)> {
        let mut call =
            self.0.call(function, Scope::of(&job.options, &job.tag, &job.name), Some(&job.folder))?;
        let job = call.push(Arc::new(job.clone()))?;
        Ok((call, job))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_inside_a_line_make_lines() {
        let texts = |text: &str| {
            let line = LogLine { node: "a".into(), time: Some(1), text: text.into() };
            parts(line).into_iter().map(|line| line.text).collect::<Vec<_>>()
        };
        assert_eq!(texts("a\nb\r\nc"), ["a", "b", "c"]);
        assert_eq!(texts("one\n"), ["one"]);
        // A line that ends so is one that is only redrawn.
        assert_eq!(texts("50 %\r"), ["50 %\r"]);
    }
}
