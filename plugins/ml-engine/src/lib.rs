//! The `ml-engine` plugin: a train driver for custom jobs of Vertex AI, the successor of ML Engine.
//!
//! The image is pushed to Artifact Registry. Its runner uploads the results to Cloud Storage, below
//! `<output_path>/<job>`: the model as files in `model/` for Vertex AI's Model Registry, and as `model.tar.gz`, which
//! keeps modes and links, for `fetch`.

mod api;
mod job;
mod logs;
mod options;
mod price;
mod registry;
mod status;
mod storage;
mod time;

use alekseylearn_sdk::{
    Artifact, ArtifactKind, Destination, Error, Finding, Job, JobStatus, LogPage, OptionSpec, Training,
    WebFile, train,
};

use job::CustomJob;
use storage::Location;

const MODEL: &str = "model.tar.gz";
const OUTPUT: &str = "output.tar.gz";
const CHECKPOINTS: &str = "checkpoints";

struct MlEngine;

alekseylearn_sdk::plugin!(
    train = MlEngine,
    origins = [
        "https://*-aiplatform.googleapis.com" with "google",
        "https://*-docker.pkg.dev" with "google",
        "https://artifactregistry.googleapis.com" with "google",
        "https://logging.googleapis.com" with "google",
        "https://storage.googleapis.com/storage/v1/b/{gs.bucket}" with "google",
        "https://storage.googleapis.com/storage/v1/b/{gs.bucket}/o?prefix={gs.key}/" with "google",
        "https://storage.googleapis.com/download/storage/v1/b/{gs.bucket}/o/{gs.key}" with "google",
    ]
);

impl train::Guest for MlEngine {
    fn options() -> Vec<OptionSpec> {
        options::specs()
    }

    fn check(training: &Training) -> Result<Vec<Finding>, Error> {
        if let Some(name) = training.secrets().first() {
            return Err(Error::unsupported(format!("Vertex AI does not accept secrets such as {name} with a job")).hint(
                "remove --secret; store it in Secret Manager, and let the script read it with the job's service account",
            ));
        }
        let options = training.options();
        let mut findings = options::findings(&options);
        if !findings.is_empty() {
            return Ok(findings);
        }
        let (project, region) = (job::project(&options)?, job::region(&options));
        findings.push(Finding::note(&format!("project {project}, region {region}")));
        job::look(&options).map_err(|error| options::explain(error, &region))?;
        findings.extend(job::output(&options, &training.job_name())?.findings(&region)?);
        findings.push(price::ceiling(&options));
        Ok(findings)
    }

    fn preview(training: &Training) -> Result<String, Error> {
        let image = format!("{}@sha256:(known after push)", registry::address(training)?);
        Ok(job::request(training, &image)?.to_string())
    }

    fn prepare(training: &Training) -> Result<Destination, Error> {
        let is_there = registry::ensure(training)?;
        let destination = Destination::repository(&registry::address(training)?);
        if !is_there {
            destination.to_be_made();
        }
        Ok(destination)
    }

    fn submit(training: &Training) -> Result<String, Error> {
        let options = training.options();
        // An earlier attempt may have created the job although its response was lost.
        if let Some(job) = job::find(&options, &training.job_name())? {
            return Ok(job.reference());
        }
        let image = training.image().ok_or_else(|| Error::failed("no image to run"))?;
        let job = job::create(&options, &job::request(training, &image)?)?;
        job::announce(&job);
        Ok(job.reference())
    }

    fn status(job: &Job) -> Result<JobStatus, Error> {
        status::of(&custom_job(job)?, &job::output(&job.options(), &job.name())?)
    }

    fn logs(job: &Job, cursor: Option<String>) -> Result<LogPage, Error> {
        logs::page(&custom_job(job)?, cursor.as_deref())
    }

    fn stop(job: &Job) -> Result<(), Error> {
        custom_job(job)?.cancel()
    }

    fn artifacts(job: &Job) -> Result<Vec<Artifact>, Error> {
        let output = match job.found_at() {
            Some(place) => Location::parse(&place)?.join(&job.name()),
            None => job::output(&job.options(), &job.name())?,
        };
        let there = output.list()?;
        let kinds = [(ArtifactKind::Model, MODEL), (ArtifactKind::OutputData, OUTPUT)];
        // Only objects with these exact names are results of the job. All others are ignored.
        let archives = kinds.into_iter().filter(|(_, own)| there.has(own));
        let mut artifacts: Vec<Artifact> =
            archives.map(|(kind, own)| Artifact::web_object(kind, &output.join(own).download())).collect();
        if there.folders.iter().any(|folder| folder == CHECKPOINTS) {
            let folder = output.join(CHECKPOINTS);
            let files = folder.files()?;
            let file = |(name, size): (String, u64)| {
                let address = folder.join(&name).download();
                WebFile { name, size, address }
            };
            let files: Vec<WebFile> = files.into_iter().map(file).collect();
            artifacts.push(Artifact::web_folder(ArtifactKind::Checkpoints, &files));
        }
        Ok(artifacts)
    }

    fn find(location: String, prefix: String) -> Result<Vec<String>, Error> {
        let place = Location::parse(&location)?;
        let mut with_model = Vec::new();
        for name in place.list()?.folders.into_iter().filter(|name| name.starts_with(&prefix)) {
            if place.join(&name).list()?.has(MODEL) {
                with_model.push(name);
            }
        }
        Ok(with_model)
    }
}

fn custom_job(job: &Job) -> Result<CustomJob, Error> {
    if let Some(reference) = job.reference() {
        return CustomJob::of_reference(&reference);
    }
    job::find(&job.options(), &job.name())?
        .ok_or_else(|| Error::not_found(format!("no Vertex AI job named {}", job.name())))
}
