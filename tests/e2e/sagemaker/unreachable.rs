//! AWS that refuses connections for a while: waited out while a job is watched, and no second job where it was about to
//! be asked for one.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use alekseylearn_tests::{Door, Rig, Run, Sandbox, base_image_or_skip, rig_or_skip};
use serde_json::json;

use super::{fit, run};

/// Longer than one request is tried for, so that more than one of them fails. How five and ten minutes go is a test of
/// `host/src/job/outage.rs`.
const OUTAGE: Duration = Duration::from_secs(75);
const LINES: u32 = 400;

/// A user whose way to all of AWS is a door.
fn user(rig: &Rig) -> (Sandbox, Door) {
    let door = Door::to(rig.name("endpoint"));
    let mut sandbox = Sandbox::with_rig(rig);
    sandbox.set("AWS_ENDPOINT_URL", &door.address());
    (sandbox, door)
}

fn jobs(sandbox: &Sandbox) -> usize {
    sandbox.run(&["jobs", "--json"]).success().data()["jobs"].as_array().unwrap().len()
}

/// Each line once and in order, and one word about the outage.
fn has_all(run: &Run, lines: impl Iterator<Item = u32>, told: usize) {
    assert!(lines.eq(0..LINES), "each line once, in order:\n{}", run.stdout);
    assert_eq!(told, 1, "{}\n{}", run.stdout, run.stderr);
}

#[test]
fn over_a_minute_without_aws_is_told_once_and_costs_no_line() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let (sandbox, door) = user(&rig);
    sandbox.write(
        "train.py",
        &format!("import time\nfor number in range({LINES}):\n    print('line', number, flush=True)\n    time.sleep(0.2)\n"),
    );
    let arguments = fit(&rig, &base, &["train.py", "--json"]);
    let mut fitting = sandbox.start(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    fitting.wait_for("line 1");
    let name = sandbox.newest_job()["name"].as_str().unwrap().to_owned();
    let mut watching = sandbox.start(&["logs", "-f", &name]);
    watching.wait_for("line 1");
    let begun = Instant::now();
    door.shut();
    fitting.wait_for("retrying for 10 minutes while the job continues");
    sleep(OUTAGE.saturating_sub(begun.elapsed()));
    door.open();

    let fitted = fitting.end().success();
    let events = fitted.events();
    let lines = events.iter().filter(|event| event["event"] == "log");
    let number = |text: &str| text.strip_prefix("line ").map(|number| number.parse().unwrap());
    let told = |event: &&serde_json::Value| event.to_string().contains("retrying for");
    has_all(
        &fitted,
        lines.filter_map(|event| number(event["text"].as_str().unwrap())),
        events.iter().filter(told).count(),
    );
    let watched = watching.end().success();
    has_all(
        &watched,
        watched.stdout.lines().filter_map(number),
        watched.stderr.matches("retrying for").count(),
    );
    assert_eq!(rig.calls("CreateTrainingJob").len(), 1);
    assert_eq!(jobs(&sandbox), 1);
}

#[test]
fn aws_that_goes_away_just_before_it_is_asked_for_the_job_gets_one_job() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let (sandbox, door) = user(&rig);
    sandbox.write("train.py", "open('/opt/ml/model/m', 'w').write('x')\n");
    let arguments = fit(&rig, &base, &["train.py", "--fetch", "out"]);
    door.shut_at("SageMaker.CreateTrainingJob");
    run(&sandbox, &arguments).failure(7).one_error().says("cannot reach AWS: Connection refused");
    assert_eq!((rig.calls("CreateTrainingJob").len(), jobs(&sandbox)), (0, 1));
    door.open();
    run(&sandbox, &arguments).success().says("resuming");
    assert_eq!((rig.calls("CreateTrainingJob").len(), jobs(&sandbox)), (1, 1));
    assert!(sandbox.path("out/m").is_file());
}

#[test]
fn credentials_that_cannot_be_renewed_for_want_of_a_network_are_no_denial() {
    let rig = rig_or_skip!();
    let (mut sandbox, door) = user(&rig);
    let environment = rig.environment();
    sandbox.write_home(
        ".aws/config",
        &format!(
            "[profile keys]\naws_access_key_id = {}\naws_secret_access_key = {}\n\
             [profile assuming]\nsource_profile = keys\nrole_arn = arn:aws:iam::123456789012:role/{}\n",
            environment["AWS_ACCESS_KEY_ID"],
            environment["AWS_SECRET_ACCESS_KEY"],
            rig.name("role"),
        ),
    );
    sandbox.unset("AWS_ACCESS_KEY_ID").unset("AWS_SECRET_ACCESS_KEY").set("AWS_PROFILE", "assuming");
    sandbox.write("train.py", "");
    let dry = fit(&rig, "scratch", &["train.py", "--dry-run"]);
    run(&sandbox, &dry).success();
    assert!(!rig.calls("AssumeRole").is_empty());
    door.shut();
    run(&sandbox, &dry).failure(7).one_error().says("cannot reach AWS: Connection refused");
    door.open();
    // One that says no is one.
    rig.fault(&json!({ "match": { "operation": "AssumeRole" }, "fault": "access-denied", "times": null }));
    run(&sandbox, &dry).failure(3).one_error();
}
