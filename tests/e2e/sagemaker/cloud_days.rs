//! Bad days with accounts, services and networks: what the surroundings give is checked, waits have an end, a paid job is
//! watched to its end whatever becomes of its log, and answers are read for what they say.

use std::{
    fs,
    time::{Duration, Instant},
};

use alekseylearn_tests::{Rig, Run, Sandbox, base_image_or_skip, rig_or_skip};
use serde_json::{Value, json};

use super::{fit, run};

fn trivial(rig: &Rig) -> Sandbox {
    let sandbox = Sandbox::with_rig(rig);
    sandbox.write("train.py", "open('/opt/ml/model/m', 'w').write('x')\nprint('done')\n");
    sandbox
}

/// What `check` finds; it needs no engine.
fn check(sandbox: &Sandbox, rig: &Rig, more: &[&str]) -> Run {
    let options = fit(rig, "python:3.11-slim", &[&["train.py", "--json"], more].concat());
    let arguments: Vec<String> =
        std::iter::once("check".to_owned()).chain(options.into_iter().skip(1)).collect();
    run(sandbox, &arguments)
}

fn findings(run: &Run) -> String {
    run.data()["findings"].to_string()
}

/// What `fit --dry-run` would ask for.
fn dry_run(sandbox: &Sandbox, rig: &Rig, more: &[&str]) -> Run {
    run(sandbox, &fit(rig, "python:3.11-slim", &[&["train.py", "--dry-run", "--json"], more].concat()))
}

#[test]
fn keys_with_spaces_and_empty_variables_are_as_every_tool_takes_them() {
    let rig = rig_or_skip!();
    let mut sandbox = trivial(&rig);
    let environment = rig.environment();
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        sandbox.set(name, &format!(" {}\r\n", environment[name]));
    }
    for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE", "AWS_DEFAULT_REGION"] {
        sandbox.set(name, "");
    }
    dry_run(&sandbox, &rig, &[]).success();
    let checks = sandbox.run(&["doctor", "--json"]);
    assert!(
        checks.data()["checks"].to_string().contains("credentials from the environment"),
        "{}",
        checks.stdout
    );
    // What no trimming mends is one error.
    sandbox.set("AWS_ACCESS_KEY_ID", "AKIA\nTEST");
    let refused = dry_run(&sandbox, &rig, &[]).failure(3);
    assert!(refused.stdout.contains("the AWS credentials have invalid characters"), "{}", refused.stdout);
    assert!(!refused.stdout.contains("TEST"), "{}", refused.stdout);
}

#[test]
fn certificates_that_are_none_are_one_error() {
    let mut sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    let junk = sandbox.write("junk.pem", "SECRET");
    for path in ["/nonexistent/SECRET.pem", junk.to_str().unwrap()] {
        sandbox.set("SSL_CERT_FILE", path);
        let refused = sandbox.run(&["fit", "train.py", "--dry-run"]).failure(2).one_error();
        let refused = refused.says("cannot read the certificates in SSL_CERT_FILE");
        assert!(!refused.stderr.contains("SECRET"), "{}", refused.stderr);
        let checks = sandbox.run(&["doctor", "--json"]).failure(1);
        let aws =
            checks.data()["checks"].as_array().unwrap().iter().find(|one| one["name"] == "aws").cloned();
        assert!(
            aws.unwrap()["what"].as_str().unwrap().contains("the certificates in SSL_CERT_FILE"),
            "{}",
            checks.stdout
        );
    }
}

#[test]
fn a_log_that_cannot_be_read_does_not_end_the_watching() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = trivial(&rig);
    for (number, fault) in [
        json!({ "match": { "operation": "DescribeLogStreams" }, "fault": "access-denied", "times": null }),
        json!({ "match": { "operation": "GetLogEvents" }, "fault": "refuse", "code": "ResourceNotFoundException",
                "message": "The specified log stream does not exist.", "times": null }),
        json!({ "match": { "operation": "GetLogEvents" }, "fault": "refuse", "code": "InvalidParameterException",
                "message": "The specified nextToken is invalid.", "times": null }),
    ]
    .into_iter()
    .enumerate()
    {
        rig.fault(&fault);
        let out = format!("out{number}");
        let watched = run(&sandbox, &fit(&rig, &base, &["train.py", "--fetch", &out])).success();
        assert_eq!(watched.stderr.matches("cannot read the log").count(), 1, "{}", watched.stderr);
        assert_eq!(fs::read_to_string(sandbox.path(&out).join("m")).unwrap(), "x");
        rig.clear_faults();
    }
}

#[test]
fn a_denial_that_passes_is_waited_out() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = trivial(&rig);
    rig.fault(
        &json!({ "match": { "operation": "DescribeTrainingJob" }, "fault": "access-denied", "times": 2 }),
    );
    run(&sandbox, &fit(&rig, &base, &["train.py", "--fetch", "out"])).success();
    assert!(sandbox.path("out/m").is_file());
}

#[test]
fn an_answer_that_never_begins_is_asked_for_again() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = trivial(&rig);
    rig.fault(
        &json!({ "match": { "operation": "DescribeTrainingJob" }, "fault": "slow", "delay_ms": 150_000 }),
    );
    let begun = Instant::now();
    run(&sandbox, &fit(&rig, &base, &["train.py", "--fetch", "out"])).success();
    assert!(begun.elapsed() < Duration::from_secs(120), "{:?}", begun.elapsed());
}

#[test]
fn a_log_of_empty_pages_has_an_end() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = trivial(&rig);
    rig.fault(&json!({ "match": { "operation": "GetLogEvents" }, "fault": "empty-page", "times": null }));
    run(&sandbox, &fit(&rig, &base, &["train.py"])).success();
    let asked = rig.calls("GetLogEvents").len();
    assert!(asked < 250, "{asked} questions for nothing");
    let name = sandbox.newest_job()["name"].as_str().unwrap().to_owned();
    sandbox.run(&["logs", &name]).success();
    assert!(rig.calls("GetLogEvents").len() - asked <= 60);
}

#[test]
fn a_job_that_the_service_ended_has_the_services_exit_code_and_reason() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = trivial(&rig);
    let ended = |status: &str, secondary: &str, more: &str| {
        let put = format!("\"TrainingJobStatus\": \"{status}\", \"SecondaryStatus\": \"{secondary}\"{more}");
        let find = r#""TrainingJobStatus": ?"\w+", ?"SecondaryStatus": ?"\w+""#;
        rig.fault(&json!({
            "match": { "operation": "DescribeTrainingJob" }, "fault": "replace", "find": find, "put": put, "times": null,
        }));
        let run = run(&sandbox, &fit(&rig, &base, &["train.py"]));
        rig.clear_faults();
        run
    };
    let reason = ", \"FailureReason\": \"CapacityError: Unable to provision requested ML compute capacity\"";
    ended("Failed", "Failed", reason).failure(7).one_error().says("CapacityError");
    ended("Stopped", "MaxWaitTimeExceeded", "").failure(7).one_error().says("no spot capacity");
    ended("Stopped", "Interrupted", "").failure(7).one_error().says("spot instances were interrupted");
    let reason = ", \"FailureReason\": \"AlgorithmError: , exit code: 1\"";
    ended("Failed", "Failed", reason).failure(10);
}

#[test]
fn what_the_service_waits_for_is_shown() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = trivial(&rig);
    rig.fault(&json!({
        "match": { "operation": "DescribeTrainingJob" }, "fault": "replace", "times": 1,
        "find": r#""SecondaryStatus": ?"\w+"(?s:.*)"StatusMessage": ?"[^"]*""#,
        "put": "\"SecondaryStatus\": \"Starting\", \"SecondaryStatusTransitions\": [{\"Status\": \"Starting\", \"StartTime\": 1, \
                \"StatusMessage\": \"Insufficient capacity error from EC2, retrying!\"",
    }));
    run(&sandbox, &fit(&rig, &base, &["train.py"])).success().says("Insufficient capacity error from EC2");
}

#[test]
fn a_job_is_asked_only_where_it_runs() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let mut sandbox = Sandbox::with_rig(&rig);
    sandbox.project("tests/projects/until-sigterm");
    run(&sandbox, &fit(&rig, &base, &["until-sigterm/train.py", "--detach"])).success();
    let job = sandbox.newest_job();
    let name = job["name"].as_str().unwrap().to_owned();
    sandbox.set("AWS_REGION", "eu-west-1");
    for command in
        [vec!["status", &name], vec!["logs", &name], vec!["stop", &name], vec!["fetch", "out", &name]]
    {
        sandbox.run(&command).failure(4).one_error().says("runs in the AWS region us-east-1");
    }
    sandbox.set("AWS_REGION", rig.environment()["AWS_REGION"].as_str());
    rig.fault(&json!({
        "match": { "operation": "GetCallerIdentity" }, "fault": "replace", "find": r"<Account>\d+", "times": null,
        "put": "<Account>999988887777",
    }));
    sandbox.run(&["status", &name]).failure(4).one_error().says("credentials of the account 999988887777");
    rig.clear_faults();
    assert_ne!(sandbox.newest_job()["state"], "failed", "nothing was recorded");
    sandbox.run(&["stop", &name]).success();
}

#[test]
fn other_worlds_of_aws_have_other_names() {
    let rig = rig_or_skip!();
    let sandbox = trivial(&rig);
    rig.fault(&json!({ "match": { "operation": "GetRole" }, "fault": "access-denied", "times": null }));
    for (partition, domain) in [("aws-us-gov", "amazonaws.com/"), ("aws-cn", "amazonaws.com.cn/")] {
        rig.fault(&json!({
            "match": { "operation": "GetCallerIdentity" }, "fault": "replace", "find": "arn:aws:", "times": 8,
            "put": format!("arn:{partition}:"),
        }));
        let request = dry_run(&sandbox, &rig, &[]).success().data()["request"].clone();
        assert!(
            request["RoleArn"].as_str().unwrap().starts_with(&format!("arn:{partition}:iam::")),
            "{request}"
        );
        let image = request["AlgorithmSpecification"]["TrainingImage"].as_str().unwrap();
        assert!(image.contains(domain), "{image}");
        rig.clear_faults();
        rig.fault(&json!({ "match": { "operation": "GetRole" }, "fault": "access-denied", "times": null }));
    }
    let told = findings(&check(&sandbox, &rig, &[]));
    assert!(told.contains("the role's whole ARN if it has a path"), "{told}");
}

#[test]
fn answers_without_a_body_are_read_by_their_status() {
    let rig = rig_or_skip!();
    let sandbox = trivial(&rig);
    let bucket = rig.name("bucket").to_owned();
    rig.put_object(&format!("{bucket}/held/train-data.csv"), b"1");
    let input = |key: &str| format!("--config.input.train=s3://{bucket}/{key}");
    // One whose key only begins like it is another.
    let told = findings(&check(&sandbox, &rig, &[&input("held/train")]).failure(2));
    assert!(told.contains("nothing found at"), "{told}");
    // Who may not look takes the place as it is written: the role may read it.
    let denied = |operation: &str| {
        rig.fault(&json!({ "match": { "operation": operation }, "fault": "access-denied", "times": null }));
    };
    denied("HeadObject");
    let request =
        dry_run(&sandbox, &rig, &[&input("held/train-data.csv")]).success().data()["request"].clone();
    let place = &request["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"];
    assert_eq!(*place, format!("s3://{bucket}/held/train-data.csv"));
    rig.clear_faults();
    denied("HeadBucket");
    let told = check(&sandbox, &rig, &[]).failure(3);
    assert!(findings(&told).contains("which may belong to another account"), "{}", told.stdout);
    rig.clear_faults();
    let job = format!("s3://{bucket}/held");
    denied("HeadObject");
    sandbox.run(&["fetch", "out", "no/such", &job]).failure(4);
}

#[test]
fn questions_that_a_run_can_do_without_delay_nobody() {
    let rig = rig_or_skip!();
    let sandbox = trivial(&rig);
    rig.fault(
        &json!({ "match": { "operation": "SimulatePrincipalPolicy" }, "fault": "error-500", "times": null }),
    );
    rig.fault(&json!({ "match": { "service": "service-quotas" }, "fault": "error-500", "times": null }));
    let begun = Instant::now();
    dry_run(&sandbox, &rig, &[]).success();
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[test]
fn a_proxy_that_is_dead_is_named_at_once() {
    let mut sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    sandbox.set("HTTPS_PROXY", "http://user:SECRET@127.0.0.1:9").set("AWS_REGION", "us-east-1");
    sandbox.set("AWS_ACCESS_KEY_ID", "a").set("AWS_SECRET_ACCESS_KEY", "b");
    let begun = Instant::now();
    let options = ["--config.output_path=s3://bucket/x", "--config.role_name=r", "--dry-run"];
    let refused = sandbox.run(&[&["fit", "train.py", "--train-driver", "sagemaker"], &options[..]].concat());
    let refused = refused.failure(7).one_error().says("cannot connect through the proxy 127.0.0.1:9");
    assert!(!refused.stderr.contains("SECRET"), "{}", refused.stderr);
    sandbox.unset("HTTPS_PROXY").set("ALL_PROXY", "socks5h://127.0.0.1:9");
    let refused = sandbox.run(&[&["fit", "train.py", "--train-driver", "sagemaker"], &options[..]].concat());
    refused.failure(7).one_error().says("requests to AWS cannot use SOCKS");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[test]
fn profiles_are_read_as_awss_own_tools_read_them() {
    let rig = rig_or_skip!();
    let environment = rig.environment();
    let mut sandbox = trivial(&rig);
    let counted = sandbox.path("counted");
    let keys = format!(
        "aws_access_key_id = {}\naws_secret_access_key = {}\n",
        environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
    );
    let json = json!({
        "Version": 1, "AccessKeyId": environment["AWS_ACCESS_KEY_ID"],
        "SecretAccessKey": environment["AWS_SECRET_ACCESS_KEY"],
    });
    let process = sandbox.write("login.sh", &format!("echo once >> {}\necho '{json}'\n", counted.display()));
    sandbox.write_home(
        ".aws/config",
        &format!(
            "[profile \"two words\"]\n{keys}[profile process]\ncredential_process = sh {}\n[profile mfa]\n\
             role_arn = arn:aws:iam::123456789012:role/r\nmfa_serial = arn:aws:iam::1:mfa/me\nsource_profile = two words\n\
             [profile bundle]\n{keys}ca_bundle = /nonexistent.pem\n",
            process.display()
        ),
    );
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        sandbox.unset(name);
    }
    dry_run(&sandbox, &rig, &["--config.profile=two words"]).success();
    dry_run(&sandbox, &rig, &["--config.profile=process"]).success();
    assert_eq!(fs::read_to_string(&counted).unwrap().lines().count(), 1, "one login for one run");
    let refused = |profile: &str, code: i32, says: &[&str]| {
        let run = dry_run(&sandbox, &rig, &[&format!("--config.profile={profile}")]).failure(code);
        for text in says {
            assert!(run.stdout.contains(text), "no {text} in {}", run.stdout);
        }
    };
    refused("twowords", 3, &["no AWS profile `twowords`", "bundle, mfa, process, two words"]);
    refused("mfa", 3, &["needs an MFA code"]);
    refused("bundle", 2, &["`ca_bundle` of the AWS profile bundle"]);
    // A person on a terminal is asked for it.
    sandbox.set("TERM", "xterm");
    let arguments: Vec<String> =
        fit(&rig, "python:3.11-slim", &["train.py", "--dry-run", "--config.profile=mfa"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut terminal = sandbox.on_terminal(200, &arguments);
    let question = "MFA code for arn:aws:iam::1:mfa/me:";
    terminal.wait_for(question);
    // In this time, a moving line would be drawn over the question.
    std::thread::sleep(Duration::from_millis(500));
    terminal.type_in("123456\n");
    assert_eq!(terminal.end(), Some(0), "{}", terminal.raw());
    let raw = terminal.raw();
    let (before, after) = raw.split_once(question).unwrap();
    assert!(before.ends_with(['\n', '\r', 'K']) && after.starts_with(" 123456"), "{raw:?}");
    assert_eq!(rig.calls("AssumeRole").len(), 1, "one code for one run");
    sandbox.write_home(".aws/credentials", "[default]\nSECRET\n");
    let run = dry_run(&sandbox, &rig, &["--config.profile=mfa"]).failure(2);
    assert!(
        run.stdout.contains("~/.aws/credentials: line 2") && !run.stdout.contains("SECRET"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_service_on_this_machine_may_be_called_localhost() {
    let rig = rig_or_skip!();
    let mut sandbox = trivial(&rig);
    let endpoint = rig.environment()["AWS_ENDPOINT_URL"].replace("127.0.0.1", "localhost");
    sandbox.set("AWS_ENDPOINT_URL", &endpoint);
    dry_run(&sandbox, &rig, &[]).success();
}

#[test]
fn a_tag_that_stays_is_used_as_it_is() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = Sandbox::with_rig(&rig);
    let text = format!("print('done')  # {:?}\n", std::time::SystemTime::now());
    sandbox.write("train.py", &text);
    let options = fit(&rig, &base, &["train.py", "--detach"]);
    run(&sandbox, &options).success();
    // Another build of the same content: the registry has the tag, and lets nobody change it.
    let immutable = json!({
        "match": { "service": "registry", "operation": "PutManifest" }, "fault": "refuse", "times": null,
        "code": "TAG_INVALID",
        "message": "The image tag already exists and cannot be overwritten because the repository is immutable.",
    });
    rig.fault(&immutable);
    let again: Vec<String> = options.iter().cloned().chain(["--overwrite".to_owned()]).collect();
    let first = rig.calls("CreateTrainingJob").pop().unwrap()["body"].clone();
    run(&sandbox, &again).success().says("which is already in the registry");
    let second = rig.calls("CreateTrainingJob").pop().unwrap()["body"].clone();
    let image = |body: &Value| body["AlgorithmSpecification"]["TrainingImage"].to_string();
    assert_eq!(image(&first), image(&second));
    rig.clear_faults();
    rig.fault(&json!({
        "match": { "service": "registry" }, "fault": "refuse", "status": 403, "code": "DENIED", "times": null,
        "message": "User: arn:aws:iam::1:user/a is not authorized to perform: ecr:InitiateLayerUpload on resource: a",
    }));
    sandbox.write("train.py", &format!("{text}print('more')\n"));
    run(&sandbox, &options).failure(3).one_error().says("ask the account's administrator for ecr:");
}
