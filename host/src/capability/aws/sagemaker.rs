//! SageMaker's training jobs.

use std::collections::BTreeMap;

use aws_sdk_sagemaker::{
    primitives::DateTime,
    types::{
        AlgorithmSpecification, OutputDataConfig, ResourceConfig, StoppingCondition, Tag, TrainingInputMode,
    },
};

use super::{
    Aws,
    failure::{code, explain},
};
use crate::error::{Error, Kind, Result};

/// Marks the jobs that alekseylearn made.
const TAG_KEY: &str = "alekseylearn:tag";

/// What CreateTrainingJob is asked.
#[derive(Clone, Debug, Default)]
pub struct TrainingJobRequest {
    /// Unique in the account and region, for ever.
    pub name: String,
    /// The image with its digest.
    pub image: String,
    /// The tag of the training artifact.
    pub tag: String,
    /// The role's ARN.
    pub role: String,
    /// `S3OutputPath`
    pub output_path: String,
    /// Such as `ml.m5.large`.
    pub instance_type: String,
    /// At least 1.
    pub instance_count: u32,
    /// In GiB.
    pub volume_size: u32,
    /// In seconds.
    pub max_runtime: u32,
    /// All are text, as the container gets them.
    pub hyperparameters: BTreeMap<String, String>,
    /// Variables of the container.
    pub environment: BTreeMap<String, String>,
}

/// A part of what DescribeTrainingJob answers.
#[derive(Clone, Debug, Default)]
pub struct TrainingJob {
    /// Its ARN.
    pub arn: String,
    /// `TrainingJobStatus`; the list of values may grow.
    pub status: String,
    /// `SecondaryStatus`; the list of values may grow.
    pub secondary_status: String,
    /// Why it failed.
    pub failure_reason: Option<String>,
    /// `S3OutputPath`
    pub output_path: Option<String>,
    /// How many instances it asked for.
    pub instance_count: u32,
    /// Only after its end.
    pub billable_seconds: Option<u64>,
    /// Name, start and end, in milliseconds since the Unix epoch.
    pub transitions: Vec<(String, u64, Option<u64>)>,
}

impl Aws {
    /// The new job's ARN.
    ///
    /// # Errors
    /// The name is taken ([`Kind::Conflict`]), or the service refuses the request.
    pub async fn create_training_job(&self, request: TrainingJobRequest) -> Result<String> {
        let operation = format!("SageMaker refuses the job {}", request.name);
        let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        let answer = self
            .sagemaker()
            .await
            .create_training_job()
            .training_job_name(&request.name)
            .role_arn(&request.role)
            .algorithm_specification(
                AlgorithmSpecification::builder()
                    .training_image(&request.image)
                    .training_input_mode(TrainingInputMode::File)
                    .build(),
            )
            .output_data_config(OutputDataConfig::builder().s3_output_path(&request.output_path).build())
            .resource_config(
                ResourceConfig::builder()
                    .instance_type(request.instance_type.as_str().into())
                    .instance_count(number(request.instance_count))
                    .volume_size_in_gb(number(request.volume_size))
                    .build(),
            )
            .stopping_condition(
                StoppingCondition::builder().max_runtime_in_seconds(number(request.max_runtime)).build(),
            )
            .set_hyper_parameters(Some(request.hyperparameters.into_iter().collect()))
            .set_environment(Some(request.environment.into_iter().collect()))
            .tags(Tag::builder().key(TAG_KEY).value(&request.tag).build())
            .send()
            .await
            .map_err(|error| refused(&operation, explain(&operation, error)))?;
        Ok(answer.training_job_arn.unwrap_or_default())
    }

    /// A job as it is now.
    ///
    /// # Errors
    /// There is no such job in this account and region.
    pub async fn training_job(&self, name: &str) -> Result<TrainingJob> {
        let answer = self.sagemaker().await.describe_training_job().training_job_name(name).send().await;
        let job = answer.map_err(|error| {
            // The service calls an unknown job invalid.
            if code(&error) == "ValidationException" || code(&error) == "ResourceNotFound" {
                return Error::new(Kind::NotFound, format!("SageMaker knows no job {name} here"))
                    .hint("see whether AWS_REGION and the profile are those it was submitted with");
            }
            explain(format!("cannot ask for the job {name}"), error)
        })?;
        let transitions =
            job.secondary_status_transitions.unwrap_or_default().into_iter().map(|transition| {
                let start = transition.start_time.as_ref().and_then(milliseconds).unwrap_or(0);
                let status = transition.status.map(|status| status.as_str().to_owned()).unwrap_or_default();
                (status, start, transition.end_time.as_ref().and_then(milliseconds))
            });
        Ok(TrainingJob {
            arn: job.training_job_arn.unwrap_or_default(),
            status: job.training_job_status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
            secondary_status: job
                .secondary_status
                .map(|status| status.as_str().to_owned())
                .unwrap_or_default(),
            failure_reason: job.failure_reason,
            output_path: job.output_data_config.and_then(|output| output.s3_output_path),
            instance_count: job
                .resource_config
                .and_then(|resources| resources.instance_count)
                .and_then(|count| count.try_into().ok())
                .unwrap_or(1),
            billable_seconds: job.billable_time_in_seconds.and_then(|seconds| seconds.try_into().ok()),
            transitions: transitions.collect(),
        })
    }

    /// Asks a job to stop: SIGTERM, and two minutes later SIGKILL. Nothing happens to one that has ended.
    ///
    /// # Errors
    /// There is no such job, or the user may not stop it.
    pub async fn stop_training_job(&self, name: &str) -> Result<()> {
        match self.sagemaker().await.stop_training_job().training_job_name(name).send().await {
            Ok(_) => Ok(()),
            Err(error) if code(&error) == "ValidationException" => {
                // Either it has ended, or there never was one.
                self.training_job(name).await.map(drop)
            }
            Err(error) => Err(explain(format!("cannot stop the job {name}"), error)),
        }
    }

    async fn sagemaker(&self) -> aws_sdk_sagemaker::Client {
        aws_sdk_sagemaker::Client::new(self.config().await)
    }
}

fn refused(operation: &str, error: Error) -> Error {
    if error.message().contains("assume role") {
        return Error::new(Kind::Denied, operation)
            .hint(
                "the role's trust policy must name sagemaker.amazonaws.com, and you need iam:PassRole on it",
            )
            .source(error);
    }
    match error.hint_text() {
        Some(_) => error,
        None => error.hint(
            "change the option that it names: `alekseylearn driver show sagemaker` tells what each takes",
        ),
    }
}

fn milliseconds(time: &DateTime) -> Option<u64> {
    time.to_millis().ok().and_then(|time| time.try_into().ok())
}
