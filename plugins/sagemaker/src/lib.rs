//! The `sagemaker` plugin: a train driver for Amazon SageMaker's training jobs.

mod logs;
mod machines;
mod model;
mod options;
mod price;
mod quota;
mod request;
mod status;

use std::time::SystemTime;

use alekseylearn_sdk::{
    Artifact, ArtifactKind, Destination, Error, Finding, Job, JobStatus, LogPage, OptionSpec, Training,
    Values, aws_identity, ecr, progress, s3, sagemaker, train,
};
use serde_json::{Value, json};

const SERVICE: &str = "sagemaker.amazonaws.com";

struct Sagemaker;

alekseylearn_sdk::plugin!(train = Sagemaker);

impl train::Guest for Sagemaker {
    fn options() -> Vec<OptionSpec> {
        options::specs()
    }

    fn check(training: &Training) -> Result<Vec<Finding>, Error> {
        let options = training.options();
        let account = aws_identity::account()?;
        let region = aws_identity::region()?;
        let mut findings = vec![Finding::note(&format!("account {account}, region {region}"))];
        findings.extend(expiry(&options)?);
        for (option, place) in places(&options) {
            findings.extend(of_place(&option, &place, &region)?);
        }
        let role_name = options.text("role_name").unwrap_or_default();
        let role = aws_identity::role(&role_name)?;
        match role.trusted_services() {
            Some(services) if !services.iter().any(|service| service == SERVICE) => {
                findings.push(Finding::problem(
                    &format!("SageMaker cannot assume the role {role_name}"),
                    &format!("allow sts:AssumeRole to {SERVICE} in its trust policy"),
                ))
            }
            Some(_) => {}
            None if role_name.starts_with("arn:") => {
                findings.push(Finding::note("no permission to read the role: used as given"))
            }
            None => findings.push(Finding::warning(
                &format!("no permission to look up the role {role_name}: assuming {}", role.arn()),
                "set --config.role_name to the role's whole ARN if it has a path",
            )),
        }
        findings.push(match role.may_be_passed_to(SERVICE)? {
            Some(true) => Finding::note(&format!("iam:PassRole on {role_name}: allowed")),
            Some(false) => Finding::problem(
                &format!("no permission to pass the role {role_name} to SageMaker"),
                &format!("ask the account's administrator for iam:PassRole on {}", role.arn()),
            ),
            None => Finding::note("iam:PassRole could not be checked"),
        });
        let mut request = request::of(training, &role.arn())?;
        // All digests have the same length.
        request["AlgorithmSpecification"]["TrainingImage"] = image(training, &"0".repeat(64))?.into();
        findings.extend(request::findings(&request, &options));
        if !training.secrets().is_empty() && options.boolean("secrets_in_request") != Some(true) {
            findings.push(Finding::problem(
                "SageMaker can only receive secrets as variables of the job, which everybody who may describe the account's training jobs can read",
                "accept that with --config.secrets_in_request=true; or remove --secret, and let the script read AWS Secrets Manager with the job's role",
            ));
        }
        findings.extend(machines::idle_gpus(&machines::asked(&options)?, &options));
        if training.is_rehearsal() {
            // A run that will submit skips this check: the service decides at once.
            findings.extend(quota::findings(&request)?);
        }
        findings.push(price::ceiling(&request, &options, &region));
        Ok(findings)
    }

    fn preview(training: &Training) -> Result<String, Error> {
        let role = aws_identity::role(&training.options().text("role_name").unwrap_or_default())?;
        let mut request = request::of(training, &role.arn())?;
        request["AlgorithmSpecification"]["TrainingImage"] = image(training, "(known after push)")?.into();
        if request["Tags"].is_null() {
            request["Tags"] = json!([]);
        }
        if let Some(tags) = request["Tags"].as_array_mut() {
            tags.push(json!({ "Key": "alekseylearn:tag", "Value": training.tag() }));
        }
        Ok(request.to_string())
    }

    fn prepare(training: &Training) -> Result<Destination, Error> {
        ecr::ensure_repository(training).map(|address| Destination::repository(&address))
    }

    fn submit(training: &Training) -> Result<String, Error> {
        let role = aws_identity::role(&training.options().text("role_name").unwrap_or_default())?;
        let options = training.options();
        for (_, place) in options.entries("input") {
            if let Some(to) = request::sent_to(&options, &place)? {
                progress::stage(&format!("Uploading {place} to {to}"));
                s3::send_folder(&place, &to)?;
            }
        }
        let body: Value = request::of(training, &role.arn())?;
        let request = sagemaker::TrainingJobRequest::new(training);
        request.body(&body.to_string());
        match request.submit() {
            Ok(_) => Ok(training.job_name()),
            // The name belongs to this run: an earlier attempt succeeded, but its response was lost.
            Err(Error::Conflict(_)) => Ok(training.job_name()),
            Err(error) => Err(error),
        }
    }

    fn status(job: &Job) -> Result<JobStatus, Error> {
        Ok(status::of(&sagemaker::describe(job)?, &job.options()))
    }

    fn logs(job: &Job, cursor: Option<String>) -> Result<LogPage, Error> {
        logs::page(job, cursor.as_deref())
    }

    fn stop(job: &Job) -> Result<(), Error> {
        sagemaker::stop(job)
    }

    fn artifacts(job: &Job) -> Result<Vec<Artifact>, Error> {
        if let Some(output) = job.found_at() {
            return found(&output, &job.name());
        }
        let described = sagemaker::describe(job)?;
        let Some(output) = described.output_path() else { return Ok(Vec::new()) };
        let output = output.trim_end_matches('/');
        let mut artifacts = results(&format!("{output}/{}/output", job.name()))?;
        // Below the job's results, or at the user's location.
        let own = |kept: &str| {
            job.options().text("checkpoints").is_some() || kept.starts_with(&format!("{output}/"))
        };
        if let Some(kept) = described.checkpoint_path().filter(|kept| own(kept))
            && s3::holds_objects(&kept)?
        {
            artifacts.push(Artifact::s3_folder(ArtifactKind::Checkpoints, &kept));
        }
        Ok(artifacts)
    }

    fn find(location: String, prefix: String) -> Result<Vec<String>, Error> {
        let jobs = s3::folders(&location)?.into_iter().filter(|name| name.starts_with(&prefix));
        let mut with_model = Vec::new();
        for job in jobs {
            let base = format!("{location}/{job}/output");
            if s3::object_size(&format!("{base}/model.tar.gz"))?.is_some()
                || s3::folders(&base)?.iter().any(|folder| folder == "model")
            {
                with_model.push(job);
            }
        }
        Ok(with_model)
    }
}

/// The image's address in the account's registry.
fn image(training: &Training, digest: &str) -> Result<String, Error> {
    Ok(format!("{}@sha256:{digest}", ecr::address(training)?))
}

/// The results at an output path, without asking the service: the job may be deleted or belong to another account.
fn found(output: &str, job: &str) -> Result<Vec<Artifact>, Error> {
    let mut artifacts = results(&format!("{output}/{job}/output"))?;
    let checkpoints = request::checkpoints(output, job);
    if s3::holds_objects(&checkpoints)? {
        artifacts.push(Artifact::s3_folder(ArtifactKind::Checkpoints, &checkpoints));
    }
    Ok(artifacts)
}

/// Checks a location in S3.
fn of_place(option: &str, place: &str, region: &str) -> Result<Option<Finding>, Error> {
    let is_input = option.starts_with("input.");
    let bucket_region = match s3::bucket_region(place) {
        Ok(bucket_region) => bucket_region,
        // The role may have more permissions than the user, but the user must be able to fetch the results.
        Err(Error::Denied(problem)) if is_input => {
            return Ok(Some(Finding::warning(
                &format!("--config.{option}: {}", problem.message),
                "make sure that the role can read it",
            )));
        }
        Err(error) => return Err(error),
    };
    if bucket_region != region {
        return Ok(Some(Finding::problem(
            &format!("{place} is in {bucket_region}, but the job runs in {region}"),
            &format!("set --config.region={bucket_region}, or use a bucket in {region}"),
        )));
    }
    if !is_input {
        return Ok(None);
    }
    match s3::holds_objects(place) {
        Ok(true) => Ok(None),
        Ok(false) => Ok(Some(Finding::problem(
            &format!("--config.{option}: nothing found at {place}"),
            "upload the data there, or set another location",
        ))),
        Err(Error::Denied(problem)) => Ok(Some(Finding::warning(
            &format!("--config.{option}: {}", problem.message),
            "make sure that the role can read it: used as given",
        ))),
        Err(error) => Err(error),
    }
}

/// Checks whether the credentials expire before the job is submitted or ends.
fn expiry(options: &Values) -> Result<Option<Finding>, Error> {
    const SOON: u64 = 15 * 60;
    let Some(expiry) = aws_identity::expiry()? else { return Ok(None) };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let left = (expiry / 1000).saturating_sub(now);
    let runtime = options.integer("max_runtime").and_then(|seconds| u64::try_from(seconds).ok());
    Ok(Some(if left < SOON {
        Finding::warning(
            &format!("the credentials expire in {} minutes, possibly before the job is submitted", left / 60),
            "renew them first, for example with `aws sso login`",
        )
    } else if runtime.is_some_and(|runtime| left < runtime) {
        Finding::note(&format!(
            "the credentials expire in {} minutes; a longer job keeps running, but needs new ones to follow it",
            left / 60
        ))
    } else {
        return Ok(None);
    }))
}

/// A job's results in S3: archives, or folders if the output is not compressed. S3 is listed because the service
/// returns a location even if there is no model.
fn results(base: &str) -> Result<Vec<Artifact>, Error> {
    let model = format!("{base}/model.tar.gz");
    let (model, folders) = match s3::object_size(&model)? {
        Some(_) => (Some(Artifact::s3_object(ArtifactKind::Model, &model)), Vec::new()),
        None => (None, s3::folders(base)?),
    };
    let folder = |kind, names: &[&str]| {
        let found = names.iter().find(|name| folders.iter().any(|folder| folder == *name));
        found.map(|name| Artifact::s3_folder(kind, &format!("{base}/{name}")))
    };
    let output = format!("{base}/output.tar.gz");
    let output = match s3::object_size(&output)? {
        Some(_) => Some(Artifact::s3_object(ArtifactKind::OutputData, &output)),
        None => folder(ArtifactKind::OutputData, &["output", "data"]),
    };
    Ok([model.or_else(|| folder(ArtifactKind::Model, &["model"])), output].into_iter().flatten().collect())
}

/// The S3 locations in the options, each with its option.
fn places(options: &Values) -> Vec<(String, String)> {
    let one = |key: &str| options.text(key).map(|place| (key.to_owned(), place));
    let inputs = options.entries("input").into_iter().filter(|(_, place)| place.starts_with("s3://"));
    let inputs = inputs.map(|(name, place)| (format!("input.{name}"), place));
    one("output_path").into_iter().chain(one("checkpoints")).chain(inputs).collect()
}
