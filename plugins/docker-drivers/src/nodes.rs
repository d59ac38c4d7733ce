//! The nodes of a job: containers on this machine, named as SageMaker names its instances.

use alekseylearn_sdk::{Error, Job, OptionSpec, Training, Values, docker};
use serde_json::{Value, json};

const COUNT: &str = "train_instance_count";
/// More containers than a test on one machine needs.
const MAX: i64 = 20;

pub(crate) fn option() -> OptionSpec {
    OptionSpec::integer(COUNT, "Number of containers, on their own network").within(1..=MAX).default_to("1")
}

/// The names of the nodes, `algo-1` to `algo-N`.
pub(crate) fn of(options: &Values) -> Vec<String> {
    let count = options.integer(COUNT).unwrap_or(1);
    (1..=count).map(|number| format!("algo-{number}")).collect()
}

/// What SageMaker writes into `resourceconfig.json`, with `local` as the instance type.
pub(crate) fn resources(current: &str, nodes: &[String]) -> Value {
    json!({
        "current_host": current,
        "current_instance_type": "local",
        "current_group_name": "homogeneousCluster",
        "hosts": nodes,
        "instance_groups": [
            { "instance_group_name": "homogeneousCluster", "instance_type": "local", "hosts": nodes }
        ],
        "network_interface_name": "eth0",
    })
}

/// The container's variables. The user's own come last.
pub(crate) fn environment(training: &Training) -> Vec<(String, String)> {
    let name = training.job_name();
    let arn = format!("arn:aws:sagemaker:local:000000000000:training-job/{name}");
    let (arguments, as_written) = runner::AS_WRITTEN;
    let variables = [("TRAINING_JOB_NAME", &*name), ("TRAINING_JOB_ARN", &*arn), (arguments, as_written)];
    let mut variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    variables.extend(training.runner_environment());
    variables.extend(training.options().entries("environment"));
    variables
}

/// The variables for a preview. The host adds the secrets, and only the host has their values.
pub(crate) fn shown_environment(training: &Training) -> Vec<(String, String)> {
    let mut variables = environment(training);
    variables.extend(training.secrets().into_iter().map(|name| (name, "***".to_owned())));
    variables
}

/// A node's current state.
pub(crate) struct Node {
    pub(crate) name: String,
    /// `None` if it has no container.
    pub(crate) state: Option<docker::NodeState>,
}

impl Node {
    pub(crate) fn all(job: &Job) -> Result<Vec<Self>, Error> {
        let look = |name: String| docker::node(job, &name).map(|state| Self { name, state });
        of(&job.options()).into_iter().map(look).collect()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.state.as_ref().is_some_and(docker::NodeState::running)
    }

    pub(crate) fn exit_code(&self) -> Option<i32> {
        self.state.as_ref().and_then(docker::NodeState::exit_code)
    }

    pub(crate) fn started(&self) -> Option<u64> {
        self.state.as_ref().and_then(docker::NodeState::started)
    }

    pub(crate) fn finished(&self) -> Option<u64> {
        self.state.as_ref().and_then(docker::NodeState::finished)
    }
}
