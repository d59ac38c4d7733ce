//! The drivers that authors start from, `examples/rust-driver` and `examples/python-driver`: each works like any other.

use std::{fs, path::Path};

use alekseylearn_tests::{Sandbox, base_image_or_skip, guests_or_skip};
use serde_json::json;

const DRIVERS: [&str; 2] = ["local-rust", "local-python"];

fn component(guests: &Path, driver: &str) -> String {
    guests.join(format!("{driver}.wasm")).to_str().expect("it is a plain path").to_owned()
}

#[test]
fn an_example_trains() {
    let (guests, base) = (guests_or_skip!(), format!("--config.base_image={}", base_image_or_skip!()));
    for driver in DRIVERS {
        let file = component(&guests, driver);
        let sandbox = Sandbox::new();
        let shown = sandbox.run(&["plugin", "show", &file, "--json"]).success().data();
        assert_eq!((&shown["name"], &shown["version"]), (&json!(driver), &json!("0.1.0")));
        assert_eq!(shown["drivers"], json!(["train"]));
        // What a language itself imports of WASI is no grant.
        assert_eq!(shown["wants"], json!(["docker"]), "{driver}");

        sandbox.run(&["plugin", "install", &file, "--yes"]).success().says("also wants docker");
        let shown = sandbox.run(&["driver", "show", driver]).success();
        assert!(shown.stdout.contains("--config.hyperparameters"), "{}", shown.stdout);
        sandbox.project("tests/projects/hyperparameters");
        let fit = ["fit", "hyperparameters/train.py", &base, "--config.hyperparameters.c=7"];
        let fit = [&fit[..], &["--config.hyperparameters.shuffle=true", "--train-driver", driver]].concat();
        sandbox.run(&fit).failure(3).one_error().says(&format!("alekseylearn plugin grant {driver} docker"));
        sandbox.run(&["plugin", "grant", driver, "docker"]).success();

        let run = sandbox.run(&[&fit[..], &["--fetch", "out"]].concat()).success();
        assert!(run.stdout.contains("learning rate 0.1"), "{}", run.stdout);
        let seen = fs::read_to_string(sandbox.path("out/seen.json")).unwrap();
        let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
        assert_eq!(seen["arguments"], json!(["-c", "7", "--shuffle", "true"]));
        let job = sandbox.newest_job();
        assert_eq!((&job["state"], &job["driver"]), (&json!("completed"), &json!(driver)));
        // The container is gone, and its log is not.
        let logs = sandbox.run(&["logs", "hyperparameters/train"]).success();
        assert!(logs.stdout.contains("learning rate 0.1"), "{}", logs.stdout);
        sandbox.run(&["fetch", "again", "hyperparameters/train"]).success();
        assert!(sandbox.path("again/seen.json").is_file());
        sandbox.run(&["plugin", "verify"]).success();
    }
}

#[test]
fn its_jobs_fail_and_are_stopped_like_any_others() {
    let (guests, base) = (guests_or_skip!(), format!("--config.base_image={}", base_image_or_skip!()));
    for driver in DRIVERS {
        let by_driver = ["--train-driver", driver];
        let sandbox = Sandbox::new();
        let install = ["plugin", "install", &component(&guests, driver), "--yes", "--grant", "docker"];
        sandbox.run(&install).success();
        sandbox.project("tests/projects/fails");
        let fails = [&["fit", "fails/train.py", &base][..], &by_driver].concat();
        let failed = sandbox.run(&fails).failure(10).one_error().says("columns differ in length");
        assert!(failed.stdout.contains("steps/columns.py"), "the traceback: {}", failed.stdout);

        sandbox.project("tests/projects/until-sigterm");
        let running = [&["fit", "until-sigterm/train.py", &base, "--detach"][..], &by_driver].concat();
        sandbox.run(&running).success();
        sandbox.start(&["logs", "-f", "until-sigterm/train"]).wait_for("training");
        sandbox.run(&["stop", "until-sigterm/train"]).success();
        sandbox.run(&["status", "until-sigterm/train"]).success();
        assert_eq!(sandbox.newest_job()["state"], "stopped");
        sandbox.run(&["fetch", "out", "until-sigterm/train"]).success();
        let saved = fs::read_to_string(sandbox.path("out/checkpoint.txt")).unwrap();
        assert!(saved.starts_with("stopped at step"), "{saved}");
    }
}
