//! Training on SageMaker: image built, pushed, pulled by the rig's executor, run, logs followed, artifact fetched.

mod account;
mod cloud_days;
mod faults;
mod groups;
mod limits;
mod local_mode;
mod options;
mod unreachable;

use std::fs;

use alekseylearn_tests::{Rig, Sandbox, base_image_or_skip, rig_or_skip};
use serde_json::{Value, json};

/// The arguments of a `fit` on the rig.
pub(crate) fn fit(rig: &Rig, base: &str, more: &[&str]) -> Vec<String> {
    let mut arguments: Vec<String> = ["fit", "--train-driver", "sagemaker"].map(String::from).to_vec();
    arguments.push(format!("--config.base_image={base}"));
    arguments.push(format!("--config.output_path=s3://{}/jobs", rig.name("bucket")));
    arguments.push(format!("--config.role_name={}", rig.name("role")));
    arguments.extend(more.iter().map(|text| (*text).to_owned()));
    arguments
}

pub(crate) fn run(sandbox: &Sandbox, arguments: &[String]) -> alekseylearn_tests::Run {
    sandbox.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_script_is_trained_in_the_cloud_and_its_model_comes_home() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.project("examples/digits");
    let trained = run(&sandbox, &fit(&rig, &base, &["digits/train.py", "--fetch", "out"])).success();
    assert!(trained.stdout.contains("accuracy: 0.98"), "{}", trained.stdout);
    let metrics: Value =
        serde_json::from_slice(&fs::read(sandbox.path("out/metrics.json")).unwrap()).unwrap();
    assert!(metrics["accuracy"].as_f64().unwrap() > 0.95);
    assert!(fs::metadata(sandbox.path("out/model.joblib")).unwrap().len() > 100_000);

    // What was asked: by the service's own model (the rig checks that), and by digest.
    let request = rig.calls("CreateTrainingJob").pop().unwrap()["body"].clone();
    let image = request["AlgorithmSpecification"]["TrainingImage"].as_str().unwrap();
    assert!(image.contains("/digits/train@sha256:"), "{image}");
    assert_eq!(request["ResourceConfig"]["InstanceType"], "ml.c4.2xlarge");
    assert_eq!(request["ResourceConfig"]["InstanceCount"], 1);
    assert_eq!(request["OutputDataConfig"]["S3OutputPath"], format!("s3://{}/jobs", rig.name("bucket")));

    // The same again: nothing is built, nothing is pushed.
    let uploads = rig.calls("PostBlobUpload").len() + rig.calls("PutManifest").len();
    run(&sandbox, &fit(&rig, &base, &["digits/train.py", "--detach"]))
        .success()
        .says("is already in the registry");
    assert_eq!(rig.calls("PostBlobUpload").len() + rig.calls("PutManifest").len(), uploads);

    // The seed's three arguments, as another machine would give them.
    let elsewhere = Sandbox::with_rig(&rig);
    let place = format!("s3://{}/jobs", rig.name("bucket"));
    let described = rig.calls("DescribeTrainingJob").len();
    elsewhere.run(&["fetch", "out", "digits/train", &place]).success();
    assert!(elsewhere.path("out/model.joblib").is_file());
    assert_eq!(rig.calls("DescribeTrainingJob").len(), described, "the store alone is asked");
    elsewhere.run(&["fetch", "out", "digits/other", &place]).failure(4).one_error();
    let beside = format!("s3://{}/job", rig.name("bucket"));
    elsewhere.run(&["fetch", "out", "digits/train", &beside]).failure(4).one_error();
}

#[test]
fn a_notebook_is_trained_in_the_cloud() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.project("examples/notebook");
    run(&sandbox, &fit(&rig, &base, &["notebook/digits.ipynb"])).success();
    sandbox.run(&["fetch", "out", "notebook/digits", "--output-data"]).success();
    assert!(sandbox.path("out/output-data/digits.ipynb").is_file());
}

#[test]
fn hyperparameters_arrive_as_arguments() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.project("tests/projects/hyperparameters");
    let more = ["hyperparameters/train.py", "--config.hyperparameters.learning-rate=0.5", "--fetch", "out"];
    run(&sandbox, &fit(&rig, &base, &more)).success();
    let seen: Value = serde_json::from_slice(&fs::read(sandbox.path("out/seen.json")).unwrap()).unwrap();
    assert_eq!(seen["known"]["learning_rate"], 0.5);
    let request = rig.calls("CreateTrainingJob").pop().unwrap()["body"].clone();
    assert_eq!(request["HyperParameters"], json!({ "learning-rate": "0.5" }));
}

#[test]
fn a_failing_script_says_why() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.project("tests/projects/fails");
    run(&sandbox, &fit(&rig, &base, &["fails/train.py"])).failure(10).one_error().says("AlgorithmError");
    let status = sandbox.run(&["status", "fails/train", "--json"]).success().data();
    assert_eq!(status["state"], "failed");
    assert_eq!(status["exit_code"], 1);
    sandbox.run(&["fetch", "out", "fails/train"]).failure(4).one_error().says("left no model");
}

#[test]
fn a_job_is_stopped_from_another_terminal() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    rig.set(&json!({ "stop_grace_seconds": 20 }));
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.project("tests/projects/until-sigterm");
    let arguments = fit(&rig, &base, &["until-sigterm/train.py"]);
    let mut following = sandbox.start(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    following.wait_for("training");
    sandbox.run(&["stop", "until-sigterm/train"]).success();
    following.end().failure(11).one_error().says("was stopped");
    sandbox.run(&["fetch", "out", "until-sigterm/train"]).success();
    assert!(sandbox.path("out/checkpoint.txt").is_file());
}

#[test]
fn no_line_of_a_long_log_is_lost() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    rig.fault(&json!({ "match": { "operation": "GetLogEvents" }, "fault": "empty-page", "times": 3 }));
    rig.fault(&json!({ "match": { "operation": "GetLogEvents" }, "fault": "throttle", "times": 3 }));
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.project("tests/projects/noisy");
    let text = run(&sandbox, &fit(&rig, &base, &["noisy/train.py"])).success().stdout;
    let numbers = text.lines().filter_map(|line| line.strip_prefix("line ")?.parse::<u32>().ok());
    assert!(numbers.eq(0..100_000), "each line once, in order");
    assert!(text.contains("no line feed at the end"));
}

#[test]
fn a_profile_says_who_and_where() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let environment = rig.environment();
    let config = format!(
        "[profile rig]\nregion = {}\nendpoint_url = {}\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        environment["AWS_REGION"],
        environment["AWS_ENDPOINT_URL"],
        environment["AWS_ACCESS_KEY_ID"],
        environment["AWS_SECRET_ACCESS_KEY"],
    );
    let mut sandbox = Sandbox::new();
    sandbox.write_home(".aws/config", &config);
    sandbox.set("AWS_PROFILE", "rig").set("AWS_EC2_METADATA_DISABLED", "true");
    sandbox.write("train.py", "open('/opt/ml/model/m', 'w').write('x')\n");
    run(&sandbox, &fit(&rig, &base, &["train.py", "--fetch", "out"])).success();
    assert!(sandbox.path("out/m").is_file());
    sandbox.set("AWS_PROFILE", "nobody");
    run(&sandbox, &fit(&rig, &base, &["train.py"])).failure(3).one_error();
}
