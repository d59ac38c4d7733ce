//! The instances that a job runs on: all of one type, or groups of several types.

use alekseylearn_sdk::{Error, Finding, Values};
use serde_json::{Value, json};

/// The default instance type.
pub(crate) const KIND: &str = "ml.c4.2xlarge";
/// The default number of instances.
pub(crate) const COUNT: i64 = 1;

/// Instance types with several GPUs and how many, from AWS's list of instance types.
const GPUS: [(&str, u32); 21] = [
    ("ml.p2.8xlarge", 8),
    ("ml.p2.16xlarge", 16),
    ("ml.p3.8xlarge", 4),
    ("ml.p3.16xlarge", 8),
    ("ml.p3dn.24xlarge", 8),
    ("ml.p4d.24xlarge", 8),
    ("ml.p4de.24xlarge", 8),
    ("ml.p5.48xlarge", 8),
    ("ml.p5e.48xlarge", 8),
    ("ml.p5en.48xlarge", 8),
    ("ml.p6-b200.48xlarge", 8),
    ("ml.g4dn.12xlarge", 4),
    ("ml.g5.12xlarge", 4),
    ("ml.g5.24xlarge", 4),
    ("ml.g5.48xlarge", 8),
    ("ml.g6.12xlarge", 4),
    ("ml.g6.24xlarge", 4),
    ("ml.g6.48xlarge", 8),
    ("ml.g6e.12xlarge", 4),
    ("ml.g6e.24xlarge", 4),
    ("ml.g6e.48xlarge", 8),
];

/// Instances of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// `None` if there is only one group.
    pub(crate) name: Option<String>,
    pub(crate) kind: String,
    pub(crate) count: i64,
}

/// The groups that the options ask for, sorted by name.
pub(crate) fn asked(options: &Values) -> Result<Vec<Group>, Error> {
    let groups = options.entries("instance_groups");
    if groups.is_empty() {
        return Ok(vec![of_one_kind(options)]);
    }
    groups.iter().map(|(name, text)| group(name, text)).collect()
}

fn of_one_kind(options: &Values) -> Group {
    Group {
        name: None,
        kind: options.text("train_instance_type").unwrap_or(KIND.to_owned()),
        count: options.integer("train_instance_count").unwrap_or(COUNT),
    }
}

/// Warns of an instance with several GPUs of which a single process may use only one.
pub(crate) fn idle_gpus(groups: &[Group], options: &Values) -> Option<Finding> {
    if options.text(runner::PROCESSES.0).is_some() {
        return None;
    }
    let gpus = |group: &Group| GPUS.iter().find(|(kind, _)| *kind == group.kind);
    let (kind, count) = groups.iter().find_map(gpus)?;
    Some(Finding::warning(
        &format!("{kind} has {count} GPUs, but a single process may use only one"),
        "set --config.processes_per_node=gpu, unless the script starts a process for each GPU itself",
    ))
}

/// Options that instance groups replace.
pub(crate) fn idle(options: &Values) -> Vec<&'static str> {
    if options.entries("instance_groups").is_empty() {
        return Vec::new();
    }
    let one = of_one_kind(options);
    let said = [("train_instance_type", one.kind != KIND), ("train_instance_count", one.count != COUNT)];
    said.into_iter().filter(|(_, said)| *said).map(|(option, _)| option).collect()
}

fn group(name: &str, text: &str) -> Result<Group, Error> {
    let parts =
        text.rsplit_once(':').and_then(|(kind, count)| Some((kind.trim(), count.trim().parse().ok()?)));
    match parts {
        Some((kind, count @ 1..)) if !kind.is_empty() => {
            Ok(Group { name: Some(name.to_owned()), kind: kind.to_owned(), count })
        }
        _ => Err(Error::invalid(format!("--config.instance_groups.{name}: `{text}` is not TYPE:COUNT"))
            .hint(format!("write it as --config.instance_groups.{name}=ml.m5.xlarge:2"))),
    }
}

/// The members of `ResourceConfig` for these groups.
pub(crate) fn members(groups: &[Group]) -> Vec<(&'static str, Value)> {
    match groups {
        [Group { name: None, kind, count }] => {
            vec![("InstanceType", json!(kind)), ("InstanceCount", json!(count))]
        }
        groups => {
            let member = |group: &Group| json!({ "InstanceGroupName": group.name, "InstanceType": group.kind, "InstanceCount": group.count });
            vec![("InstanceGroups", groups.iter().map(member).collect())]
        }
    }
}

/// The groups that a request asks for.
pub(crate) fn of(request: &Value) -> Vec<Group> {
    let resources = &request["ResourceConfig"];
    let group = |from: &Value| Group {
        name: from["InstanceGroupName"].as_str().map(str::to_owned),
        kind: from["InstanceType"].as_str().unwrap_or_default().to_owned(),
        count: from["InstanceCount"].as_i64().unwrap_or(1),
    };
    match resources["InstanceGroups"].as_array() {
        Some(groups) => groups.iter().map(group).collect(),
        None => vec![group(resources)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_a_type_and_a_number() {
        let expected = Group { name: Some("a".into()), kind: "ml.m5.large".into(), count: 2 };
        assert_eq!(group("a", "ml.m5.large:2").unwrap(), expected);
        for text in ["ml.m5.large", "ml.m5.large:0", "ml.m5.large:-1", "ml.m5.large:many", ":2", ""] {
            let Err(Error::Invalid(problem)) = group("a", text) else { panic!("`{text}` is accepted") };
            assert!(problem.message.contains("--config.instance_groups.a"), "{}", problem.message);
        }
    }

    #[test]
    fn groups_are_read_back_from_a_request() {
        let one = vec![Group { name: None, kind: "ml.m5.large".into(), count: 3 }];
        let many = vec![group("a", "ml.m5.large:1").unwrap(), group("b", "ml.g5.xlarge:2").unwrap()];
        for groups in [one, many] {
            let resources: serde_json::Map<String, Value> =
                members(&groups).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            assert_eq!(of(&json!({ "ResourceConfig": resources })), groups);
        }
    }
}
