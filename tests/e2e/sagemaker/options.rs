//! Every option of the sagemaker driver, by its effect in the request and, where the rig can show it, in the
//! container. The rig refuses what botocore's model of the service does not allow.

use std::fs;

use alekseylearn_tests::{Rig, Sandbox, base_image_or_skip, rig_or_skip};
use serde_json::{Value, json};

use super::{fit, run};

/// What a dry run would ask for.
fn preview(rig: &Rig, sandbox: &Sandbox, options: &[&str]) -> Value {
    let arguments = fit(rig, "scratch", &[&["train.py", "--dry-run", "--json"], options].concat());
    run(sandbox, &arguments).success().data()["request"].clone()
}

pub(crate) fn project(rig: &Rig) -> Sandbox {
    let sandbox = Sandbox::with_rig(rig);
    sandbox.write("train.py", "");
    sandbox
}

#[test]
fn a_request_holds_what_the_options_say() {
    let rig = rig_or_skip!();
    let sandbox = project(&rig);
    let bucket = rig.name("bucket").to_owned();
    rig.put_object(&format!("{bucket}/data/a.csv"), b"1");
    let plain = preview(&rig, &sandbox, &[]);
    let name = plain["TrainingJobName"].as_str().unwrap();
    assert!(name.starts_with("work-train-"), "{name}");
    assert_eq!(plain["StoppingCondition"], json!({ "MaxRuntimeInSeconds": 14_400 }));
    assert_eq!(
        plain["ResourceConfig"],
        json!({ "InstanceType": "ml.c4.2xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30 })
    );
    for absent in
        ["InputDataConfig", "VpcConfig", "CheckpointConfig", "EnableManagedSpotTraining", "RetryStrategy"]
    {
        assert!(plain.get(absent).is_none(), "{absent}");
    }

    let data = format!("--config.input.data=s3://{bucket}/data/");
    let one = format!("--config.input.one=s3://{bucket}/data/a.csv");
    let full = preview(
        &rig,
        &sandbox,
        &[
            &data,
            &one,
            "--config.input_type.data=text/csv",
            "--config.input_compression.data=Gzip",
            "--config.input_sharding.data=ShardedByS3Key",
            "--config.input_mode=FastFile",
            "--config.spot=true",
            "--config.retries=3",
            "--config.keep_alive=600",
            "--config.metrics.loss=loss=([0-9.]+)",
            "--config.tags.team=vision",
            "--config.subnets=subnet-1, subnet-2",
            "--config.security_groups=sg-1",
            "--config.network_isolation=true",
            "--config.encrypt_traffic=true",
            "--config.output_kms_key=alias/out",
            "--config.volume_kms_key=alias/disk",
            "--config.environment.LEVEL=debug",
        ],
    );
    let source = |uri: &str, sharding: &str| json!({ "S3DataSource": { "S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": sharding } });
    assert_eq!(
        full["InputDataConfig"],
        json!([
            {
                "ChannelName": "data",
                "ContentType": "text/csv",
                "CompressionType": "Gzip",
                // A prefix without the slash would take `database` too.
                "DataSource": source(&format!("s3://{bucket}/data/"), "ShardedByS3Key"),
            },
            { "ChannelName": "one", "DataSource": source(&format!("s3://{bucket}/data/a.csv"), "FullyReplicated") },
        ])
    );
    assert_eq!(
        full["AlgorithmSpecification"]["MetricDefinitions"],
        json!([{ "Name": "loss", "Regex": "loss=([0-9.]+)" }])
    );
    assert_eq!(full["AlgorithmSpecification"]["TrainingInputMode"], "FastFile");
    assert_eq!(full["EnableManagedSpotTraining"], true);
    assert_eq!(full["StoppingCondition"]["MaxWaitTimeInSeconds"], 28_800);
    let job = full["TrainingJobName"].as_str().unwrap();
    assert_eq!(full["CheckpointConfig"]["S3Uri"], format!("s3://{bucket}/jobs/{job}/checkpoints"));
    assert_eq!(full["RetryStrategy"]["MaximumRetryAttempts"], 3);
    assert_eq!(full["ResourceConfig"]["KeepAlivePeriodInSeconds"], 600);
    assert_eq!(full["ResourceConfig"]["VolumeKmsKeyId"], "alias/disk");
    assert_eq!(full["OutputDataConfig"]["KmsKeyId"], "alias/out");
    assert_eq!(full["Tags"][0], json!({ "Key": "team", "Value": "vision" }));
    assert_eq!(
        full["VpcConfig"],
        json!({ "Subnets": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"] })
    );
    assert_eq!(full["EnableNetworkIsolation"], true);
    assert_eq!(full["EnableInterContainerTrafficEncryption"], true);
    assert_eq!(full["Environment"], json!({ "LEVEL": "debug" }));
}

#[test]
fn anything_else_of_the_request_can_be_given_as_json() {
    let rig = rig_or_skip!();
    let sandbox = project(&rig);
    let groups = r#"[{"InstanceGroupName": "a", "InstanceType": "ml.m5.large", "InstanceCount": 2}]"#;
    let request = preview(
        &rig,
        &sandbox,
        &[
            &format!("--config.request.ResourceConfig.InstanceGroups={groups}"),
            "--config.request.StoppingCondition.MaxPendingTimeInSeconds=7200",
            "--config.request.OutputDataConfig.KmsKeyId=alias/plain-text",
            "--config.request.HyperParameters=null",
        ],
    );
    // The service takes the groups or the one kind, not both.
    let group = json!({ "InstanceGroupName": "a", "InstanceType": "ml.m5.large", "InstanceCount": 2 });
    assert_eq!(request["ResourceConfig"], json!({ "VolumeSizeInGB": 30, "InstanceGroups": [group] }));
    assert_eq!(request["StoppingCondition"]["MaxPendingTimeInSeconds"], 7200);
    assert_eq!(request["OutputDataConfig"]["KmsKeyId"], "alias/plain-text");
    assert!(request.get("HyperParameters").is_none());
}

#[test]
fn what_the_service_would_refuse_is_said_before_anything_is_built() {
    let rig = rig_or_skip!();
    let sandbox = project(&rig);
    let bucket = rig.name("bucket").to_owned();
    rig.put_object(&format!("{bucket}/data/a.csv"), b"1");
    let long = format!("--config.hyperparameters.k={}", "x".repeat(257));
    let fits = format!("--config.hyperparameters.k={}", "x".repeat(256));
    let nothing = format!("--config.input.data=s3://{bucket}/nothing");
    let channel = format!("--config.input.a/b=s3://{bucket}/data");
    for (options, says) in [
        (
            &["--config.train_instance_type=ml.m5.lagre"][..],
            "--config.train_instance_type: unknown value `ml.m5.lagre`",
        ),
        (&["--config.retries=31"], "--config.retries: 31 is above 30"),
        (&["--config.keep_alive=21601"], "--config.keep_alive: 21601 is above 21600"),
        (&["--config.max_wait=10"], "--config.max_wait is for spot training only"),
        (
            &["--config.spot=true", "--config.max_wait=10"],
            "--config.max_wait is less than --config.max_runtime",
        ),
        (&["--config.subnets=subnet-1"], "--config.security_groups: missing"),
        (&["--config.environment.1A=x"], "--config.environment.1A: `1A` does not match"),
        (&[&long], "--config.hyperparameters.k is too long"),
        (&[&nothing], "--config.input.data: nothing found at"),
        (&[&channel], "--config.input.a/b: `a/b` does not match"),
        (&["--config.input_type.data=text/csv"], "--config.input_type.data matches no input"),
        (&["--config.input_mode=Stream"], "`Stream` is not one of File, FastFile, Pipe"),
        (&["--config.request.Nonsense=1"], "--config.request.Nonsense: unknown member"),
        (&["--config.request.ResourceConfig={"], "`{` is not valid JSON"),
        (
            &["--config.request.ResourceConfig=3"],
            "--config.request.ResourceConfig: 3 is not of type structure",
        ),
        (&["--config.request.TrainingJobName=mine"], "--config.request.TrainingJobName cannot be set"),
        (&["--config.request.RoleArn=mine"], "it comes from --config.role_name"),
    ] {
        let arguments = fit(&rig, "scratch", &[&["train.py"], options].concat());
        let refused = run(&sandbox, &arguments).failure(2).one_error();
        assert!(refused.stderr.contains(says), "{options:?}: no `{says}` in\n{}", refused.stderr);
    }
    assert!(rig.calls("CreateTrainingJob").is_empty());
    preview(&rig, &sandbox, &[&fits]);
}

#[test]
fn an_input_arrives_whole_and_alone() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = Sandbox::with_rig(&rig);
    let bucket = rig.name("bucket").to_owned();
    rig.put_object(&format!("{bucket}/arriving/data/deep/a.csv"), b"1,2\n");
    rig.put_object(&format!("{bucket}/arriving/database/b.csv"), b"not asked for");
    sandbox.write(
        "train.py",
        "import json, os\n\
         data = os.environ['SM_CHANNEL_DATA']\n\
         found = sorted(os.path.relpath(os.path.join(folder, name), data) \
         for folder, _, names in os.walk(data) for name in names)\n\
         model = os.environ['SM_MODEL_DIR']\n\
         json.dump({'found': found}, open(model + '/seen.json', 'w'))\n",
    );
    let data = format!("--config.input.data=s3://{bucket}/arriving/data");
    run(&sandbox, &fit(&rig, &base, &["train.py", "--fetch", "out", &data])).success();
    let seen: Value = serde_json::from_slice(&fs::read(sandbox.path("out/seen.json")).unwrap()).unwrap();
    assert_eq!(seen["found"], json!(["deep/a.csv"]));
}
