//! SageMaker's bad days: each ends in one clear error with a hint, or is waited out; nothing is lost, and no job is
//! submitted twice.

use std::{
    fs,
    io::{Read, Write},
    path::Path,
};

use alekseylearn_tests::{Rig, Run, Sandbox, Site, base_image_or_skip, rig_or_skip};
use serde_json::json;

use super::{fit, run};

/// A `fit` with one option changed.
fn with(rig: &Rig, base: &str, option: &str) -> Vec<String> {
    fit(rig, base, &["train.py", option])
}

fn trivial(rig: &Rig) -> Sandbox {
    let sandbox = Sandbox::with_rig(rig);
    sandbox.write("train.py", "open('/opt/ml/model/m', 'w').write('x')\nprint('done')\n");
    sandbox
}

/// One error, and no job in the record.
fn refused(sandbox: &Sandbox, run: Run) -> Run {
    assert_eq!(sandbox.run(&["jobs", "--json"]).success().data()["jobs"], json!([]));
    run.one_error()
}

#[test]
fn names_that_are_wrong_are_found_before_the_build() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let mut sandbox = trivial(&rig);
    // No engine is needed to find these out.
    sandbox.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let ask = |option: String| refused(&sandbox, run(&sandbox, &with(&rig, &base, &option)));
    ask("--config.role_name=nobody".into()).failure(4).says("no role nobody");
    ask(format!("--config.role_name={}", rig.name("untrusted_role")))
        .failure(2)
        .says("cannot assume the role");
    ask("--config.output_path=s3://alekseylearn-no-such-bucket/x".into()).failure(4).says("no bucket");
    ask(format!("--config.output_path=s3://{}/x", rig.name("foreign_bucket")))
        .failure(2)
        .says("but the job runs in");
    ask("--config.train_instance_type=m5.large".into()).failure(2).says("expected one such as ml.m5.large,");
}

#[test]
fn an_instance_that_does_not_exist_is_refused_by_the_service() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = trivial(&rig);
    let run =
        run(&sandbox, &with(&rig, &base, "--config.request.ResourceConfig.InstanceType=ml.nothing.large"));
    refused(&sandbox, run.failure(2)).says("ValidationException");
}

#[test]
fn credentials_that_are_missing_or_expired() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let mut sandbox = trivial(&rig);
    for operation in ["GetCallerIdentity", "GetRole"] {
        rig.fault(&json!({ "match": { "operation": operation }, "fault": "expired-token", "times": null }));
        let run = run(&sandbox, &with(&rig, &base, "-v"));
        refused(&sandbox, run.failure(3)).says("the credentials have expired");
        rig.clear_faults();
    }
    sandbox.unset("AWS_ACCESS_KEY_ID").unset("AWS_SECRET_ACCESS_KEY");
    let without = run(&sandbox, &with(&rig, &base, "-v"));
    refused(&sandbox, without.failure(3)).says("no usable AWS credentials").says("aws sso login");
    sandbox.unset("AWS_REGION").unset("AWS_DEFAULT_REGION");
    sandbox.set("AWS_ACCESS_KEY_ID", "a").set("AWS_SECRET_ACCESS_KEY", "b");
    refused(&sandbox, run(&sandbox, &with(&rig, &base, "-v")).failure(2)).says("no AWS region is set");
}

#[test]
fn credentials_that_expire_while_the_job_runs() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = trivial(&rig);
    rig.fault(
        &json!({ "match": { "operation": "DescribeTrainingJob" }, "fault": "expired-token", "times": null }),
    );
    let arguments = fit(&rig, &base, &["train.py", "--fetch", "out"]);
    run(&sandbox, &arguments).failure(3).one_error().says("the credentials have expired");
    rig.clear_faults();
    // With new ones, the same command goes on with the same job.
    run(&sandbox, &arguments).success().says("resuming");
    assert_eq!(rig.calls("CreateTrainingJob").len(), 1);
    assert_eq!(fs::read_to_string(sandbox.path("out/m")).unwrap(), "x");
}

#[test]
fn a_job_that_exceeds_its_time() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.project("tests/projects/until-sigterm");
    let arguments = fit(&rig, &base, &["until-sigterm/train.py", "--config.max_runtime=1"]);
    run(&sandbox, &arguments).failure(11).one_error().says("exceeded --config.max_runtime");
    sandbox.run(&["fetch", "out", "until-sigterm/train"]).success();
    assert!(sandbox.path("out/checkpoint.txt").is_file());
}

#[test]
fn a_role_that_the_service_may_not_assume_after_all() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = trivial(&rig);
    // The user may not look at the role, so that only the service finds it out.
    rig.fault(&json!({ "match": { "operation": "GetRole" }, "fault": "access-denied", "times": null }));
    let role = format!("--config.role_name={}", rig.name("untrusted_role"));
    let refusal = run(&sandbox, &with(&rig, &base, &role));
    refused(&sandbox, refusal.failure(3)).says("trust policy").says("iam:PassRole");
}

#[test]
fn aws_that_cannot_be_reached() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let mut sandbox = trivial(&rig);
    sandbox.set("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    let unreached = refused(&sandbox, run(&sandbox, &with(&rig, &base, "-v")).failure(7));
    unreached.says("cannot reach AWS: Connection refused");
    // A proxy in between, with a page of its own.
    let page = Site::of(&sandbox.path("page"));
    sandbox.set("AWS_ENDPOINT_URL", &page.address(""));
    let answered = refused(&sandbox, run(&sandbox, &with(&rig, &base, "-v")).failure(1));
    answered.says("unexpected response that is not from AWS").says("check the proxy");
}

#[test]
fn a_wrong_clock_is_called_that() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = trivial(&rig);
    for operation in ["GetCallerIdentity", "DescribeRepositories", "CreateTrainingJob"] {
        rig.fault(&json!({ "match": { "operation": operation }, "fault": "clock-skew", "times": null }));
        let run = run(&sandbox, &with(&rig, &base, "-v"));
        refused(&sandbox, run.failure(3)).says("correct this machine's clock");
        rig.clear_faults();
    }
    run(&sandbox, &with(&rig, &base, "-v")).success();
    rig.fault(&json!({ "match": { "operation": "GetObject" }, "fault": "clock-skew", "times": null }));
    let tag = sandbox.newest_job()["tag"].as_str().unwrap().to_owned();
    sandbox.run(&["fetch", "out", &tag]).failure(3).one_error().says("correct this machine's clock");
}

#[test]
fn a_registry_login_that_expires_while_the_image_goes_out() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = trivial(&rig);
    // One that the registry has not seen, however often this runs.
    let unseen = |what: &str| {
        format!("open('/opt/ml/model/m', 'w').write('{what}')  # {:?}\n", std::time::SystemTime::now())
    };
    sandbox.write("train.py", &unseen("one"));
    let before = rig.calls("GetAuthorizationToken").len();
    let manifest = json!({ "service": "registry", "operation": "PutManifest" });
    rig.fault(&json!({ "match": manifest, "fault": "expired-token" }));
    run(&sandbox, &with(&rig, &base, "-v")).success().says("logging in again");
    assert_eq!(rig.calls("GetAuthorizationToken").len(), before + 2);
    // One that is not taken at all is an error, and no end of tries.
    sandbox.write("train.py", &unseen("another"));
    rig.fault(&json!({ "match": manifest, "fault": "expired-token", "times": null }));
    refused_after_one(&sandbox, run(&sandbox, &with(&rig, &base, "-v")).failure(3)).says("cannot push");
}

/// One error, and no other job than the first.
fn refused_after_one(sandbox: &Sandbox, run: Run) -> Run {
    assert_eq!(sandbox.run(&["jobs", "--json"]).success().data()["jobs"].as_array().unwrap().len(), 1);
    run.one_error()
}

#[test]
fn a_service_that_cannot_be_reached_for_long_has_one_job_in_the_end() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = trivial(&rig);
    // The first of all requests arrives, and every answer is lost: nobody knows of the job.
    rig.fault(&json!({ "match": { "operation": "CreateTrainingJob" }, "fault": "cut", "after_bytes": 0, "times": null }));
    let arguments = fit(&rig, &base, &["train.py", "--fetch", "out"]);
    run(&sandbox, &arguments).failure(7).one_error();
    rig.clear_faults();
    run(&sandbox, &arguments).success().says("resuming");
    let calls = rig.calls("CreateTrainingJob");
    let names: std::collections::BTreeSet<String> =
        calls.iter().map(|call| call["body"]["TrainingJobName"].to_string()).collect();
    assert_eq!((names.len(), calls.len() > 2), (1, true), "{names:?}");
    assert_eq!(sandbox.run(&["jobs", "--json"]).success().data()["jobs"].as_array().unwrap().len(), 1);
    assert_eq!(fs::read_to_string(sandbox.path("out/m")).unwrap(), "x");
}

#[test]
fn a_slow_s3_is_waited_for() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.write(
        "train.py",
        "import random\nopen('/opt/ml/model/m', 'wb').write(random.Random(2).randbytes(2_000_000))\n",
    );
    let slow = |operation: &str| json!({ "match": { "operation": operation }, "fault": "slow", "delay_ms": 3000, "times": null });
    rig.fault(&slow("HeadObject"));
    rig.fault(&json!({ "match": { "operation": "GetObject" }, "fault": "slow", "delay_ms": 1000, "bytes_per_second": 500_000, "times": null }));
    run(&sandbox, &fit(&rig, &base, &["train.py", "--fetch", "out"])).success();
    assert_eq!(fs::metadata(sandbox.path("out/m")).unwrap().len(), 2_000_000);
}

#[test]
fn a_push_that_is_refused() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = trivial(&rig);
    sandbox.write("train.py", "print('never pushed before')\n");
    rig.fault(&json!({ "match": { "service": "registry" }, "fault": "access-denied", "times": null }));
    refused(&sandbox, run(&sandbox, &with(&rig, &base, "-v")).failure(3)).says("cannot push");
}

#[test]
fn a_push_to_a_repository_that_is_gone() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = trivial(&rig);
    sandbox.write("train.py", "print('pushed to nowhere')\n");
    rig.fault(&json!({ "match": { "service": "registry" }, "fault": "name-unknown", "times": null }));
    let run = run(&sandbox, &with(&rig, &base, "-v"));
    refused(&sandbox, run.failure(4)).says("cannot push").says("check that the repository exists");
}

#[test]
fn throttling_and_errors_of_the_service_are_waited_out() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = trivial(&rig);
    for operation in ["CreateTrainingJob", "DescribeTrainingJob", "DescribeLogStreams", "GetRole"] {
        rig.fault(&json!({ "match": { "operation": operation }, "fault": "throttle", "times": 2 }));
    }
    rig.fault(&json!({ "match": { "operation": "DescribeTrainingJob" }, "fault": "error-500", "times": 2 }));
    run(&sandbox, &fit(&rig, &base, &["train.py", "--fetch", "out"])).success();
    assert_eq!(fs::read_to_string(sandbox.path("out/m")).unwrap(), "x");
}

#[test]
fn an_answer_that_is_lost_makes_no_second_job() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = trivial(&rig);
    rig.fault(&json!({ "match": { "operation": "CreateTrainingJob" }, "fault": "cut", "after_bytes": 0 }));
    run(&sandbox, &fit(&rig, &base, &["train.py"])).success();
    let calls = rig.calls("CreateTrainingJob");
    assert!(calls.len() > 1, "it was asked again");
    let names: std::collections::BTreeSet<String> =
        calls.iter().map(|call| call["body"]["TrainingJobName"].to_string()).collect();
    assert_eq!(names.len(), 1, "by the same name");
    assert_eq!(sandbox.run(&["jobs", "--json"]).success().data()["jobs"].as_array().unwrap().len(), 1);
}

#[test]
fn a_program_that_is_killed_while_it_submits_makes_no_second_job() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = trivial(&rig);
    // All is built and pushed, so that only the submission is left to be hit.
    run(&sandbox, &fit(&rig, &base, &["train.py"])).success();
    let before = rig.calls("CreateTrainingJob").len();
    rig.fault(&json!({ "match": { "operation": "CreateTrainingJob" }, "fault": "slow", "delay_ms": 20_000 }));
    let arguments = fit(&rig, &base, &["train.py"]);
    let killed = sandbox.start(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let submitting = || {
        let jobs = sandbox.run(&["jobs", "--json"]).success().data();
        jobs["jobs"].as_array().unwrap().len() == 2
    };
    while !submitting() {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    std::thread::sleep(std::time::Duration::from_millis(500));
    killed.signal("KILL");
    killed.end();
    rig.clear_faults();
    // A refusal of the second try says nothing of the first.
    rig.fault(
        &json!({ "match": { "operation": "CreateTrainingJob" }, "fault": "access-denied", "times": null }),
    );
    run(&sandbox, &arguments).failure(3).one_error();
    rig.clear_faults();
    run(&sandbox, &arguments).success().says("resuming");
    let calls = rig.calls("CreateTrainingJob");
    let names: std::collections::BTreeSet<String> =
        calls[before..].iter().map(|call| call["body"]["TrainingJobName"].to_string()).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(sandbox.run(&["jobs", "--json"]).success().data()["jobs"].as_array().unwrap().len(), 2);
}

#[test]
fn a_connection_that_breaks_in_the_middle_of_the_model_is_taken_up_again() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.write(
        "train.py",
        "import random\nopen('/opt/ml/model/m', 'wb').write(random.Random(1).randbytes(3_000_000))\n",
    );
    run(&sandbox, &fit(&rig, &base, &["train.py"])).success();
    let tag = sandbox.newest_job()["tag"].as_str().unwrap().to_owned();
    rig.fault(&json!({ "match": { "operation": "GetObject" }, "fault": "cut", "times": 2 }));
    sandbox.run(&["fetch", "out", &tag]).success();
    assert_eq!(fs::metadata(sandbox.path("out/m")).unwrap().len(), 3_000_000);
    rig.fault(
        &json!({ "match": { "operation": "GetObject" }, "fault": "cut", "after_bytes": 0, "times": null }),
    );
    sandbox.run(&["fetch", "other", &tag]).failure(7).one_error();
    assert!(!sandbox.path("other").exists(), "nothing half-done is seen");
}

#[test]
fn a_model_that_is_hostile_or_gone() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = trivial(&rig);
    run(&sandbox, &fit(&rig, &base, &["train.py"])).success();
    let job = sandbox.newest_job();
    let (name, tag) = (job["name"].as_str().unwrap(), job["tag"].as_str().unwrap());
    let object = format!("{}/jobs/{name}/output/model.tar.gz", rig.name("bucket"));
    rig.put_object(&object, &traversal());
    sandbox.run(&["fetch", "out", tag]).failure(1).one_error().says("is unsafe");
    assert!(!sandbox.path("out").exists() && !sandbox.path("evil").exists());
    rig.put_object(&object, &bomb());
    let bombed = sandbox.run(&["fetch", "deep/out", tag]).failure(1).one_error();
    bombed.says("is unsafe").says("like a decompression bomb");
    assert!(!sandbox.path("deep").exists());
    rig.put_object(&object, b"this is no archive");
    fs::create_dir(sandbox.path("mine")).unwrap();
    sandbox.run(&["fetch", "mine", tag]).failure(1).one_error().says("is damaged");
    assert_eq!(fs::read_dir(sandbox.path("mine")).unwrap().count(), 0, "what was there stays");
    sandbox.write("none.py", "print('no model')\n");
    let none = run(&sandbox, &fit(&rig, &base, &["none.py", "--fetch", "none"])).success();
    assert!(none.stdout.contains("left no model") && !sandbox.path("none").exists(), "{}", none.stdout);
}

#[test]
fn a_model_of_a_hundred_thousand_files() {
    const FILES: usize = 100_000;
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = trivial(&rig);
    run(&sandbox, &fit(&rig, &base, &["train.py"])).success();
    let job = sandbox.newest_job();
    let (name, tag) = (job["name"].as_str().unwrap(), job["tag"].as_str().unwrap());
    let program = sandbox.program();
    let memory = |folder: &str| {
        let arguments = ["-c", MEMORY, program.to_str().unwrap(), "fetch", folder, tag, "--quiet"];
        let run = sandbox.run_other(Path::new("python3"), &arguments).success();
        run.stdout.lines().last().unwrap().parse::<u64>().unwrap()
    };
    let few = memory("few");
    rig.put_object(&format!("{}/jobs/{name}/output/model.tar.gz", rig.name("bucket")), &many(FILES));
    let most = memory("many");
    for (folder, files) in [("0", 1000), ("99", 1000)] {
        assert_eq!(fs::read_dir(sandbox.path("many").join(folder)).unwrap().count(), files);
    }
    assert_eq!(fs::read_to_string(sandbox.path("many/99/999")).unwrap(), "99999");
    // Their names, twice; not their content.
    assert!(most < few + 64 * 1024, "{few} KiB for one file, {most} KiB for {FILES}");
}

/// Runs a program and tells how much memory it took at most, in KiB.
const MEMORY: &str = "
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=sys.stderr).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
";

/// Of nothing but empty bytes, and more than a disk would like.
fn bomb() -> Vec<u8> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_size(9 << 30);
    header.set_mode(0o644);
    header.set_path("weights").unwrap();
    header.set_cksum();
    let beginning = std::io::repeat(0).take(1 << 20);
    tar.append(&header, beginning).unwrap();
    tar.into_inner().unwrap().finish().unwrap()
}

fn many(files: usize) -> Vec<u8> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for number in 0..files {
        let content = number.to_string();
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("{}/{}", number / 1000, number % 1000), content.as_bytes())
            .unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

fn traversal() -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..7].copy_from_slice(b"../evil");
    header.set_size(1);
    header.set_mode(0o644);
    header.set_cksum();
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    tar.append(&header, &b"x"[..]).unwrap();
    let mut packed = tar.into_inner().unwrap();
    packed.flush().unwrap();
    packed.finish().unwrap()
}
