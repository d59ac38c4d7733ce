//! The custom job that runs a training: the request that creates it, and its name and state at the service.

use alekseylearn_sdk::{Error, Training, Values, credentials, progress};
use serde_json::{Map, Value, json};

use crate::{
    api, options,
    storage::{Location, encoded},
};

/// Variable with the hyperparameters as one JSON object, which the runner reads because the service provides no file.
const HYPERPARAMETERS: &str = "ALEKSEYLEARN_HYPERPARAMETERS";
const JOB_LABEL: &str = "alekseylearn-job";
const PAGE_JOBS: u64 = 100;
/// An origin whose credentials all other origins share.
const ANY: &str = "https://storage.googleapis.com";

/// The project: from the option, else from the credentials.
pub(crate) fn project(options: &Values) -> Result<String, Error> {
    if let Some(project) = options.text("project") {
        return Ok(project);
    }
    credentials::project(ANY)?.ok_or_else(|| {
        Error::invalid("cannot determine the Google Cloud project from the credentials")
            .hint("set --config.project")
    })
}

pub(crate) fn region(options: &Values) -> String {
    options.text("region").unwrap_or_default()
}

/// The folder of a job's results.
pub(crate) fn output(options: &Values, job_name: &str) -> Result<Location, Error> {
    Ok(Location::parse(&options.text("output_path").unwrap_or_default())?.join(job_name))
}

fn service(region: &str) -> String {
    format!("https://{region}-aiplatform.googleapis.com/v1")
}

/// A job of the service: `projects/P/locations/L/customJobs/N`.
pub(crate) struct CustomJob {
    name: String,
    pub(crate) project: String,
    pub(crate) region: String,
    pub(crate) id: String,
}

impl CustomJob {
    pub(crate) fn of_reference(name: &str) -> Result<Self, Error> {
        let wrong = || Error::invalid(format!("`{name}` is not the name of a custom job"));
        let part = |text: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '_');
            !text.is_empty() && text.chars().all(plain)
        };
        match name.split('/').collect::<Vec<_>>()[..] {
            ["projects", project, "locations", region, "customJobs", id]
                if part(project) && options::is_region(region) && part(id) =>
            {
                let [project, region, id] = [project, region, id].map(str::to_owned);
                Ok(Self { name: name.to_owned(), project, region, id })
            }
            _ => Err(wrong()),
        }
    }

    pub(crate) fn reference(&self) -> String {
        self.name.clone()
    }

    /// The URL of its page.
    pub(crate) fn page(&self) -> String {
        let Self { project, region, id, .. } = self;
        format!(
            "https://console.cloud.google.com/vertex-ai/locations/{region}/training/{id}?project={project}"
        )
    }

    /// The job's current description.
    pub(crate) fn get(&self) -> Result<Value, Error> {
        api::ask(&format!("{}/{}", service(&self.region), self.name))
    }

    /// Cancels the job. Does nothing if it has ended.
    pub(crate) fn cancel(&self) -> Result<(), Error> {
        api::act(&format!("{}/{}:cancel", service(&self.region), self.name), &json!({})).map(drop)
    }
}

/// The request that creates the job.
pub(crate) fn request(training: &Training, image: &str) -> Result<Value, Error> {
    let options = training.options();
    let pool = |replicas: i64| {
        json!({
            "machineSpec": {
                "machineType": options.text("machine_type"),
                "acceleratorType": options.text("accelerator_type"),
                "acceleratorCount": options.text("accelerator_type").map(|_| options.integer("accelerator_count").unwrap_or(1)),
            },
            // 64-bit numbers are strings in the API.
            "replicaCount": replicas.to_string(),
            "diskSpec": { "bootDiskType": options.text("disk_type"), "bootDiskSizeGb": options.integer("disk_size") },
            "containerSpec": { "imageUri": image, "args": ["train"], "env": variables(training, &options) },
        })
    };
    // The first pool holds only the primary replica.
    let replicas = options.integer("replica_count").unwrap_or(1);
    let mut pools = vec![pool(1)];
    if replicas > 1 {
        pools.push(pool(replicas - 1));
    }
    let mut labels: Map<String, Value> =
        options.entries("labels").into_iter().map(|(name, value)| (name, value.into())).collect();
    labels.insert(JOB_LABEL.into(), training.job_name().to_lowercase().into());
    let mut request = json!({
        "displayName": training.job_name(),
        "labels": labels,
        "jobSpec": {
            "workerPoolSpecs": pools,
            "scheduling": {
                "timeout": options.integer("timeout").map(|seconds| format!("{seconds}s")),
                "strategy": (options.boolean("spot") == Some(true)).then_some("SPOT"),
            },
            "serviceAccount": options.text("service_account"),
            "network": options.text("network"),
            "baseOutputDirectory": { "outputUriPrefix": output(&options, &training.job_name())?.uri() },
        },
    });
    without_nothing(&mut request);
    Ok(request)
}

fn variables(training: &Training, options: &Values) -> Vec<Value> {
    let hyperparameters = runner::hyperparameters(options.entries("hyperparameters"));
    let mut variables = vec![("TRAINING_JOB_NAME".to_owned(), training.job_name())];
    if !hyperparameters.is_empty() {
        variables.push((HYPERPARAMETERS.to_owned(), Value::Object(hyperparameters).to_string()));
        let (arguments, as_written) = runner::AS_WRITTEN;
        variables.push((arguments.to_owned(), as_written.to_owned()));
    }
    variables.extend(training.runner_environment());
    variables.extend(options.entries("environment"));
    // The service would expand it to another variable's value.
    let literal = |value: String| value.replace("$(", "$$(");
    variables.into_iter().map(|(name, value)| json!({ "name": name, "value": literal(value) })).collect()
}

/// Removes null and empty members.
fn without_nothing(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.values_mut().for_each(without_nothing);
            members.retain(|_, member| !member.is_null() && *member != json!({}));
        }
        Value::Array(items) => items.iter_mut().for_each(without_nothing),
        _ => {}
    }
}

/// Creates the job.
pub(crate) fn create(options: &Values, request: &Value) -> Result<CustomJob, Error> {
    let (project, region) = (project(options)?, region(options));
    let answer =
        api::act(&format!("{}/projects/{project}/locations/{region}/customJobs", service(&region)), request)?;
    CustomJob::of_reference(answer["name"].as_str().unwrap_or_default())
}

/// Finds the job by name, if the response to its submission was lost.
pub(crate) fn find(options: &Values, job_name: &str) -> Result<Option<CustomJob>, Error> {
    let (project, region) = (project(options)?, region(options));
    let filter = encoded(&format!("display_name=\"{job_name}\""));
    let url = format!(
        "{}/projects/{project}/locations/{region}/customJobs?filter={filter}&pageSize={PAGE_JOBS}",
        service(&region)
    );
    let answer = api::ask(&url)?;
    let mut jobs = answer["customJobs"].as_array().into_iter().flatten();
    let found = jobs.find(|job| job["displayName"] == job_name);
    found.map(|job| CustomJob::of_reference(job["name"].as_str().unwrap_or_default())).transpose()
}

/// Checks that the service can be used.
pub(crate) fn look(options: &Values) -> Result<(), Error> {
    let (project, region) = (project(options)?, region(options));
    api::ask(&format!("{}/projects/{project}/locations/{region}/customJobs?pageSize=1", service(&region)))
        .map(drop)
}

/// Shows the URL of the job's page.
pub(crate) fn announce(job: &CustomJob) {
    progress::stage(&format!("View the job on Vertex AI: {}", job.page()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_identifies_a_job() {
        let name = "projects/123456789012/locations/europe-west4/customJobs/8800000000000000001";
        let job = CustomJob::of_reference(name).unwrap();
        assert_eq!((job.reference().as_str(), job.region.as_str()), (name, "europe-west4"));
        assert!(job.page().ends_with("europe-west4/training/8800000000000000001?project=123456789012"));
        for text in [
            "",
            "customJobs/1",
            "projects/p/locations/evil.com/customJobs/1",
            &format!("{name}/x"),
            "projects/p/locations/us-central1/customJobs/../1",
        ] {
            assert!(CustomJob::of_reference(text).is_err(), "{text}");
        }
    }
}
