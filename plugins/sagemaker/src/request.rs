//! Builds CreateTrainingJob's request from the options, and checks it.

use alekseylearn_sdk::{Error, Finding, Training, Values, s3};
use serde_json::{Map, Value, json};

use crate::{
    machines,
    model::{Model, Violation},
};

/// Maximum length of a value by the documentation of the training contract; the service's model allows more.
const MAX_HYPERPARAMETER: usize = 256;
/// The service's limit.
const MAX_VARIABLES: usize = 100;
/// The service's limit, less the tag that alekseylearn adds.
const MAX_TAGS: usize = 49;
/// Members that `--config.request` cannot set.
const NOT_TO_BE_SET: [&str; 4] = ["TrainingJobName", "RoleArn", "OutputDataConfig.S3OutputPath", "Tags"];

/// Members that another option sets.
const SET_BY: [(&str, &str); 21] = [
    ("TrainingJobName", "the training artifact's name"),
    (
        "AlgorithmSpecification.TrainingImage",
        "the image's name, from the folder's and the training artifact's",
    ),
    ("RoleArn", "--config.role_name"),
    ("OutputDataConfig.S3OutputPath", "--config.output_path"),
    ("OutputDataConfig.KmsKeyId", "--config.output_kms_key"),
    ("OutputDataConfig.CompressionType", "--config.output_compression"),
    ("ResourceConfig.InstanceType", "--config.train_instance_type"),
    ("ResourceConfig.InstanceCount", "--config.train_instance_count"),
    ("ResourceConfig.InstanceGroups", "--config.instance_groups"),
    ("ResourceConfig.VolumeSizeInGB", "--config.volume_size"),
    ("ResourceConfig.VolumeKmsKeyId", "--config.volume_kms_key"),
    ("ResourceConfig.KeepAlivePeriodInSeconds", "--config.keep_alive"),
    ("InputDataConfig", "--config.input"),
    ("StoppingCondition.MaxRuntimeInSeconds", "--config.max_runtime"),
    ("StoppingCondition.MaxWaitTimeInSeconds", "--config.max_wait"),
    ("CheckpointConfig", "--config.checkpoints"),
    ("RetryStrategy", "--config.retries"),
    ("AlgorithmSpecification.MetricDefinitions", "--config.metrics"),
    ("VpcConfig.Subnets", "--config.subnets"),
    ("VpcConfig.SecurityGroupIds", "--config.security_groups"),
    ("Tags", "--config.tags"),
];

/// The request, without the image.
pub(crate) fn of(training: &Training, role_arn: &str) -> Result<Value, Error> {
    let options = training.options();
    let missing = |key: &str| Error::invalid(format!("--config.{key} is missing"));
    let output = options.text("output_path").ok_or_else(|| missing("output_path"))?;
    let job = training.job_name();
    let hyperparameters = runner::hyperparameters(options.entries("hyperparameters"));
    let environment = environment(training, &options, !hyperparameters.is_empty());
    let mut request = json!({
        "TrainingJobName": job,
        "RoleArn": role_arn,
        "AlgorithmSpecification": { "TrainingInputMode": options.text("input_mode") },
        "OutputDataConfig": {
            "S3OutputPath": output,
            "KmsKeyId": options.text("output_kms_key"),
            // The service's default is left out.
            "CompressionType": options.text("output_compression").filter(|kind| kind != "GZIP"),
        },
        "ResourceConfig": {
            "VolumeSizeInGB": options.integer("volume_size"),
            "VolumeKmsKeyId": options.text("volume_kms_key"),
            "KeepAlivePeriodInSeconds": options.integer("keep_alive"),
        },
        "StoppingCondition": { "MaxRuntimeInSeconds": options.integer("max_runtime") },
        "HyperParameters": hyperparameters,
        "Environment": environment,
    });
    for (member, value) in machines::members(&machines::asked(&options)?) {
        request["ResourceConfig"][member] = value;
    }
    if options.boolean("spot") == Some(true) {
        let wait = options.integer("max_wait");
        let twice = options.integer("max_runtime").map(|seconds| seconds.saturating_mul(2));
        request["EnableManagedSpotTraining"] = true.into();
        request["StoppingCondition"]["MaxWaitTimeInSeconds"] = json!(wait.or(twice));
        let kept = checkpoints(&output, &job);
        request["CheckpointConfig"] = json!({ "S3Uri": options.text("checkpoints").unwrap_or(kept) });
    } else if let Some(place) = options.text("checkpoints") {
        request["CheckpointConfig"] = json!({ "S3Uri": place });
    }
    if let Some(retries) = options.integer("retries") {
        request["RetryStrategy"] = json!({ "MaximumRetryAttempts": retries });
    }
    let metrics = options.entries("metrics");
    if !metrics.is_empty() {
        let metric = |(name, regex): &(String, String)| json!({ "Name": name, "Regex": regex });
        request["AlgorithmSpecification"]["MetricDefinitions"] = metrics.iter().map(metric).collect();
    }
    let tags = options.entries("tags");
    if !tags.is_empty() {
        let tag = |(key, value): &(String, String)| json!({ "Key": key, "Value": value });
        request["Tags"] = tags.iter().map(tag).collect();
    }
    let list = |key: &str| options.text(key).map(|text| listed(&text));
    if let (subnets @ Some(_), groups) | (subnets, groups @ Some(_)) =
        (list("subnets"), list("security_groups"))
    {
        request["VpcConfig"] = json!({ "Subnets": subnets, "SecurityGroupIds": groups });
    }
    for (option, member) in [
        ("network_isolation", "EnableNetworkIsolation"),
        ("encrypt_traffic", "EnableInterContainerTrafficEncryption"),
    ] {
        if options.boolean(option) == Some(true) {
            request[member] = true.into();
        }
    }
    let inputs = inputs(&options)?;
    if !inputs.is_empty() {
        request["InputDataConfig"] = inputs.into();
    }
    for (path, text) in options.entries("request") {
        set(&mut request, &path, given(&path, &text)?)?;
    }
    without_nulls(&mut request);
    if let Some(resources) = request["ResourceConfig"].as_object_mut()
        && resources.contains_key("InstanceGroups")
    {
        // The service accepts only one of the two.
        resources.remove("InstanceType");
        resources.remove("InstanceCount");
    }
    Ok(request)
}

/// The values of a comma-separated text.
fn listed(text: &str) -> Value {
    text.split(',').map(|part| json!(part.trim())).collect()
}

fn entries(options: &Values, key: &str) -> Map<String, Value> {
    options.entries(key).into_iter().map(|(name, value)| (name, value.into())).collect()
}

fn environment(training: &Training, options: &Values, has_arguments: bool) -> Map<String, Value> {
    let (variable, as_written) = runner::AS_WRITTEN;
    let mut all = Map::new();
    if has_arguments {
        all.insert(variable.into(), as_written.into());
    }
    all.extend(training.runner_environment().into_iter().map(|(name, value)| (name, value.into())));
    all.extend(entries(options, "environment"));
    // The host replaces these with the values.
    all.extend(training.secrets().into_iter().map(|name| (name, "***".into())));
    all
}

/// The S3 location that a local folder is uploaded to, named by its content; `None` if the input is in S3.
pub(crate) fn sent_to(options: &Values, place: &str) -> Result<Option<String>, Error> {
    if place.starts_with("s3://") {
        return Ok(None);
    }
    let output = options.text("output_path").unwrap_or_default();
    Ok(Some(format!("{}/inputs/{}", output.trim_end_matches('/'), s3::folder_hash(place)?)))
}

/// The default location of a spot job's checkpoints.
pub(crate) fn checkpoints(output: &str, job: &str) -> String {
    format!("{}/{job}/checkpoints", output.trim_end_matches('/'))
}

/// Whether a location is an object. Without permission to look, a trailing slash decides.
fn is_object(place: &str) -> Result<bool, Error> {
    match s3::object_size(place) {
        Ok(size) => Ok(size.is_some()),
        Err(Error::Denied(_)) => Ok(!place.ends_with('/')),
        Err(error) => Err(error),
    }
}

/// A location as a folder, which ends in a slash: the prefix `data` would also match `database`.
fn folder(place: &str) -> String {
    format!("{}/", place.trim_end_matches('/'))
}

/// The input channels.
fn inputs(options: &Values) -> Result<Vec<Value>, Error> {
    let inputs = options.entries("input");
    let about = |key: &str| -> Result<Map<String, Value>, Error> {
        let entries = entries(options, key);
        match entries.keys().find(|name| !inputs.iter().any(|(input, _)| input == *name)) {
            Some(name) => Err(Error::invalid(format!("--config.{key}.{name} matches no input"))
                .hint(format!("add --config.input.{name}=s3://bucket/path"))),
            None => Ok(entries),
        }
    };
    let (types, compressions, shardings, modes) =
        (about("input_type")?, about("input_compression")?, about("input_sharding")?, about("input_modes")?);
    let groups = about("input_groups")?;
    let channel = |(name, place): &(String, String)| {
        let uri = match sent_to(options, place)? {
            Some(sent) => format!("{sent}/"),
            None if is_object(place)? => place.clone(),
            None => folder(place),
        };
        let sharding = shardings.get(name).cloned().unwrap_or("FullyReplicated".into());
        let groups = groups.get(name).and_then(Value::as_str).map(listed);
        Ok(json!({
            "ChannelName": name,
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": uri,
                    "S3DataDistributionType": sharding,
                    "InstanceGroupNames": groups,
                },
            },
            "ContentType": types.get(name),
            "CompressionType": compressions.get(name),
            "InputMode": modes.get(name),
        }))
    };
    inputs.iter().map(channel).collect()
}

/// The value that the user gave for a member.
fn given(path: &str, text: &str) -> Result<Value, Error> {
    match serde_json::from_str(text) {
        Ok(value) => Ok(value),
        Err(_) if Model::read().is_text(path) => Ok(text.into()),
        Err(error) => Err(Error::invalid(format!("--config.request.{path}: `{text}` is not valid JSON: {error}"))
            .hint("quote it for the shell, as in --config.request.Tags='[{\"Key\": \"team\", \"Value\": \"vision\"}]'")),
    }
}

fn set(request: &mut Value, path: &str, value: Value) -> Result<(), Error> {
    if NOT_TO_BE_SET.contains(&path)
        || path.starts_with("AlgorithmSpecification.Training") && path.ends_with("Image")
    {
        let by = set_by(path).unwrap_or("the build");
        return Err(Error::invalid(format!("--config.request.{path} cannot be set: it comes from {by}"))
            .hint("leave it out"));
    }
    let mut place = request;
    for part in path.split('.') {
        if place.is_null() {
            *place = json!({});
        }
        let Some(members) = place.as_object_mut() else {
            return Err(Error::invalid(format!(
                "--config.request.{path} cannot be set: its parent is not an object"
            ))
            .hint("set the whole list or map as JSON"));
        };
        place = members.entry(part).or_insert(Value::Null);
    }
    *place = value;
    Ok(())
}

fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

fn set_by(path: &str) -> Option<&'static str> {
    SET_BY.iter().find(|(member, _)| path.starts_with(member)).map(|(_, option)| *option)
}

/// What the service would reject, in terms of the options.
pub(crate) fn findings(request: &Value, options: &Values) -> Vec<Finding> {
    let mut problems: Vec<(String, &str)> = Vec::new();
    let mut findings = Vec::new();
    let variables = request["Environment"].as_object().map_or(0, Map::len);
    for Violation { path, problem, may_be_newer } in Model::read().violations(request) {
        if path == "Environment" && variables > MAX_VARIABLES {
            // Reported below in terms of the options.
            continue;
        }
        let option = option_of(&path, request, options);
        let message = format!("{option}: {problem}");
        if may_be_newer && option.starts_with("--config.request.") {
            findings
                .push(Finding::warning(&message, "the service decides: it may be newer than this driver"));
        } else if may_be_newer {
            let fix = format!("fix it, or set --config.request.{path}=VALUE to let the service decide");
            findings.push(Finding::problem(&message, &fix));
        } else {
            problems.push((message, "fix the value: SageMaker would reject it"));
        }
    }
    for (name, value) in request["HyperParameters"].as_object().into_iter().flatten() {
        if value.as_str().is_some_and(|value| value.chars().count() > MAX_HYPERPARAMETER) {
            problems.push((
                format!("--config.hyperparameters.{name} is too long"),
                "use at most 256 characters, or put the value into a file of the project",
            ));
        }
    }
    if variables > MAX_VARIABLES {
        problems.push((
            format!(
                "the script's arguments and --config.environment need {variables} variables, but SageMaker allows \
                 {MAX_VARIABLES}"
            ),
            "put long arguments into a file of the project, and pass its path to the script",
        ));
    }
    if request["Tags"].as_array().is_some_and(|tags| tags.len() > MAX_TAGS) {
        problems.push((
            format!("--config.tags: at most {MAX_TAGS} are allowed besides the one that alekseylearn adds"),
            "remove some tags",
        ));
    }
    let stopping = &request["StoppingCondition"];
    let (runtime, wait) =
        (stopping["MaxRuntimeInSeconds"].as_i64(), stopping["MaxWaitTimeInSeconds"].as_i64());
    if wait.is_some() && wait < runtime {
        problems.push((
            "--config.max_wait is less than --config.max_runtime".into(),
            "increase it: it includes waiting and training",
        ));
    }
    if options.integer("max_wait").is_some() && request.get("EnableManagedSpotTraining").is_none() {
        problems.push(("--config.max_wait is for spot training only".into(), "add --config.spot=true"));
    }
    problems.extend(unknown_groups(request));
    let inputs = options.entries("input");
    for (at, (name, _)) in inputs.iter().enumerate() {
        // The script finds an input by `SM_CHANNEL_NAME` in capitals.
        let same = |(other, _): &&(String, String)| other.to_uppercase() == name.to_uppercase();
        if let Some((other, _)) = inputs[..at].iter().find(same) {
            problems.push((
                format!(
                    "--config.input.{name} and --config.input.{other} are both SM_CHANNEL_{}",
                    name.to_uppercase()
                ),
                "rename one of them",
            ));
        }
    }
    findings.extend(machines::idle(options).into_iter().map(|option| {
        Finding::warning(
            &format!("--config.{option} is ignored: --config.instance_groups replaces it"),
            "leave one of them out",
        )
    }));
    findings.extend(problems.iter().map(|(message, fix)| Finding::problem(message, fix)));
    findings
}

/// Inputs for instance groups that do not exist.
fn unknown_groups(request: &Value) -> Vec<(String, &'static str)> {
    let known: Vec<String> = machines::of(request).into_iter().filter_map(|group| group.name).collect();
    let mut problems = Vec::new();
    for channel in request["InputDataConfig"].as_array().into_iter().flatten() {
        let name = channel["ChannelName"].as_str().unwrap_or_default();
        let groups = channel["DataSource"]["S3DataSource"]["InstanceGroupNames"].as_array();
        for group in groups.into_iter().flatten().filter_map(Value::as_str) {
            if !known.iter().any(|known| known == group) {
                problems.push((
                    format!("--config.input_groups.{name}: no instance group `{group}`"),
                    "use the NAME of one of --config.instance_groups.NAME=TYPE:COUNT",
                ));
            }
        }
    }
    problems
}

/// The option that sets the member at a path.
fn option_of(path: &str, request: &Value, options: &Values) -> String {
    let by_request =
        options.entries("request").into_iter().map(|(key, _)| key).find(|key| path.starts_with(key));
    if let Some(key) = by_request {
        let rest = path.strip_prefix(&key).unwrap_or_default();
        return format!("--config.request.{key}{}{rest}", if rest.is_empty() { "" } else { " at " });
    }
    for (member, option) in [("HyperParameters", "hyperparameters"), ("Environment", "environment")] {
        if let Some(name) = path.strip_prefix(member) {
            return format!("--config.{option}{name}");
        }
    }
    let entry = |list: &str, name: &str| {
        let (index, rest) = path.strip_prefix(list)?.strip_prefix('[')?.split_once(']')?;
        let entries = list.split('.').fold(request, |value, member| &value[member]);
        let name = index.parse::<usize>().ok().and_then(|index| entries[index][name].as_str());
        Some((name.unwrap_or("NAME"), rest))
    };
    if let Some((name, _)) = entry("ResourceConfig.InstanceGroups", "InstanceGroupName") {
        return format!("--config.instance_groups.{name}");
    }
    if let Some((name, rest)) = entry("InputDataConfig", "ChannelName") {
        let option = match rest {
            ".ContentType" => "input_type",
            ".CompressionType" => "input_compression",
            ".InputMode" => "input_modes",
            rest if rest.contains("Distribution") => "input_sharding",
            rest if rest.contains("InstanceGroupNames") => "input_groups",
            _ => "input",
        };
        return format!("--config.{option}.{name}");
    }
    set_by(path).unwrap_or(path).to_owned()
}
