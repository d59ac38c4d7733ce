//! `sagemaker`: training jobs of alekseylearn.

use std::sync::Arc;

use serde_json::{Map, Value};
use wasmtime::component::Resource;

use crate::{
    capability::aws::{TrainingJob, TrainingJobRequest},
    config::Value as Allowed,
    error::{Error, Kind, Result},
    plugin::{
        driver::run::{SharedJob, SharedTraining},
        policy::verb::Verb,
        sandbox::{bindings::alekseylearn::driver::sagemaker, state::CallState},
    },
};

/// The option that allows secrets in the request, where others of the account can read them.
const IN_REQUEST: &str = "secrets_in_request";

impl sagemaker::Host for CallState {
    async fn describe(&mut self, job: Resource<SharedJob>) -> Result<Resource<TrainingJob>> {
        let job = self.get(&job)?;
        self.allow(Verb::TrainingJob(&job.name))?;
        let job = self.aws.training_job(&job.name, &job.secrets).await?;
        self.push(job)
    }

    async fn stop(&mut self, job: Resource<SharedJob>) -> Result<()> {
        let name = &self.get(&job)?.name;
        self.allow(Verb::TrainingJob(name))?;
        self.aws.stop_training_job(name).await
    }

    async fn training_quota(&mut self, instance_type: String, spot: bool) -> Result<Option<u32>> {
        self.allow(Verb::TrainingQuota)?;
        Ok(self.aws.training_quota(&instance_type, spot).await)
    }
}

impl sagemaker::HostTrainingJobRequest for CallState {
    async fn new(
        &mut self,
        training: Resource<SharedTraining>,
    ) -> wasmtime::Result<Resource<TrainingJobRequest>> {
        let training = self.get(&training)?;
        let may = self.authority.shipped && training.options.get(IN_REQUEST) == Some(&Allowed::Boolean(true));
        let secrets = if may { training.secrets.clone() } else { Arc::default() };
        let request = TrainingJobRequest {
            secrets,
            name: training.job_name.clone(),
            image: training.image.clone().unwrap_or_default(),
            tag: training.project.tag.clone(),
            ..TrainingJobRequest::default()
        };
        Ok(self.push(request)?)
    }

    async fn body(&mut self, this: Resource<TrainingJobRequest>, json: String) -> wasmtime::Result<()> {
        self.hold(json.len())?;
        let body = serde_json::from_str(&json).map_err(|error| {
            Error::new(Kind::Plugin, "the driver's request to SageMaker is not a JSON object").source(error)
        })?;
        self.get_mut(&this)?.body = body;
        Ok(())
    }

    async fn submit(&mut self, this: Resource<TrainingJobRequest>) -> Result<String> {
        let request = self.get(&this)?.clone();
        self.allow(Verb::TrainingJob(&request.name))?;
        self.allow(Verb::Role(request.body.get("RoleArn").and_then(Value::as_str).unwrap_or_default()))?;
        for resource in resources(&request.body) {
            self.allow(Verb::Resource(resource))?;
        }
        self.aws.create_training_job(request).await
    }

    async fn drop(&mut self, this: Resource<TrainingJobRequest>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl sagemaker::HostTrainingJob for CallState {
    async fn arn(&mut self, this: Resource<TrainingJob>) -> wasmtime::Result<String> {
        Ok(self.get(&this)?.arn.clone())
    }

    async fn status(&mut self, this: Resource<TrainingJob>) -> wasmtime::Result<String> {
        Ok(self.get(&this)?.status.clone())
    }

    async fn secondary_status(&mut self, this: Resource<TrainingJob>) -> wasmtime::Result<String> {
        Ok(self.get(&this)?.secondary_status.clone())
    }

    async fn failure_reason(&mut self, this: Resource<TrainingJob>) -> wasmtime::Result<Option<String>> {
        Ok(self.get(&this)?.failure_reason.clone())
    }

    async fn output_path(&mut self, this: Resource<TrainingJob>) -> wasmtime::Result<Option<String>> {
        Ok(self.get(&this)?.output_path.clone())
    }

    async fn checkpoint_path(&mut self, this: Resource<TrainingJob>) -> wasmtime::Result<Option<String>> {
        Ok(self.get(&this)?.checkpoint_path.clone())
    }

    async fn instance_count(&mut self, this: Resource<TrainingJob>) -> wasmtime::Result<u32> {
        Ok(self.get(&this)?.instance_count)
    }

    async fn billable_seconds(&mut self, this: Resource<TrainingJob>) -> wasmtime::Result<Option<u64>> {
        Ok(self.get(&this)?.billable_seconds)
    }

    async fn transitions(
        &mut self,
        this: Resource<TrainingJob>,
    ) -> wasmtime::Result<Vec<(String, u64, Option<u64>)>> {
        Ok(self.get(&this)?.transitions.clone())
    }

    async fn status_message(&mut self, this: Resource<TrainingJob>) -> wasmtime::Result<Option<String>> {
        Ok(self.get(&this)?.status_message.clone())
    }

    async fn drop(&mut self, this: Resource<TrainingJob>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

/// Members with free text of the training, which give the job no access to anything.
const FREE_TEXT: [&str; 4] = ["HyperParameters", "Environment", "Tags", "MetricDefinitions"];
/// The prefixes of cloud resource names.
const PREFIXES: [&str; 7] = ["s3:", "http:", "https:", "arn:", "fs-", "subnet-", "sg-"];

/// All cloud resources in a request except its role: locations, keys, networks, file systems and images.
fn resources(body: &Map<String, Value>) -> Vec<&str> {
    fn walk<'a>(key: &str, value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::String(text) => {
                let lower = text.to_ascii_lowercase();
                if PREFIXES.iter().any(|prefix| lower.starts_with(prefix))
                    || text.contains(".dkr.ecr.")
                    || key.ends_with("KmsKeyId")
                    || key.ends_with("Image")
                {
                    found.push(text);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(key, item, found)),
            Value::Object(members) => members.iter().for_each(|(key, member)| walk(key, member, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    for (key, value) in body.iter().filter(|(key, _)| !FREE_TEXT.contains(&key.as_str()) && *key != "RoleArn")
    {
        walk(key, value, &mut found);
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_resources_in_a_request_are_found() {
        let body = json!({
            "RoleArn": "arn:aws:iam::1:role/r",
            "HyperParameters": { "data": "s3://own/text" },
            "AlgorithmSpecification": { "TrainingInputMode": "File" },
            "InputDataConfig": [{ "DataSource": { "S3DataSource": { "S3Uri": "S3://b/in" } } },
                                { "DataSource": { "FileSystemDataSource": { "FileSystemId": "fs-1" } } }],
            "OutputDataConfig": { "S3OutputPath": "s3://b/out", "KmsKeyId": "alias/key" },
            "VpcConfig": { "Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"] },
            "DebugRuleConfigurations": [{ "RuleEvaluatorImage": "1.dkr.ecr.x/y" }],
        });
        let Value::Object(body) = body else { unreachable!() };
        let mut found = resources(&body);
        found.sort_unstable();
        assert_eq!(
            found,
            ["1.dkr.ecr.x/y", "S3://b/in", "alias/key", "fs-1", "s3://b/out", "sg-1", "subnet-1"]
        );
    }
}
