//! The service's model of CreateTrainingJob's request: types, required members, limits, values, patterns.
//!
//! `tests/rig/model.py` extracts `model.json` from botocore's model of the service, and a test of the rig compares the
//! two. A request is checked against the model before anything is built. The service checks rules between members.

use regex_lite::Regex;
use serde_json::{Map, Value};

const REQUEST: &str = "CreateTrainingJobRequest";
/// How many values of a list a message names.
const FEW: usize = 8;

/// The model's shapes, by name.
pub(crate) struct Model(Map<String, Value>);

/// One violation of the model by a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The member's path, such as `ResourceConfig.InstanceType` or `InputDataConfig[0].ChannelName`.
    pub(crate) path: String,
    /// What is wrong with the member.
    pub(crate) problem: String,
    /// Whether the value is only missing in the model's list, so that a newer service may accept it.
    pub(crate) may_be_newer: bool,
}

impl Model {
    pub(crate) fn read() -> Self {
        Self(serde_json::from_str(include_str!("model.json")).expect("the model is built in"))
    }

    /// Everything that the service would reject according to its model.
    pub(crate) fn violations(&self, request: &Value) -> Vec<Violation> {
        let mut found = Vec::new();
        self.check(REQUEST, request, "", &mut found);
        found
    }

    /// Whether the value at a path is a string, so that it may be given without JSON's quotes.
    pub(crate) fn is_text(&self, path: &str) -> bool {
        let mut shape = REQUEST;
        for part in path.split('.') {
            let Some(next) = self.0[shape]["members"][part].as_str() else { return false };
            shape = next;
        }
        self.0[shape]["type"] == "string"
    }

    fn check(&self, name: &str, value: &Value, path: &str, found: &mut Vec<Violation>) {
        let shape = &self.0[name];
        let mut wrong =
            |problem: String| found.push(Violation { path: path.to_owned(), problem, may_be_newer: false });
        match (shape["type"].as_str().unwrap_or_default(), value) {
            ("structure", Value::Object(members)) => self.members(shape, members, path, found),
            ("list", Value::Array(items)) => {
                bounds(shape, items.len() as f64, "entries", &mut wrong);
                for (index, item) in items.iter().enumerate() {
                    self.check(text(&shape["member"]), item, &format!("{path}[{index}]"), found);
                }
            }
            ("map", Value::Object(entries)) => {
                bounds(shape, entries.len() as f64, "entries", &mut wrong);
                for (key, entry) in entries {
                    let path = format!("{path}.{key}");
                    self.check(text(&shape["key"]), &key.as_str().into(), &path, found);
                    self.check(text(&shape["value"]), entry, &path, found);
                }
            }
            ("string", Value::String(text)) => {
                string(shape, text, &mut wrong);
                if let Some(problem) = not_listed(shape, text) {
                    found.push(Violation { path: path.to_owned(), problem, may_be_newer: true });
                }
            }
            ("integer" | "long", Value::Number(number)) if number.is_i64() => {
                bounds(shape, number.as_f64().unwrap_or_default(), "", &mut wrong);
            }
            ("double" | "float" | "timestamp", Value::Number(_)) | ("boolean", Value::Bool(_)) => {}
            (kind, value) => wrong(format!("{value} is not of type {kind}")),
        }
    }

    fn members(&self, shape: &Value, members: &Map<String, Value>, path: &str, found: &mut Vec<Violation>) {
        let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        for name in shape["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !members.contains_key(name) {
                found.push(Violation { path: join(name), problem: "missing".into(), may_be_newer: false });
            }
        }
        for (name, member) in members {
            match shape["members"][name].as_str() {
                Some(kind) => self.check(kind, member, &join(name), found),
                None => {
                    let known = shape["members"].as_object().into_iter().flat_map(Map::keys);
                    let known: Vec<&str> = known.map(String::as_str).collect();
                    let problem = format!("unknown member, expected one of {}", known.join(", "));
                    found.push(Violation { path: join(name), problem, may_be_newer: false });
                }
            }
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Checks a shape's limits. `unit` is what is counted; it is empty for a number's value.
fn bounds(shape: &Value, measured: f64, unit: &str, wrong: &mut impl FnMut(String)) {
    let (least, most) = (shape["min"].as_f64(), shape["max"].as_f64());
    let has = if unit.is_empty() { format!("it is {measured}") } else { format!("it has {measured} {unit}") };
    if let Some(least) = least.filter(|least| measured < *least) {
        wrong(format!("{has}, but the minimum is {least}"));
    }
    if let Some(most) = most.filter(|most| measured > *most) {
        wrong(format!("{has}, but the maximum is {most}"));
    }
}

fn string(shape: &Value, text: &str, wrong: &mut impl FnMut(String)) {
    bounds(shape, text.chars().count() as f64, "characters", wrong);
    // The regex engine does not support a few patterns. The service checks those.
    let pattern = shape["pattern"].as_str().and_then(|pattern| Regex::new(&format!("^(?:{pattern})$")).ok());
    if pattern.is_some_and(|pattern| !pattern.is_match(text)) {
        wrong(format!("`{text}` does not match {}", shape["pattern"]));
    }
}

/// What is wrong with a value that is not in the list.
fn not_listed(shape: &Value, text: &str) -> Option<String> {
    let mut near: Vec<&str> = shape["enum"].as_array()?.iter().filter_map(Value::as_str).collect();
    if near.contains(&text) {
        return None;
    }
    let shared = |value: &str| value.chars().zip(text.chars()).take_while(|(a, b)| a == b).count();
    near.sort_by_key(|value| std::cmp::Reverse((value.contains(text), shared(value))));
    let more = if near.len() > FEW { ", …" } else { "" };
    near.truncate(FEW);
    Some(format!("unknown value `{text}`, expected one such as {}{more}", near.join(", ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request() -> Value {
        json!({
            "TrainingJobName": "a-1",
            "RoleArn": "arn:aws:iam::123456789012:role/trainer",
            "OutputDataConfig": { "S3OutputPath": "s3://bucket/path" },
        })
    }

    /// The violations of a request with this value.
    fn with(pointer: &[&str], value: Value) -> Vec<String> {
        let mut request = request();
        let mut place = &mut request;
        for part in pointer {
            place = &mut place[*part];
        }
        *place = value;
        Model::read().violations(&request).into_iter().map(|v| format!("{}: {}", v.path, v.problem)).collect()
    }

    #[test]
    fn each_limit_holds_at_the_limit_and_not_one_past_it() {
        let names = |count: usize| -> Value { (0..count).map(|n| (n.to_string(), json!("x"))).collect() };
        let strings = |count: usize, text: &str| -> Value { vec![json!(text); count].into() };
        let tags = |count: usize| -> Value { vec![json!({ "Key": "k", "Value": "v" }); count].into() };
        let metrics = |count: usize| -> Value { vec![json!({ "Name": "n", "Regex": "r" }); count].into() };
        let long = |length: usize| json!("x".repeat(length));
        for (pointer, good, bad) in [
            (&["HyperParameters"][..], names(100), names(101)),
            (&["HyperParameters", "k"], long(2500), long(2501)),
            (&["Environment"], json!({ "_a": "x" }), json!({ "1a": "x" })),
            (&["Environment", "k"], long(512), long(513)),
            (&["Tags"], tags(50), tags(51)),
            (&["AlgorithmSpecification"], json!({ "TrainingInputMode": "FastFile" }), json!({})),
            (
                &["AlgorithmSpecification"],
                json!({ "TrainingInputMode": "Pipe" }),
                json!({ "TrainingInputMode": "x" }),
            ),
            (&["StoppingCondition", "MaxRuntimeInSeconds"], json!(1), json!(0)),
            (&["StoppingCondition", "MaxPendingTimeInSeconds"], json!(1800), json!(1799)),
            (&["ResourceConfig", "KeepAlivePeriodInSeconds"], json!(21_600), json!(21_601)),
            (&["RetryStrategy", "MaximumRetryAttempts"], json!(30), json!(31)),
            (&["CheckpointConfig"], json!({ "S3Uri": "s3://b/c" }), json!({})),
            (&["EnableManagedSpotTraining"], json!(true), json!("true")),
        ] {
            assert_eq!(with(pointer, good.clone()), Vec::<String>::new(), "{pointer:?} {good}");
            assert_eq!(
                with(pointer, bad.clone()).len(),
                1,
                "{pointer:?} {bad}: {:?}",
                with(pointer, bad.clone())
            );
        }
        // The pattern has a limit too.
        assert_eq!(
            (with(&["TrainingJobName"], long(63)).len(), with(&["TrainingJobName"], long(64)).len()),
            (0, 2)
        );
        let vpc = |subnets: usize, groups: usize| json!({ "Subnets": strings(subnets, "subnet-1"), "SecurityGroupIds": strings(groups, "sg-1") });
        assert!(with(&["VpcConfig"], vpc(16, 5)).is_empty());
        assert_eq!(with(&["VpcConfig"], vpc(17, 6)).len(), 2);
        let algorithm = |count| json!({ "TrainingInputMode": "File", "MetricDefinitions": metrics(count) });
        assert!(with(&["AlgorithmSpecification"], algorithm(40)).is_empty());
        assert_eq!(with(&["AlgorithmSpecification"], algorithm(41)).len(), 1);
    }

    #[test]
    fn unknown_names_are_reported_with_known_ones() {
        let found = with(&["ResourceConfig"], json!({ "InstanceTyp": "ml.m5.large" }));
        assert!(found[0].starts_with("ResourceConfig.InstanceTyp: unknown member"), "{found:?}");
        let found = with(&["ResourceConfig"], json!({ "InstanceType": "ml.m5.lagre", "InstanceCount": 1 }));
        assert!(
            found[0].contains("unknown value `ml.m5.lagre`, expected one such as ml.m5.large"),
            "{found:?}"
        );
    }

    #[test]
    fn the_default_is_still_an_instance_type() {
        assert!(with(&["ResourceConfig"], json!({ "InstanceType": "ml.c4.2xlarge" })).is_empty());
    }

    #[test]
    fn strings_may_be_given_without_json_quotes() {
        let model = Model::read();
        assert!(model.is_text("OutputDataConfig.KmsKeyId"));
        assert!(!model.is_text("ResourceConfig.InstanceGroups") && !model.is_text("Nothing.Here"));
    }
}
