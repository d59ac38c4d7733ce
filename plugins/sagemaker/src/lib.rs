//! The `sagemaker` plugin: a train driver for Amazon SageMaker's training jobs.

mod logs;
mod options;
mod status;

use alekseylearn_sdk::{
    Artifact, ArtifactKind, Destination, Error, Finding, Job, JobStatus, LogPage, OptionSpec, Training,
    aws_identity, ecr, s3, sagemaker, train,
};
use options::Options;

const SERVICE: &str = "sagemaker.amazonaws.com";

struct Sagemaker;

alekseylearn_sdk::plugin!(train = Sagemaker);

impl train::Guest for Sagemaker {
    fn options() -> Vec<OptionSpec> {
        options::specs()
    }

    fn check(training: &Training) -> Result<Vec<Finding>, Error> {
        let options = Options::of(&training.options())?;
        let account = aws_identity::account()?;
        let region = aws_identity::region()?;
        let mut findings = vec![Finding::note(&format!("account {account}, region {region}"))];
        let bucket_region = s3::bucket_region(&options.output_path)?;
        if bucket_region != region {
            findings.push(Finding::problem(
                &format!("{} is in {bucket_region}, but the job would run in {region}", options.output_path),
                &format!("set AWS_REGION={bucket_region}, or name a bucket in {region}"),
            ));
        }
        let role = aws_identity::role(&options.role_name)?;
        match role.trusted_services() {
            Some(services) if !services.iter().any(|service| service == SERVICE) => {
                findings.push(Finding::problem(
                    &format!("SageMaker may not assume the role {}", options.role_name),
                    &format!("its trust policy must allow {SERVICE} to sts:AssumeRole"),
                ))
            }
            Some(_) => {}
            None => findings.push(Finding::note("this user may not look at the role: it is taken as it is")),
        }
        findings.extend(options.findings());
        Ok(findings)
    }

    fn preview(training: &Training) -> Result<String, Error> {
        let options = Options::of(&training.options())?;
        let entries = |entries: &[(String, String)]| -> serde_json::Value {
            entries
                .iter()
                .map(|(name, value)| (name.clone(), serde_json::Value::from(value.as_str())))
                .collect()
        };
        Ok(serde_json::json!({
            "TrainingJobName": training.job_name(),
            "RoleArn": aws_identity::role(&options.role_name)?.arn(),
            "OutputDataConfig": { "S3OutputPath": options.output_path },
            "ResourceConfig": {
                "InstanceType": options.instance_type,
                "InstanceCount": options.instance_count,
                "VolumeSizeInGB": options.volume_size,
            },
            "StoppingCondition": { "MaxRuntimeInSeconds": options.max_runtime },
            "HyperParameters": entries(&options.hyperparameters),
            "Environment": entries(&options.environment),
        })
        .to_string())
    }

    fn prepare(training: &Training) -> Result<Destination, Error> {
        ecr::ensure_repository(training).map(|address| Destination::repository(&address))
    }

    fn submit(training: &Training) -> Result<String, Error> {
        let options = Options::of(&training.options())?;
        let role = aws_identity::role(&options.role_name)?;
        let request = sagemaker::TrainingJobRequest::new(training);
        request.role(&role.arn());
        request.output_path(&options.output_path);
        request.instances(&options.instance_type, options.instance_count);
        request.volume_size(options.volume_size);
        request.max_runtime(options.max_runtime);
        for (name, value) in &options.hyperparameters {
            request.hyperparameter(name, value);
        }
        for (name, value) in &options.environment {
            request.environment(name, value);
        }
        match request.submit() {
            Ok(_) => Ok(training.job_name()),
            // The name is this run's own: an earlier try was heard, though its answer was not.
            Err(Error::Conflict(_)) => Ok(training.job_name()),
            Err(error) => Err(error),
        }
    }

    fn status(job: &Job) -> Result<JobStatus, Error> {
        Ok(status::of(&sagemaker::describe(job)?))
    }

    fn logs(job: &Job, cursor: Option<String>) -> Result<LogPage, Error> {
        logs::page(job, cursor.as_deref())
    }

    fn stop(job: &Job) -> Result<(), Error> {
        sagemaker::stop(job)
    }

    fn artifacts(job: &Job) -> Result<Vec<Artifact>, Error> {
        let described = sagemaker::describe(job)?;
        let Some(output) = described.output_path() else { return Ok(Vec::new()) };
        let mut artifacts = Vec::new();
        for (kind, file) in
            [(ArtifactKind::Model, "model.tar.gz"), (ArtifactKind::OutputData, "output.tar.gz")]
        {
            // The service names the model also where none was written: only S3 knows.
            let uri = format!("{}/{}/output/{file}", output.trim_end_matches('/'), job.name());
            if s3::object_size(&uri)?.is_some() {
                artifacts.push(Artifact::s3_object(kind, &uri));
            }
        }
        Ok(artifacts)
    }

    fn find(location: String, prefix: String) -> Result<Vec<String>, Error> {
        let jobs = s3::folders(&location)?.into_iter().filter(|name| name.starts_with(&prefix));
        let mut with_model = Vec::new();
        for job in jobs {
            if s3::object_size(&format!("{location}/{job}/output/model.tar.gz"))?.is_some() {
                with_model.push(job);
            }
        }
        Ok(with_model)
    }
}
