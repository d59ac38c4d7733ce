//! `check`: everything that can be known before anything is built or spent.

use alekseylearn_tests::{Rig, Run, Sandbox, base_image_or_skip, rig_or_skip};
use serde_json::{Value, json};

fn check(sandbox: &Sandbox, rig: &Rig, base: &str, more: &[&str]) -> Run {
    let output = format!("--config.output_path=s3://{}/jobs", rig.name("bucket"));
    let role = format!("--config.role_name={}", rig.name("role"));
    let base = format!("--config.base_image={base}");
    let fixed = ["check", "train.py", "--train-driver", "sagemaker", &output, &role, &base];
    sandbox.run(&[&fixed[..], more].concat())
}

/// All findings of a kind, as one text.
fn said(data: &Value, kind: &str) -> String {
    let findings = data["findings"].as_array().unwrap().iter().filter(|finding| finding["kind"] == kind);
    findings.map(|finding| format!("{} | {}\n", finding["message"], finding["fix"])).collect()
}

#[test]
fn a_run_that_would_work_is_told_with_its_request_and_its_cost() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.write("train.py", "print('never run')\n");
    let more = ["--config.train_instance_type=ml.m5.xlarge", "--config.train_instance_count=2", "--json"];
    let data = check(&sandbox, &rig, &base, &more).success().data();
    assert_eq!(said(&data, "problem"), "");
    let notes = said(&data, "note");
    for note in [
        "account 123456789012, region us-east-1",
        "iam:PassRole on alekseylearn-training: allowed",
        "the image will have about",
    ] {
        assert!(notes.contains(note), "no `{note}` in\n{notes}");
    }
    // Four hours unless told, and not the service's day.
    assert_eq!(data["request"]["StoppingCondition"]["MaxRuntimeInSeconds"], 14_400);
    assert_eq!(data["request"]["ResourceConfig"]["InstanceCount"], 2);
    assert!((data["cost"]["max_usd"].as_f64().unwrap() - 2.0 * 0.23 * 4.0).abs() < 1e-9, "{data}");
    assert!(data["cost"]["basis"].as_str().unwrap().contains("for 4 h (--config.max_runtime)"));

    let text =
        check(&sandbox, &rig, &base, &["--config.prices.ml.c4.2xlarge=0.5", "--config.max_runtime=3600"]);
    let text = text.success().stdout;
    assert!(
        text.contains("cost     at most 0.50 USD: 1 × ml.c4.2xlarge at 0.5 USD per hour, for 1 h"),
        "{text}"
    );
    assert!(text.contains("\"MaxRuntimeInSeconds\": 3600"), "{text}");
    // No price is guessed, and a file can tell it.
    let data = check(&sandbox, &rig, &base, &["--json"]).success().data();
    assert_eq!(data["cost"]["max_usd"], Value::Null);
    sandbox.write("alekseylearn.toml", "[train.sagemaker.prices]\n\"ml.c4.2xlarge\" = 0.25\n");
    let data = check(&sandbox, &rig, &base, &["--json"]).success().data();
    assert_eq!(data["cost"]["max_usd"], 1.0);

    for changing in ["CreateTrainingJob", "CreateRepository", "PutManifest", "PutObject"] {
        assert_eq!(rig.calls(changing), Vec::<Value>::new(), "{changing}");
    }
    assert_eq!(sandbox.run(&["jobs", "--json"]).success().data()["jobs"], json!([]));
}

#[test]
fn all_problems_are_told_at_once_each_with_its_fix() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    rig.set(&json!({ "may_pass_role": 0 }));
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.write("train.py", "");
    let data = format!("--config.input.data=s3://{}/x", rig.name("foreign_bucket"));
    let role = format!("--config.role_name={}", rig.name("untrusted_role"));
    let more = [&*data, &role, "--config.train_instance_type=ml.m5.lagre", "--json"];
    let run = check(&sandbox, &rig, &base, &more).failure(2);
    let problems = said(&run.data(), "problem");
    for problem in [
        "is in eu-west-1, but the job runs in us-east-1",
        "SageMaker cannot assume the role",
        "no permission to pass the role alekseylearn-untrusted to SageMaker",
        "ask the account's administrator for iam:PassRole",
        "unknown value `ml.m5.lagre`",
    ] {
        assert!(problems.contains(problem), "no `{problem}` in\n{problems}");
    }
    let text = check(&sandbox, &rig, &base, &[]).failure(2).one_error();
    assert!(text.stdout.contains("problem  no permission to pass the role"), "{}", text.stdout);
    // `fit` finds the same.
    let fit = ["fit", "train.py", "--train-driver", "sagemaker", &data, &role];
    let output = format!("--config.output_path=s3://{}/jobs", rig.name("bucket"));
    let run = sandbox.run(&[&fit[..], &[&output, "--dry-run"]].concat()).failure(2);
    run.one_error().says("is in eu-west-1").says("no permission to pass the role");
}

#[test]
fn more_instances_than_the_account_may_use_are_told() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    rig.set(&json!({ "training_quota": 3, "spot_quota": 1 }));
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.write("train.py", "");
    let of = |more: &[&str]| check(&sandbox, &rig, &base, &[more, &["--json"]].concat());
    let kind = "--config.train_instance_type=ml.p3.2xlarge";
    let data = of(&[kind, "--config.train_instance_count=3"]).success().data();
    assert!(said(&data, "note").contains("the account's quota is 3 × ml.p3.2xlarge"), "{data}");
    let data = of(&[kind, "--config.train_instance_count=4"]).failure(2).data();
    let problem = said(&data, "problem");
    assert!(problem.contains("needs 4 × ml.p3.2xlarge, but the account's quota is 3"), "{problem}");
    assert!(problem.contains("ml.p3.2xlarge for training job usage"), "{problem}");
    // Spot capacity is counted by itself, and groups of one kind together.
    let data = of(&[kind, "--config.train_instance_count=2", "--config.spot=true"]).failure(2).data();
    assert!(said(&data, "problem").contains("ml.p3.2xlarge for spot training job usage"), "{data}");
    let groups = ["a", "b"].map(|name| format!("--config.instance_groups.{name}=ml.m5.xlarge:2"));
    let data = of(&groups.each_ref().map(String::as_str)).failure(2).data();
    assert!(said(&data, "problem").contains("needs 4 × ml.m5.xlarge"), "{data}");
    // They come in many pages, and are read once, for as long as a user would wait.
    let pages = || rig.calls("ListServiceQuotas").len();
    let before = pages();
    let first_and_last =
        ["--config.instance_groups.a=ml.m5.xlarge:1", "--config.instance_groups.b=ml.r8i-flex.large:1"];
    of(&first_and_last).success();
    let all = pages() - before;
    assert!(all > 5, "{all}");
    rig.fault(&json!({
        "match": { "operation": "ListServiceQuotas" }, "fault": "slow", "delay_ms": 3_000, "times": null,
    }));
    let notes = said(&of(&first_and_last).success().data(), "note");
    assert!(notes.contains("the account's quota of ml.r8i-flex.large is unknown"), "{notes}");
    assert!(notes.contains("the account's quota is 3 × ml.m5.xlarge"), "{notes}");
    assert_eq!(pages() - before - all, 2, "five seconds hold no third page");
    rig.clear_faults();
    // A run that is to begin does not wait for them.
    let (before, output) = (pages(), format!("--config.output_path=s3://{}/jobs", rig.name("bucket")));
    let (role, base) =
        (format!("--config.role_name={}", rig.name("role")), format!("--config.base_image={base}"));
    sandbox.run(&["fit", "train.py", "--train-driver", "sagemaker", &output, &role, &base]).success();
    assert_eq!(pages(), before);
}

#[test]
fn what_the_account_does_not_tell_is_no_problem() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let mut sandbox = Sandbox::with_rig(&rig);
    sandbox.write("train.py", "");
    for operation in ["SimulatePrincipalPolicy", "GetRole", "ListServiceQuotas"] {
        rig.fault(&json!({ "match": { "operation": operation }, "fault": "access-denied", "times": null }));
    }
    let data = check(&sandbox, &rig, &base, &["--json"]).success().data();
    assert!(said(&data, "note").contains("iam:PassRole could not be checked"), "{data}");
    assert!(said(&data, "note").contains("the account's quota of ml.c4.2xlarge is unknown"), "{data}");
    rig.clear_faults();
    // Nothing at all can be asked.
    rig.fault(
        &json!({ "match": { "operation": "GetCallerIdentity" }, "fault": "expired-token", "times": null }),
    );
    let data = check(&sandbox, &rig, &base, &["--json"]).failure(3).data();
    assert!(said(&data, "problem").contains("the credentials have expired"), "{data}");
    assert_eq!(data["request"], Value::Null);
    rig.clear_faults();
    // An image is to be built, and nothing builds.
    sandbox.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let data = check(&sandbox, &rig, &base, &["--json", "--build-driver", "local"]).failure(2).data();
    assert!(said(&data, "problem").contains("cannot connect to the Docker engine"), "{data}");
}

#[test]
fn credentials_that_end_soon_are_told() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let environment = rig.environment();
    let mut sandbox = Sandbox::with_rig(&rig);
    sandbox.write("train.py", "");
    let keys = json!({
        "Version": 1,
        "AccessKeyId": environment["AWS_ACCESS_KEY_ID"],
        "SecretAccessKey": environment["AWS_SECRET_ACCESS_KEY"],
        "SessionToken": "token",
        "Expiration": "SOON",
    });
    let tells = format!("echo '{keys}' | sed \"s/SOON/$(date -u -d '+10 minutes' +%FT%TZ)/\"\n");
    sandbox.write_home("keys.sh", &tells);
    let script = sandbox.home("keys.sh");
    let process =
        format!("[profile soon]\nregion = us-east-1\ncredential_process = sh {}\n", script.display());
    sandbox.write_home(".aws/config", &process);
    sandbox.unset("AWS_ACCESS_KEY_ID").unset("AWS_SECRET_ACCESS_KEY").set("AWS_PROFILE", "soon");
    let data = check(&sandbox, &rig, &base, &["--json"]).success().data();
    assert!(said(&data, "warning").contains("the credentials expire in"), "{data}");
}

#[test]
fn a_rehearsal_costs_nothing() {
    let base = base_image_or_skip!();
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    let data = sandbox
        .run(&["check", "train.py", &format!("--config.base_image={base}"), "--json"])
        .success()
        .data();
    assert_eq!(data["cost"], Value::Null);
    assert_eq!(data["train_driver"], "local");
}
