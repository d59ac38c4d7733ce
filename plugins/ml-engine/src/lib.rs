//! The `ml-engine` plugin: a train driver for custom jobs of Vertex AI, which took ML Engine's place.
//!
//! The image goes to Artifact Registry. Its runner brings what the training leaves to Cloud Storage: below
//! `<output_path>/<job>`, the model file by file in `model/`, where Vertex AI's Model Registry looks, and as
//! `model.tar.gz`, with all that a file is, for `fetch`.

mod api;
mod job;
mod logs;
mod options;
mod registry;
mod status;
mod storage;
mod time;

use alekseylearn_sdk::{
    Artifact, ArtifactKind, Destination, Error, Finding, Job, JobStatus, LogPage, OptionSpec, Training, train,
};

use job::CustomJob;

struct MlEngine;

alekseylearn_sdk::plugin!(
    train = MlEngine,
    origins = [
        "https://*-aiplatform.googleapis.com" with "google",
        "https://*-docker.pkg.dev" with "google",
        "https://artifactregistry.googleapis.com" with "google",
        "https://logging.googleapis.com" with "google",
        "https://storage.googleapis.com" with "google",
    ]
);

impl train::Guest for MlEngine {
    fn options() -> Vec<OptionSpec> {
        options::specs()
    }

    fn check(training: &Training) -> Result<Vec<Finding>, Error> {
        let options = training.options();
        let mut findings = options::findings(&options);
        if !findings.is_empty() {
            return Ok(findings);
        }
        let (project, region) = (job::project(&options)?, job::region(&options));
        findings.push(Finding::note(&format!("project {project}, region {region}")));
        job::look(&options).map_err(|error| options::explain(error, &region))?;
        findings.extend(job::output(&options, &training.job_name())?.findings(&region)?);
        let machines = options.integer("replica_count").unwrap_or(1);
        let machine = options.text("machine_type").unwrap_or_default();
        let hours = options.integer("timeout").unwrap_or_default() as f64 / 3600.0;
        let basis = format!(
            "{machines} × {machine}, for {hours:.1} hours at most: the prices of Vertex AI are not known here"
        );
        findings.push(Finding::cost(None, &basis));
        Ok(findings)
    }

    fn preview(training: &Training) -> Result<String, Error> {
        let image = format!("{}@sha256:(told by the push)", registry::address(training)?);
        Ok(job::request(training, &image)?.to_string())
    }

    fn prepare(training: &Training) -> Result<Destination, Error> {
        registry::ensure(training)?;
        Ok(Destination::repository(&registry::address(training)?))
    }

    fn submit(training: &Training) -> Result<String, Error> {
        let options = training.options();
        // An earlier try may have been heard, though its answer was not.
        if let Some(job) = job::find(&options, &training.job_name())? {
            return Ok(job.reference());
        }
        let image = training.image().ok_or_else(|| Error::failed("there is no image to train"))?;
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
        let output = job::output(&job.options(), &job.name())?;
        let objects = output.objects()?;
        let kinds = [(ArtifactKind::Model, "model.tar.gz"), (ArtifactKind::OutputData, "output.tar.gz")];
        // By their very names: any other object, such as one that leads out of a folder, is none of ours.
        let there = kinds.into_iter().filter(|(_, own)| objects.iter().any(|name| name == own));
        Ok(there.map(|(kind, own)| Artifact::web_object(kind, &output.join(own).download())).collect())
    }

    fn find(_location: String, _prefix: String) -> Result<Vec<String>, Error> {
        Err(Error::unsupported("Vertex AI keeps no results in S3")
            .hint("leave the S3 path away: `alekseylearn fetch DIR TAG`"))
    }
}

fn custom_job(job: &Job) -> Result<CustomJob, Error> {
    if let Some(reference) = job.reference() {
        return CustomJob::of_reference(&reference);
    }
    job::find(&job.options(), &job.name())?
        .ok_or_else(|| Error::not_found(format!("Vertex AI has no job of the name {}", job.name())))
}
