//! SageMaker's training jobs.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
};

use aws_sdk_sagemaker::{primitives::DateTime, types::ResourceConfig};
use serde_json::{Map, Value, json};

use super::{
    Aws,
    failure::{code, explain},
};
use crate::{
    config::{Mask, SecretValues},
    error::{Error, Kind, Result},
};

/// The tag on jobs that alekseylearn created.
const TAG_KEY: &str = "alekseylearn:tag";

/// A request to CreateTrainingJob.
#[derive(Clone, Debug, Default)]
pub struct TrainingJobRequest {
    /// The job's name, unique in the account and region forever.
    pub name: String,
    /// The image with its digest.
    pub image: String,
    /// The tag of the training artifact.
    pub tag: String,
    /// Secrets: variables that replace others of the same name, and of which the driver knows the names only.
    pub secrets: Arc<SecretValues>,
    /// All other members, as the service takes them.
    pub body: Map<String, Value>,
}

impl TrainingJobRequest {
    /// The whole request. The fields of this struct replace the same members of the body.
    fn whole(self) -> Value {
        let mut body = self.body;
        body.insert("TrainingJobName".into(), self.name.into());
        let algorithm = body.entry("AlgorithmSpecification").or_insert_with(|| json!({}));
        if let Some(algorithm) = algorithm.as_object_mut() {
            algorithm.insert("TrainingImage".into(), self.image.into());
        }
        if let Some(tags) = body.entry("Tags").or_insert_with(|| json!([])).as_array_mut() {
            tags.retain(|tag| tag["Key"] != TAG_KEY);
            tags.push(json!({ "Key": TAG_KEY, "Value": self.tag }));
        }
        if !self.secrets.is_empty()
            && let Some(variables) = body.entry("Environment").or_insert_with(|| json!({})).as_object_mut()
        {
            variables.extend(self.secrets.iter().map(|(name, value)| (name.to_owned(), value.into())));
        }
        body.into()
    }
}

/// The relevant part of DescribeTrainingJob's response.
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
    /// The location of its checkpoints.
    pub checkpoint_path: Option<String>,
    /// The number of its instances.
    pub instance_count: u32,
    /// `None` until the job has ended.
    pub billable_seconds: Option<u64>,
    /// Name, start and end, in milliseconds since the Unix epoch.
    pub transitions: Vec<(String, u64, Option<u64>)>,
    /// The service's message about the current status.
    pub status_message: Option<String>,
    /// Masks its secrets.
    secrets: Mask,
}

impl Aws {
    /// Creates a job, and returns its ARN.
    ///
    /// # Errors
    /// The name is taken ([`Kind::Conflict`]), or the service rejects the request.
    pub async fn create_training_job(&self, request: TrainingJobRequest) -> Result<String> {
        let operation = format!("SageMaker rejected the job {}", request.name);
        let mask = request.secrets.mask();
        let body = request.whole().to_string();
        let answer = self
            .sagemaker()
            .await?
            .create_training_job()
            .customize()
            // The SDK's types would drop members that they do not know. The SDK signs the request after this.
            .mutate_request(move |request| {
                request.headers_mut().insert("content-length", body.len().to_string());
                *request.body_mut() = body.clone().into();
            })
            .send()
            .await
            .map_err(|error| mask.error(refused(explain(&operation, error))))?;
        Ok(answer.training_job_arn.unwrap_or_default())
    }

    /// Returns the mask of a job's secrets, whose values are in the job's own variables.
    ///
    /// # Errors
    /// There is no such job in this account and region.
    pub async fn secrets_of(&self, job: &str, names: &[String]) -> Result<Mask> {
        if names.is_empty() {
            return Ok(Mask::default());
        }
        let known = self.secrets.lock().unwrap_or_else(PoisonError::into_inner).get(job).cloned();
        match known {
            Some(known) => Ok(known),
            None => self.training_job(job, names).await.map(|job| job.secrets),
        }
    }

    /// A job's current state. `secrets` are the names of variables whose values are masked in it.
    ///
    /// # Errors
    /// There is no such job in this account and region.
    pub async fn training_job(&self, name: &str, secrets: &[String]) -> Result<TrainingJob> {
        let answer = self.sagemaker().await?.describe_training_job().training_job_name(name).send().await;
        let job = answer.map_err(|error| {
            // The service returns a validation error for an unknown job.
            if code(&error) == "ValidationException" || code(&error) == "ResourceNotFound" {
                return Error::new(
                    Kind::NotFound,
                    format!("no SageMaker job {name} in this account and region"),
                )
                .hint("use the region and profile that it was submitted with");
            }
            explain(format!("cannot get the job {name}"), error)
        })?;
        let mask = hidden(job.environment.as_ref(), secrets);
        if !secrets.is_empty() {
            let mut known = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(name.to_owned(), mask.clone());
        }
        let last = job.secondary_status_transitions().last();
        let status_message = last.and_then(|transition| transition.status_message());
        let status_message = status_message.map(|text| mask.text(text).into_owned());
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
            failure_reason: job.failure_reason.map(|reason| mask.owned(reason)),
            output_path: job.output_data_config.and_then(|output| output.s3_output_path),
            checkpoint_path: job.checkpoint_config.and_then(|checkpoints| checkpoints.s3_uri),
            instance_count: job.resource_config.as_ref().map_or(1, machines),
            billable_seconds: job.billable_time_in_seconds.and_then(|seconds| seconds.try_into().ok()),
            transitions: transitions.collect(),
            status_message,
            secrets: mask,
        })
    }

    /// Stops a job: SIGTERM, and two minutes later SIGKILL. Does nothing if it has ended.
    ///
    /// # Errors
    /// There is no such job, or the user may not stop it.
    pub async fn stop_training_job(&self, name: &str) -> Result<()> {
        match self.sagemaker().await?.stop_training_job().training_job_name(name).send().await {
            Ok(_) => Ok(()),
            Err(error) if code(&error) == "ValidationException" => {
                // The job has ended, or never existed.
                self.training_job(name, &[]).await.map(drop)
            }
            Err(error) => Err(explain(format!("cannot stop the job {name}"), error)),
        }
    }

    async fn sagemaker(&self) -> Result<aws_sdk_sagemaker::Client> {
        Ok(aws_sdk_sagemaker::Client::new(self.config().await?))
    }
}

fn refused(error: Error) -> Error {
    if error.message().contains("assume role") {
        return Error::new(Kind::Denied, error.message()).hint(
            "check that the role's trust policy allows sagemaker.amazonaws.com, that you have iam:PassRole on it, and \
             that --config.role_name is its name or its whole ARN, with its path if it has one",
        );
    }
    match error.hint_text() {
        Some(_) => error,
        None => {
            error.hint("change the option that it names; `alekseylearn driver show sagemaker` lists them")
        }
    }
}

/// Returns the mask of the values of these variables.
fn hidden(environment: Option<&HashMap<String, String>>, names: &[String]) -> Mask {
    Mask::new(names.iter().filter_map(|name| environment?.get(name)))
}

/// The number of instances, in all groups together.
fn machines(resources: &ResourceConfig) -> u32 {
    let of_groups = resources.instance_groups().iter().filter_map(|group| group.instance_count).sum::<i32>();
    let count = resources.instance_count.filter(|count| *count > 0).unwrap_or(of_groups);
    u32::try_from(count).unwrap_or(1).max(1)
}

fn milliseconds(time: &DateTime) -> Option<u64> {
    time.to_millis().ok().and_then(|time| time.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_image_and_tag_override_the_body() {
        let body = json!({
            "TrainingJobName": "another",
            "AlgorithmSpecification": { "TrainingImage": "another", "TrainingInputMode": "File" },
            "Tags": [{ "Key": TAG_KEY, "Value": "another" }, { "Key": "team", "Value": "vision" }],
        });
        let Value::Object(body) = body else { unreachable!() };
        let request = TrainingJobRequest {
            name: "a-1".into(),
            image: "i@d".into(),
            tag: "a".into(),
            body,
            ..TrainingJobRequest::default()
        };
        let expected = json!({
            "TrainingJobName": "a-1",
            "AlgorithmSpecification": { "TrainingImage": "i@d", "TrainingInputMode": "File" },
            "Tags": [{ "Key": "team", "Value": "vision" }, { "Key": TAG_KEY, "Value": "a" }],
        });
        assert_eq!(request.whole(), expected);
    }

    #[test]
    fn secrets_are_put_in_at_last() {
        let Value::Object(body) = json!({ "Environment": { "A": "***", "B": "x" } }) else { unreachable!() };
        let secrets = Arc::new([("A".to_owned(), "hunter2".to_owned())].into_iter().collect());
        let request = TrainingJobRequest { body, secrets, ..TrainingJobRequest::default() };
        assert!(!format!("{request:?}").contains("hunter2"));
        assert_eq!(request.whole()["Environment"], json!({ "A": "hunter2", "B": "x" }));
    }
}
