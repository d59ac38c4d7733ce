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
    /// Variables of the job that go before the others, and that the driver knows by their names alone.
    pub secrets: Arc<SecretValues>,
    /// All else, as the service takes it.
    pub body: Map<String, Value>,
}

impl TrainingJobRequest {
    /// The request as the service gets it: what this holds goes before what the body says of the same.
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
    /// Where its checkpoints are kept.
    pub checkpoint_path: Option<String>,
    /// How many instances it asked for.
    pub instance_count: u32,
    /// Only after its end.
    pub billable_seconds: Option<u64>,
    /// Name, start and end, in milliseconds since the Unix epoch.
    pub transitions: Vec<(String, u64, Option<u64>)>,
    /// What the service says of the present status.
    pub status_message: Option<String>,
    /// Hides its secrets.
    secrets: Mask,
}

impl Aws {
    /// The new job's ARN.
    ///
    /// # Errors
    /// The name is taken ([`Kind::Conflict`]), or the service refuses the request.
    pub async fn create_training_job(&self, request: TrainingJobRequest) -> Result<String> {
        let operation = format!("SageMaker refuses the job {}", request.name);
        let mask = request.secrets.mask();
        let body = request.whole().to_string();
        let answer = self
            .sagemaker()
            .await?
            .create_training_job()
            .customize()
            // The SDK's own types would lose what they do not know. It signs what goes out after this.
            .mutate_request(move |request| {
                request.headers_mut().insert("content-length", body.len().to_string());
                *request.body_mut() = body.clone().into();
            })
            .send()
            .await
            .map_err(|error| mask.error(refused(explain(&operation, error))))?;
        Ok(answer.training_job_arn.unwrap_or_default())
    }

    /// Hides the secrets of a job, which only the service has any more.
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

    /// A job as it is now. `secrets` are the names of its variables whose values nothing of it may show.
    ///
    /// # Errors
    /// There is no such job in this account and region.
    pub async fn training_job(&self, name: &str, secrets: &[String]) -> Result<TrainingJob> {
        let answer = self.sagemaker().await?.describe_training_job().training_job_name(name).send().await;
        let job = answer.map_err(|error| {
            // The service calls an unknown job invalid.
            if code(&error) == "ValidationException" || code(&error) == "ResourceNotFound" {
                return Error::new(Kind::NotFound, format!("SageMaker knows no job {name} here"))
                    .hint("see whether AWS_REGION and the profile are those it was submitted with");
            }
            explain(format!("cannot ask for the job {name}"), error)
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

    /// Asks a job to stop: SIGTERM, and two minutes later SIGKILL. Nothing happens to one that has ended.
    ///
    /// # Errors
    /// There is no such job, or the user may not stop it.
    pub async fn stop_training_job(&self, name: &str) -> Result<()> {
        match self.sagemaker().await?.stop_training_job().training_job_name(name).send().await {
            Ok(_) => Ok(()),
            Err(error) if code(&error) == "ValidationException" => {
                // Either it has ended, or there never was one.
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
            "the role's trust policy must name sagemaker.amazonaws.com, you need iam:PassRole on it, and \
             --config.role_name must be its name or its whole ARN, with its path if it has one",
        );
    }
    match error.hint_text() {
        Some(_) => error,
        None => error.hint(
            "change the option that it names: `alekseylearn driver show sagemaker` tells what each takes",
        ),
    }
}

/// The values of variables of these names.
fn hidden(environment: Option<&HashMap<String, String>>, names: &[String]) -> Mask {
    Mask::new(names.iter().filter_map(|name| environment?.get(name)))
}

/// Of the one kind, or of all groups together.
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
    fn name_image_and_tag_are_the_trainings_whatever_the_body_says() {
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
