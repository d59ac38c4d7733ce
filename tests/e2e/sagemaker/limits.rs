//! What the service limits: taken at the limit, and one past it refused before anything is built, by the option's name.

use alekseylearn_tests::{Rig, Sandbox, rig_or_skip};
use serde_json::{Value, json};

use super::{fit, options::project, run};

/// What is taken, what is not, and what is said of that. The last option is the one that is at fault.
type Limit = (Vec<String>, Vec<String>, &'static str);

fn hold(rig: &Rig, sandbox: &Sandbox, limits: Vec<Limit>) {
    for (at, past, says) in limits {
        let dry = |options: &[String]| {
            let options = options.iter().map(String::as_str);
            let arguments: Vec<&str> = ["train.py", "--dry-run"].into_iter().chain(options).collect();
            run(sandbox, &fit(rig, "scratch", &arguments))
        };
        dry(&at).success();
        let refused = dry(&past).failure(2).one_error();
        let key = past.last().unwrap()["--config.".len()..].split(['.', '=']).next().unwrap();
        for text in [says, &format!("--config.{key}")] {
            assert!(refused.stderr.contains(text), "no `{text}` in\n{}", refused.stderr);
        }
    }
}

fn set(key: &str, value: impl std::fmt::Display) -> Vec<String> {
    vec![format!("--config.{key}={value}")]
}

fn many(count: usize, key: &str, value: &str) -> Vec<String> {
    (0..count).map(|n| format!("--config.{key}.n{n}={value}")).collect()
}

fn named(key: &str, length: usize, value: &str) -> Vec<String> {
    set(&format!("{key}.{}", "n".repeat(length)), value)
}

/// An option's value of so many characters.
fn valued(key: &str, length: usize) -> Vec<String> {
    set(key, "v".repeat(length))
}

fn listed(count: usize, start: &str) -> String {
    (0..count).map(|n| format!("{start}{n}")).collect::<Vec<_>>().join(",")
}

#[test]
fn each_limit_is_taken_and_one_past_it_is_not() {
    let rig = rig_or_skip!();
    let sandbox = project(&rig);
    sandbox.write("data/a.csv", "1");
    let with = |first: &str, second: Vec<String>| [vec![first.to_owned()], second].concat();
    let subnets = |value: &str| with("--config.security_groups=sg-1", set("subnets", value));
    let security = |value: &str| with("--config.subnets=subnet-1", set("security_groups", value));
    let about = |key: &str, value: &str| with("--config.input.a=data", set(key, value));
    let words = |member: &str, words: &[String]| {
        set(&format!("request.AlgorithmSpecification.{member}"), json!(words))
    };
    let (entrypoint, arguments) = ("ContainerEntrypoint", "ContainerArguments");
    let word = |length: usize| vec!["a".repeat(length)];
    let wait = |seconds: i64| [set("spot", true), set("max_runtime", 100), set("max_wait", seconds)].concat();
    let pending = "request.StoppingCondition.MaxPendingTimeInSeconds";
    hold(
        &rig,
        &sandbox,
        vec![
            (many(100, "hyperparameters", "1"), many(101, "hyperparameters", "1"), "it has 101 entries"),
            (named("hyperparameters", 256, "1"), named("hyperparameters", 257, "1"), "257 characters"),
            (valued("hyperparameters.k", 256), valued("hyperparameters.k", 257), "is too long"),
            (
                many(100, "environment", "1"),
                many(101, "environment", "1"),
                "need 101 variables, but SageMaker allows 100",
            ),
            (named("environment", 512, "1"), named("environment", 513, "1"), "513 characters"),
            (valued("environment.k", 512), valued("environment.k", 513), "513 characters"),
            (set("environment._a", 1), set("environment.1a", 1), "`1a` does not match"),
            (many(20, "input", "data"), many(21, "input", "data"), "it has 21 entries"),
            (named("input", 64, "data"), named("input", 65, "data"), "65 characters"),
            (
                about("input_type.a", &"t".repeat(256)),
                about("input_type.a", &"t".repeat(257)),
                "257 characters",
            ),
            (about("input_compression.a", "Gzip"), about("input_compression.a", "Zip"), "unknown value"),
            (about("input_modes.a", "FastFile"), about("input_modes.a", "Slow"), "unknown value"),
            (about("input_sharding.a", "ShardedByS3Key"), about("input_sharding.a", "Half"), "unknown value"),
            (many(40, "metrics", "(x)"), many(41, "metrics", "(x)"), "it has 41 entries"),
            (named("metrics", 255, "(x)"), named("metrics", 256, "(x)"), "256 characters"),
            (valued("metrics.k", 500), valued("metrics.k", 501), "501 characters"),
            (many(49, "tags", "1"), many(50, "tags", "1"), "at most 49"),
            (named("tags", 128, "1"), named("tags", 129, "1"), "129 characters"),
            (valued("tags.k", 256), valued("tags.k", 257), "257 characters"),
            (subnets(&listed(16, "subnet-")), subnets(&listed(17, "subnet-")), "it has 17 entries"),
            (security(&listed(5, "sg-")), security(&listed(6, "sg-")), "it has 6 entries"),
            (subnets(&"s".repeat(32)), subnets(&"s".repeat(33)), "33 characters"),
            (security(&"s".repeat(32)), security(&"s".repeat(33)), "33 characters"),
            (set("train_instance_count", 1), set("train_instance_count", 0), "0 is below 1"),
            (set("volume_size", 1), set("volume_size", 0), "0 is below 1"),
            (set("volume_size", 16_384), set("volume_size", 16_385), "16385 is above 16384"),
            (valued("volume_kms_key", 2048), valued("volume_kms_key", 2049), "2049 characters"),
            (valued("output_kms_key", 2048), valued("output_kms_key", 2049), "2049 characters"),
            (set("max_runtime", 2_419_200), set("max_runtime", 2_419_201), "is above 2419200"),
            (set("max_runtime", 1), set("max_runtime", 0), "0 is below 1"),
            (wait(100), wait(99), "is less than --config.max_runtime"),
            (set("keep_alive", 21_600), set("keep_alive", 21_601), "is above 21600"),
            (set("retries", 30), set("retries", 31), "is above 30"),
            (set("retries", 1), set("retries", 0), "0 is below 1"),
            (set(pending, 1_800), set(pending, 1_799), "but the minimum is 1800"),
            (set(pending, 2_419_200), set(pending, 2_419_201), "but the maximum is 2419200"),
            (
                words(arguments, &vec!["a".into(); 100]),
                words(arguments, &vec!["a".into(); 101]),
                "it has 101 entries",
            ),
            (words(arguments, &word(256)), words(arguments, &word(257)), "257 characters"),
            (
                words(entrypoint, &vec!["a".into(); 100]),
                words(entrypoint, &vec!["a".into(); 101]),
                "it has 101 entries",
            ),
            (words(entrypoint, &word(256)), words(entrypoint, &[]), "but the minimum is 1"),
        ],
    );
}

#[test]
fn places_and_roles_have_longest_names() {
    let rig = rig_or_skip!();
    let sandbox = project(&rig);
    let bucket = rig.name("bucket").to_owned();
    let place = |length: usize| {
        let start = format!("s3://{bucket}/limits/");
        format!("{start}{}", "p".repeat(length - start.len()))
    };
    // With the slash that makes it a folder.
    rig.put_object(&format!("{}/a", &place(1023)["s3://".len()..]), b"1");
    // The user may not look at the role: what its ARN would be is made of its name.
    rig.fault(&json!({ "match": { "operation": "GetRole" }, "fault": "access-denied", "times": null }));
    let role = |length: usize| set("role_name", "r".repeat(length - "arn:aws:iam::123456789012:role/".len()));
    hold(
        &rig,
        &sandbox,
        vec![
            (set("input.a", place(1023)), set("input.a", place(1024)), "1025 characters"),
            (set("output_path", place(1024)), set("output_path", place(1025)), "1025 characters"),
            (set("checkpoints", place(1024)), set("checkpoints", place(1025)), "1025 characters"),
            (role(2048), role(2049), "2049 characters"),
            (set("role_name", "a_b+=,.@-"), set("role_name", "a b"), "does not match"),
        ],
    );
}

#[test]
fn an_image_has_a_longest_name() {
    let rig = rig_or_skip!();
    let sandbox = Sandbox::with_rig(&rig);
    let folder = "f".repeat(60);
    // As it is called in ECR: registry, tag and digest.
    let rest = format!("123456789012.dkr.ecr.us-east-1.amazonaws.com/{folder}/@sha256:").len() + 64;
    for (length, code) in [(255, 0), (256, 2)] {
        let artifact = format!("{folder}/{}.py", "a".repeat(length - rest));
        sandbox.write(&artifact, "");
        let refused = run(&sandbox, &fit(&rig, "scratch", &[&artifact, "--dry-run"])).failure(code);
        if code > 0 {
            refused
                .one_error()
                .says("the image's name")
                .says("it has 256 characters, but the maximum is 255");
        }
    }
}

#[test]
fn groups_of_instances_are_held_to_their_limits() {
    let rig = rig_or_skip!();
    let sandbox = project(&rig);
    sandbox.write("data/a.csv", "1");
    let kind = "ml.m5.large:1";
    let with_input = |groups: &str| {
        [set("instance_groups.a", kind), set("input.data", "data"), set("input_groups.data", groups)].concat()
    };
    let json = |count: usize| {
        let group = |n| json!({ "InstanceGroupName": format!("g{n}"), "InstanceType": "ml.m5.large", "InstanceCount": 1 });
        set("request.ResourceConfig.InstanceGroups", Value::from_iter((0..count).map(group)))
    };
    hold(
        &rig,
        &sandbox,
        vec![
            (many(5, "instance_groups", kind), many(6, "instance_groups", kind), "it has 6 entries"),
            (json(5), json(6), "it has 6 entries"),
            (named("instance_groups", 64, kind), named("instance_groups", 65, kind), "65 characters"),
            (set("instance_groups.a", kind), set("instance_groups.a", "ml.m5.large:0"), "TYPE:COUNT"),
            (
                set("instance_groups.a", kind),
                set("instance_groups.a", "ml.m5.lagre:1"),
                "expected one such as ml.m5.large",
            ),
            (with_input("a"), with_input("a, b"), "no instance group `b`"),
        ],
    );
}
