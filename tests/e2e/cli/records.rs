//! What is kept of jobs: their course, what was installed for them, and what is different between two.

use alekseylearn_tests::{Sandbox, base_image_or_skip, rig_or_skip, wheel};
use serde_json::{Value, json};

use crate::sagemaker::{fit, run};

/// What `jobs diff` tells, by its name.
fn difference<'a>(data: &'a Value, what: &str) -> Option<&'a Value> {
    data["differences"].as_array().unwrap().iter().find(|one| one["what"] == what)
}

#[test]
fn two_jobs_are_told_apart_by_all_that_is_known_of_them() {
    let base = base_image_or_skip!();
    let sandbox = Sandbox::new();
    let base = format!("--config.base_image={base}");
    sandbox.write("p/train.py", "print('loss=0.5')\nopen('/opt/ml/model/m', 'w').write('x')\n");
    sandbox.write("p/requirements.txt", "./one-1.0-py3-none-any.whl\n");
    wheel(&sandbox.path("p"), "one", "1.0");
    sandbox.run(&["fit", "p/train.py", &base, "--config.hyperparameters.lr=1"]).success();
    let first = sandbox.newest_job()["name"].as_str().unwrap().to_owned();
    let status = sandbox.run(&["status", &first, "--json"]).success().data();
    let installed = status["installed"].as_array().unwrap();
    assert!(installed.iter().any(|line| line.as_str().unwrap().starts_with("one")), "{installed:?}");
    assert_eq!(status["phases"][0]["name"], "Training");

    sandbox.write("p/train.py", "print('loss=0.25')\nopen('/opt/ml/model/m', 'w').write('y')\n");
    sandbox.run(&["fit", "p/train.py", &base, "--config.hyperparameters.lr=2"]).success();
    let data = sandbox.run(&["jobs", "diff", &first, "p/train", "--json"]).success().data();
    assert_eq!(difference(&data, "option hyperparameters.lr").unwrap()["b"], "2");
    assert_eq!(difference(&data, "metric loss").unwrap()["a"], 0.5);
    assert!(difference(&data, "code").is_some() && difference(&data, "image").is_some());
    for same in ["driver", "driver digest", "build option base_image", "state", "artifact"] {
        assert!(difference(&data, same).is_none(), "{same}: {data}");
    }
    assert!(
        !data["differences"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["what"].as_str().unwrap().starts_with("installed"))
    );
    let text = sandbox.run(&["jobs", "diff", &first, &first]).success().stdout;
    assert!(text.contains("no known differences between"), "{text}");
    sandbox.run(&["jobs", "diff", &first, "nobody"]).failure(4).one_error();

    // The page tells it too.
    sandbox.run(&["report", &first, "-o", "page.html"]).success();
    let page = std::fs::read_to_string(sandbox.path("page.html")).unwrap();
    assert!(page.contains("<h2>Installed</h2>"), "{page}");

    let names = |more: &[&str]| -> Vec<String> {
        let data = sandbox.run(&[&["jobs", "--json"], more].concat()).success().data();
        data["jobs"].as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap().to_owned()).collect()
    };
    let all = names(&[]);
    assert_eq!(all.len(), 2);
    assert_eq!(names(&["--sort", "name"]), [&all[1..], &all[..1]].concat());
    assert_eq!(names(&["--limit", "1"]), &all[..1]);
    assert_eq!(
        names(&["--status", "completed,failed", "--driver", "local", "--tag", "p/train", "--since", "1h"]),
        all
    );
    for none in
        [&["--status", "failed"][..], &["--driver", "sagemaker"], &["--tag", "q"], &["--since", "2999-01-01"]]
    {
        assert!(names(none).is_empty(), "{none:?}");
    }
    sandbox.run(&["jobs", "--since", "yesterday"]).failure(2).says("is not a time such as");
    sandbox.run(&["jobs", "--status", "lost"]).failure(2).says("possible values");
}

#[test]
fn the_course_and_the_cost_of_a_job_are_kept() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.write("p/train.py", "open('/opt/ml/model/m', 'w').write('x')\n");
    let more = [
        "p/train.py",
        "--config.prices.ml.m5.xlarge=3600",
        "--config.train_instance_type=ml.m5.xlarge",
        "--json",
    ];
    let end = run(&sandbox, &fit(&rig, &base, &more)).success().data();
    let seconds = end["billable_seconds"].as_f64().unwrap();
    assert!(seconds >= 1.0);
    assert_eq!(end["cost_usd"], seconds, "a dollar a second");
    let status = sandbox.run(&["status", "p/train", "--json"]).success().data();
    assert_eq!(status["cost_usd"], seconds);
    let phases: Vec<&str> =
        status["phases"].as_array().unwrap().iter().map(|phase| phase["name"].as_str().unwrap()).collect();
    assert_eq!(phases.first(), Some(&"Starting"));
    assert_eq!(phases.last(), Some(&"Completed"));
    assert!(phases.contains(&"Downloading") && phases.contains(&"Uploading"), "{phases:?}");
    let text = sandbox.run(&["status", "p/train"]).success().stdout;
    assert!(text.contains(&format!(", {seconds:.2} USD")), "{text}");
    let job = sandbox.newest_job();
    assert_eq!(job["cost_usd"], seconds);

    // What was seen is told also where the service does not answer any more.
    rig.fault(
        &json!({ "match": { "operation": "DescribeTrainingJob" }, "fault": "throttle", "times": null }),
    );
    rig.fault(&json!({ "match": { "service": "logs" }, "fault": "throttle", "times": 0 }));
    let report = sandbox.run(&["report", "p/train", "-o", "page.html"]).success();
    report.says("the report shows the last known state");
    let page = std::fs::read_to_string(sandbox.path("page.html")).unwrap();
    assert!(page.contains("Uploading") && page.contains(&format!("{seconds:.2} USD")), "{page}");
}

#[test]
fn a_failed_job_shows_its_reason_and_the_end_of_its_log() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.write(
        "p/train.py",
        "print('epoch 1 of 9')\ndef load():\n    raise ValueError('no columns')\nload()\n",
    );
    let seen = run(&sandbox, &fit(&rig, &base, &["p/train.py"])).failure(10).one_error();
    let place =
        |part: &str| seen.stderr.find(part).unwrap_or_else(|| panic!("no `{part}` in\n{}", seen.stderr));
    let order = [place("failed: AlgorithmError: ValueError: no columns"), place("exit code: 1")];
    assert!(order.is_sorted(), "{order:?}\n{}", seen.stderr);
    // The traceback went by with the log.
    for part in ["line 3, in load", "epoch 1 of 9", "Traceback"] {
        assert_eq!(seen.stdout.matches(part).count(), 1, "{part}: {}", seen.stdout);
        assert!(!seen.stderr.contains(part), "{part}: {}", seen.stderr);
    }

    // Who reads no log is told all of it, once.
    let quiet = run(&sandbox, &fit(&rig, &base, &["p/train.py", "--quiet"])).failure(10).one_error().stderr;
    for part in ["line 3, in load", "last lines of the log:", "epoch 1 of 9"] {
        assert_eq!(quiet.matches(part).count(), 1, "{part}: {quiet}");
    }

    sandbox.write("q/train.py", "import os, signal\nprint('before')\nos.kill(os.getpid(), signal.SIGKILL)\n");
    run(&sandbox, &fit(&rig, &base, &["q/train.py"]))
        .failure(10)
        .one_error()
        .says("usually because memory ran out");
}

#[test]
fn a_stop_waits_and_tells_what_was_kept() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    rig.set(&json!({ "stop_grace_seconds": 20 }));
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.project("tests/projects/until-sigterm");
    for (tag, more) in [("waits", &[][..]), ("leaves", &["--detach"])] {
        std::fs::rename(
            sandbox.path(if tag == "waits" { "until-sigterm" } else { "waits" }),
            sandbox.path(tag),
        )
        .unwrap();
        let arguments = fit(&rig, &base, &[&format!("{tag}/train.py")]);
        let mut following = sandbox.start(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        following.wait_for("training");
        let name = format!("{tag}/train");
        let data = sandbox.run(&[&["stop", &name, "--json"], more].concat()).success().data();
        if more.is_empty() {
            assert_eq!(data["state"], "stopped");
            assert_eq!(data["left"], json!(["model"]));
        } else {
            assert_eq!(data["left"], Value::Null);
        }
        following.end().failure(11).one_error();
    }
}
