//! A driver in Python, `examples/python-driver`: what an author there writes works like any other.

use std::fs;

use alekseylearn_tests::{Sandbox, base_image_or_skip, guests_or_skip};
use serde_json::json;

const DRIVER: [&str; 2] = ["--train-driver", "local-python"];

#[test]
fn a_driver_in_python_trains() {
    let (guests, base) = (guests_or_skip!(), format!("--config.base_image={}", base_image_or_skip!()));
    let file = guests.join("local-python.wasm");
    let file = file.to_str().unwrap();
    let sandbox = Sandbox::new();
    let shown = sandbox.run(&["plugin", "show", file, "--json"]).success().data();
    assert_eq!((&shown["name"], &shown["version"]), (&json!("local-python"), &json!("0.1.0")));
    assert_eq!(shown["drivers"], json!(["train"]));
    // What Python itself imports of WASI is no grant.
    assert_eq!(shown["wants"], json!(["docker"]));

    sandbox.run(&["plugin", "install", file, "--yes"]).success().says("also wants docker");
    let shown = sandbox.run(&["driver", "show", "local-python"]).success();
    assert!(shown.stdout.contains("--config.hyperparameters"), "{}", shown.stdout);
    sandbox.project("tests/projects/hyperparameters");
    let fit = ["fit", "hyperparameters/train.py", &base, "--config.hyperparameters.c=7"];
    let fit = [&fit[..], &DRIVER].concat();
    sandbox.run(&fit).failure(3).one_error().says("alekseylearn plugin grant local-python docker");
    sandbox.run(&["plugin", "grant", "local-python", "docker"]).success();

    let run = sandbox.run(&[&fit[..], &["--fetch", "out"]].concat()).success();
    assert!(run.stdout.contains("learning rate 0.1"), "{}", run.stdout);
    let seen = fs::read_to_string(sandbox.path("out/seen.json")).unwrap();
    let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
    assert_eq!(seen["arguments"], json!(["-c", "7"]));
    let job = sandbox.newest_job();
    assert_eq!((&job["state"], &job["driver"]), (&json!("completed"), &json!("local-python")));
    // The container is gone, and its log is not.
    let logs = sandbox.run(&["logs", "hyperparameters/train"]).success();
    assert!(logs.stdout.contains("learning rate 0.1"), "{}", logs.stdout);
    sandbox.run(&["fetch", "again", "hyperparameters/train"]).success();
    assert!(sandbox.path("again/seen.json").is_file());
    sandbox.run(&["plugin", "verify"]).success();
}

#[test]
fn its_jobs_fail_and_are_stopped_like_any_others() {
    let (guests, base) = (guests_or_skip!(), format!("--config.base_image={}", base_image_or_skip!()));
    let file = guests.join("local-python.wasm");
    let sandbox = Sandbox::new();
    sandbox.run(&["plugin", "install", file.to_str().unwrap(), "--yes", "--grant", "docker"]).success();
    sandbox.project("tests/projects/fails");
    let fails = [&["fit", "fails/train.py", &base][..], &DRIVER].concat();
    sandbox.run(&fails).failure(10).one_error().says("steps/columns.py");

    sandbox.project("tests/projects/until-sigterm");
    let running = [&["fit", "until-sigterm/train.py", &base, "--detach"][..], &DRIVER].concat();
    sandbox.run(&running).success();
    sandbox.start(&["logs", "-f", "until-sigterm/train"]).wait_for("training");
    sandbox.run(&["stop", "until-sigterm/train"]).success();
    sandbox.run(&["status", "until-sigterm/train"]).success();
    assert_eq!(sandbox.newest_job()["state"], "stopped");
    sandbox.run(&["fetch", "out", "until-sigterm/train"]).success();
    assert!(fs::read_to_string(sandbox.path("out/checkpoint.txt")).unwrap().starts_with("stopped at step"));
}
