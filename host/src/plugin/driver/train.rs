use std::{path::Path, sync::Arc};

use url::Url;
use wasmtime::component::Resource;

use super::{
    Call, Driver,
    report::{Archive, Artifact, Destination, Finding, Folder, JobStatus, Place},
    repository::{Repository, registry_of},
    run::{Job, SharedJob, SharedTraining, Training},
    scope_of,
};
use crate::{
    capability::http::WebFile,
    config::{Assignment, Chosen, Location, OptionSpec},
    error::{Error, Kind, Result},
    plugin::{
        host_calls::{Asked, route},
        package::identity::Identity,
        policy::{
            authority::{Scope, Used},
            grant::Capability,
            origin::Origin,
            verb::Verb,
        },
        sandbox::{
            bindings::alekseylearn::driver::types::{LogLine, LogPage},
            limits::MAX_LINES,
        },
    },
};

/// Splits a line that contains line ends.
fn parts(line: LogLine) -> Vec<LogLine> {
    if !line.text.contains('\n') {
        return vec![line];
    }
    let text = line.text.strip_suffix('\n').unwrap_or(&line.text);
    let part =
        |text: &str| LogLine { text: text.strip_suffix('\r').unwrap_or(text).to_owned(), ..line.clone() };
    text.split('\n').map(part).collect()
}

/// How the host gives a training's secrets to its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretWay {
    /// As variables of containers.
    Container,
    /// As variables in the request for the job.
    Request,
}

/// A driver that runs images on a service.
pub struct TrainDriver<'a>(pub(in crate::plugin) Driver<'a>);

impl TrainDriver<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.plugin.name
    }

    /// The identity of its plugin.
    pub fn identity(&self) -> &Identity {
        &self.0.plugin.identity
    }

    /// Whether it ships with the program.
    pub fn is_shipped(&self) -> bool {
        self.0.is_shipped()
    }

    /// How its jobs get secrets; `None` if they get none, like those of any driver that is not shipped.
    pub fn secret_way(&self) -> Option<SecretWay> {
        let may = |capability: Capability| self.0.plugin.granted.has(&capability.into());
        match self.is_shipped() {
            true if may(Capability::Docker) => Some(SecretWay::Container),
            true if may(Capability::Sagemaker) => Some(SecretWay::Request),
            _ => None,
        }
    }

    /// Whether its jobs run in the Docker engine, so that their images must be there.
    pub fn uses_engine(&self) -> bool {
        self.0.plugin.granted.has(&Capability::Docker.into())
    }

    /// The driver's options, with the defaults from files.
    pub fn chosen<'a>(&'a self, specs: &'a [OptionSpec], defaults: &'a [Assignment]) -> Chosen<'a> {
        Chosen { name: self.name(), specs, defaults, shipped: self.0.is_shipped() }
    }

    /// The digest of its component.
    pub fn digest(&self) -> String {
        self.0.plugin.digest()
    }

    /// The options that it declares.
    ///
    /// # Errors
    /// If the plugin fails.
    pub async fn options(&self) -> Result<Vec<OptionSpec>> {
        let mut call = self.0.call("train.options", Scope::default(), None)?;
        let specs = call.train(async |driver, store| driver.call_options(store).await.map(Ok)).await?;
        call.take_specs(specs)
    }

    /// Checks a run before anything is built or spent.
    ///
    /// # Errors
    /// If the check itself fails.
    pub async fn check(&self, training: Training) -> Result<Vec<Finding>> {
        // Without the restrictions of a dry run: some services can be queried only with POST.
        let (mut call, training) = self.0.call_in("train.check", scope_of(&training), training, None)?;
        let findings = call.train(async |driver, store| driver.call_check(store, training).await).await?;
        call.take_all(findings, "findings")
    }

    /// The request that `submit` would send to the service, as JSON.
    ///
    /// # Errors
    /// If the driver fails.
    pub async fn preview(&self, training: Training) -> Result<String> {
        let (mut call, training) = self.0.call_for("train.preview", training, None)?;
        call.train(async |driver, store| driver.call_preview(store, training).await).await
    }

    /// Prepares the image's destination. Returns it, and the repository to push to if it is one.
    ///
    /// # Errors
    /// If the destination cannot be prepared, or this run may not push to it.
    pub async fn prepare(&self, training: Training) -> Result<(Destination, Option<Repository>)> {
        let (call, training) = self.0.call_for("train.prepare", training, None)?;
        self.destination(call, training).await.map(|(destination, repository, _)| (destination, repository))
    }

    /// The result that [`TrainDriver::prepare`] would have, for a dry run that prepares nothing, and whether the
    /// repository exists.
    ///
    /// # Errors
    /// If the driver fails.
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

    /// Starts the job with its folder. Returns its reference, and where it was started.
    ///
    /// # Errors
    /// If the service refuses it.
    pub async fn submit(&self, training: Training, folder: &Path) -> Result<(String, Used)> {
        let (mut call, training) = self.0.call_for("train.submit", training, Some(folder))?;
        let reference = call.train(async |driver, store| driver.call_submit(store, training).await).await?;
        Ok((reference, call.store.data().authority.used()))
    }

    /// The job's current status.
    ///
    /// # Errors
    /// If the service does not respond.
    pub async fn status(&self, job: &Job) -> Result<JobStatus> {
        let (mut call, job) = self.call_of("train.status", job)?;
        let status = call.train(async |driver, store| driver.call_status(store, job).await).await?;
        call.take(status)
    }

    /// The job's log after the cursor.
    ///
    /// # Errors
    /// If the service does not respond.
    pub async fn logs(&self, job: &Job, cursor: Option<&str>) -> Result<LogPage> {
        let (mut call, job) = self.call_of("train.logs", job)?;
        let mut page = call.train(async |driver, store| driver.call_logs(store, job, cursor).await).await?;
        call.few(page.lines.len(), MAX_LINES, "log lines")?;
        page.lines = page.lines.into_iter().flat_map(parts).collect();
        Ok(page)
    }

    /// Asks the job to stop.
    ///
    /// # Errors
    /// If the service refuses.
    pub async fn stop(&self, job: &Job) -> Result<()> {
        let (mut call, job) = self.call_of("train.stop", job)?;
        call.train(async |driver, store| driver.call_stop(store, job).await).await
    }

    /// Where the job's results are. The host may download all of them.
    ///
    /// # Errors
    /// If the service does not respond, or the driver returns a location that this run may not access.
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
                // Each request is decided when it is sent.
                Place::Archive(Archive::Web(_)) => {}
                Place::Folder(Folder::Web(files)) => call.few(files.len(), MAX_LINES, "result files")?,
            }
        }
        Ok(artifacts)
    }

    /// A result on the web, to download with the plugin's grants. Each redirect is decided separately.
    pub fn web_file(&self, job: &Job, address: &Url) -> WebFile {
        let authority =
            Arc::new(self.0.authority("train.artifacts", Scope::of(&job.options, &job.tag, &job.name)));
        let way = move |url: &Url| {
            let origin = url.origin().ascii_serialization().parse::<Origin>();
            let origin = origin.map_err(|problem| Error::new(Kind::Denied, problem))?;
            route(&authority, &origin, url, Asked::READ)
        };
        WebFile::new(self.0.calls.services.http.clone(), address.clone(), Arc::new(way))
    }

    /// The names of jobs that have a model at a location and begin with a prefix.
    ///
    /// # Errors
    /// If the service does not respond, or does not support this.
    pub async fn find(&self, location: &Location, prefix: &str) -> Result<Vec<String>> {
        let scope = Scope { locations: vec![location.clone()], ..Scope::default() };
        let mut call = self.0.call("train.find", scope, None)?;
        let place = location.to_string();
        let names = call.train(async |driver, store| driver.call_find(store, &place, prefix).await).await?;
        call.few(names.len(), MAX_LINES, "job names")?;
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
    fn a_line_with_line_ends_is_split() {
        let texts = |text: &str| {
            let line = LogLine { node: "a".into(), time: Some(1), text: text.into() };
            parts(line).into_iter().map(|line| line.text).collect::<Vec<_>>()
        };
        assert_eq!(texts("a\nb\r\nc"), ["a", "b", "c"]);
        assert_eq!(texts("one\n"), ["one"]);
        // A line that ends like this is redrawn in place.
        assert_eq!(texts("50 %\r"), ["50 %\r"]);
    }
}
