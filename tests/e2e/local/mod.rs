//! Training on this machine: real scripts and notebooks, real containers.

mod bad_days;
mod distributed;
mod engines;
mod podman;
mod venv;
mod watching;

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use alekseylearn_tests::{Sandbox, base_image_or_skip};
use serde_json::Value;

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("docker starts");
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// No container of the job is left.
fn assert_no_container(job: &str) {
    let left = docker(&["ps", "-aq", "--filter", &format!("label=io.alekseylearn.job={job}")]);
    assert_eq!(left, "", "a container of {job} is left");
}

#[test]
fn a_script_is_trained_and_its_model_works() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    let before = {
        let project = sandbox.project("examples/digits");
        listing(&project)
    };
    let run = sandbox.run(&["fit", "digits/train.py", &base, "--fetch", "out"]).success();
    assert!(run.stdout.contains("accuracy: 0.98"), "{}", run.stdout);
    assert_eq!(listing(&sandbox.path("digits")), before, "the user's folder is only read");

    let job = sandbox.newest_job();
    assert_eq!(job["state"], "completed");
    assert_eq!(job["tag"], "digits/train");
    assert_no_container(job["name"].as_str().unwrap());
    let metrics: Value =
        serde_json::from_slice(&fs::read(sandbox.path("out/metrics.json")).unwrap()).unwrap();
    assert!(metrics["accuracy"].as_f64().unwrap() > 0.95);

    // The model is loaded with scikit-learn, in the image that made it.
    let image = job["image"].as_str().unwrap();
    let python = "/opt/alekseylearn/venv/bin/python";
    let code = "import io, sys, joblib; from sklearn.datasets import load_digits; \
                x, y = load_digits(return_X_y=True); \
                print(joblib.load(io.BytesIO(sys.stdin.buffer.read())).score(x, y) > 0.95)";
    let mut child = Command::new("docker")
        .args(["run", "--rm", "-i", "--entrypoint", python, image, "-c", code])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&fs::read(sandbox.path("out/model.joblib")).unwrap()).unwrap();
    assert_eq!(String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).trim(), "True");

    // The same again: nothing is built, and what the first one brought is replaced by a fit, and not by a fetch.
    let again = sandbox.run(&["fit", "digits/train.py", &base, "--fetch", "out"]).success();
    let again = again.says("reusing the image");
    sandbox.run(&["fetch", "out", "digits/train"]).failure(5).one_error().says("already exists");
    assert!(!again.stderr.contains("[dependencies"), "{}", again.stderr);
    sandbox.run(&["fetch", "out", "digits/train", "--overwrite"]).success();
    sandbox.run(&["fetch", "packed", "digits/train", "--no-extract"]).success();
    assert_eq!(listing(&sandbox.path("packed")), ["model.tar.gz"]);
}

#[test]
fn the_image_is_what_services_take() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.write("shape/train.py", "print('ok')\n");
    sandbox.write("shape/.env", "SECRET=1\n");
    sandbox.write("shape/requirements.txt", "six\n");
    sandbox.run(&["fit", "shape/train.py", &base]).success();
    let image = sandbox.newest_job()["image"].as_str().unwrap().to_owned();
    let inspected: Value = serde_json::from_str(&docker(&["image", "inspect", &image])).unwrap();
    let (config, platform) = (&inspected[0]["Config"], &inspected[0]["Architecture"]);
    assert_eq!(platform, "amd64");
    assert_eq!(
        config["Entrypoint"][0], "/opt/alekseylearn/venv/bin/python",
        "exec form: a shell keeps signals away"
    );
    assert_eq!(config["Cmd"], Value::Null);
    let names = config["Env"].as_array().unwrap().iter().map(|variable| variable.as_str().unwrap());
    assert!(!names.clone().any(|variable| variable.contains("CERT") || variable.contains("CA_BUNDLE")));
    let inside = docker(&[
        "run",
        "--rm",
        "--entrypoint",
        "sh",
        &image,
        "-c",
        "find /opt/alekseylearn/code -type f; ls /opt",
    ]);
    assert_eq!(
        inside.lines().collect::<Vec<_>>(),
        ["/opt/alekseylearn/code/requirements.txt", "/opt/alekseylearn/code/train.py", "alekseylearn"]
    );
    // The bundle that the build needed is not in it: the base image's own is.
    let hash = "sha256sum /etc/ssl/certs/ca-certificates.crt || true";
    let of = |image: &str| docker(&["run", "--rm", "--entrypoint", "sh", image, "-c", hash]);
    assert_eq!(of(&image), of(base.split_once('=').unwrap().1));
    let other = Command::new("docker").args(["run", "--rm", &image, "serve"]).output().unwrap();
    assert_eq!(other.status.code(), Some(2), "any argument but `train` fails loudly");
}

#[test]
fn another_requirements_file_is_installed_from() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.write("other/train.py", "import six\nprint('six', six.__version__)\n");
    sandbox.write("other/env/cpu.txt", "six==1.16.0\n");
    let fit = ["fit", "other/train.py", &base, "--env-file", "other/env/cpu.txt"];
    assert!(sandbox.run(&fit).success().stdout.contains("six 1.16.0"));
}

#[test]
fn a_code_change_keeps_the_layers_below() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    let layers = |text: &str| -> Vec<String> {
        sandbox.write("layers/train.py", text);
        sandbox.write("layers/requirements.txt", "six\n");
        sandbox.run(&["fit", "layers/train.py", &base]).success();
        let image = sandbox.newest_job()["image"].as_str().unwrap().to_owned();
        serde_json::from_str(&docker(&["image", "inspect", "-f", "{{json .RootFS.Layers}}", &image])).unwrap()
    };
    let (one, two) = (layers("print(1)\n"), layers("print(2)\n"));
    assert_eq!(one.len(), two.len());
    assert_eq!(one[..one.len() - 1], two[..two.len() - 1], "only the last layer, the code, differs");
    assert_ne!(one.last(), two.last());
}

#[test]
fn a_notebook_is_executed_and_kept() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.project("examples/notebook");
    sandbox.run(&["fit", "notebook/digits.ipynb", &base, "--fetch", "out"]).success();
    assert!(!listing(&sandbox.path("out")).is_empty());
    sandbox.run(&["fetch", "all", "notebook/digits", "--output-data"]).success();
    let executed = fs::read(sandbox.path("all/output-data/digits.ipynb")).unwrap();
    let executed: Value = serde_json::from_slice(&executed).unwrap();
    let code = executed["cells"].as_array().unwrap().iter().filter(|cell| cell["cell_type"] == "code");
    assert!(code.clone().all(|cell| cell["execution_count"].is_number()), "every cell ran");
    let picture = |cell: &Value| {
        cell["outputs"].as_array().unwrap().iter().any(|output| output["data"]["image/png"].is_string())
    };
    assert!(code.clone().any(picture), "plots are in it");
}

#[test]
fn a_failing_cell_is_named_and_the_notebook_kept() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.project("tests/projects/failing-notebook");
    let run = sandbox.run(&["fit", "failing-notebook/train.ipynb", &base]).failure(10).one_error();
    run.says("Cell 3 failed").says("--output-data");
    // What it had written to the model's folder before it failed is not lost either.
    sandbox.run(&["fetch", "model", "failing-notebook/train"]).success();
    assert_eq!(listing(&sandbox.path("model")), ["first.txt"]);
    sandbox.run(&["fetch", "out", "failing-notebook/train", "--output-data"]).success();
    let text = fs::read_to_string(sandbox.path("out/output-data/train.ipynb")).unwrap();
    assert!(text.contains("\"output_type\": \"error\""), "the error is in the notebook");
}

fn book(cells: &[&str]) -> String {
    let cell = |source: &&str| serde_json::json!({ "cell_type": "code", "source": source });
    serde_json::json!({ "nbformat": 4, "cells": cells.iter().map(cell).collect::<Vec<_>>() }).to_string()
}

#[test]
fn a_notebook_that_writes_nothing_is_itself_what_it_leaves() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.write("train.ipynb", &book(&["print('one', x)", "quit()\nprint('two')", "print('three')"]));
    let nan = "--config.hyperparameters.x=NaN";
    let run = sandbox.run(&["fit", "train.ipynb", &base, nan, "--fetch", "out"]).success();
    assert!(run.stdout.contains("one nan") && !run.stdout.contains("two"), "{}", run.stdout);
    assert!(!run.stdout.contains("three"), "{}", run.stdout);
    let text = fs::read_to_string(sandbox.path("out/train.ipynb")).unwrap();
    let executed: Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!(executed["metadata"]["papermill"]["parameters"]["x"], "nan");
    // What a run made can be run.
    fs::rename(sandbox.path("out/train.ipynb"), sandbox.path("again.ipynb")).unwrap();
    sandbox.run(&["fit", "again.ipynb", &base]).success();
    sandbox.write("exits.ipynb", &book(&["exit(3)"]));
    sandbox.run(&["fit", "exits.ipynb", &base]).failure(10).one_error().says("Cell 1 failed: SystemExit: 3");
}

#[test]
fn one_odd_file_does_not_keep_a_model_away() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.write(
        "odd/-train.py",
        "import os, socket\n\
         os.chdir('/opt/ml/model')\n\
         os.makedirs('step-3'); os.makedirs('/var/cache/wandb')\n\
         open('step-3/w.bin', 'w').write('w')\n\
         open('/var/cache/wandb/debug.log', 'w').write('log')\n\
         os.symlink('/opt/ml/model/step-3/w.bin', 'best.bin')\n\
         os.symlink('step-3', 'latest')\n\
         os.symlink('/var/cache/wandb/debug.log', 'debug.log')\n\
         os.mkfifo('pipe')\n\
         socket.socket(socket.AF_UNIX).bind('wandb.sock')\n\
         open('/dev/shm/large', 'wb').write(bytes(300 << 20))\n",
    );
    let run = sandbox.run(&["fit", "odd/-train.py", &base, "--fetch", "out"]).success();
    assert!(run.stdout.contains("they are not files or folders: pipe, wandb.sock"), "{}", run.stdout);
    assert_eq!(fs::read_link(sandbox.path("out/best.bin")).unwrap().to_str(), Some("step-3/w.bin"));
    assert_eq!(fs::read_to_string(sandbox.path("out/latest/w.bin")).unwrap(), "w");
    assert_eq!(fs::read_to_string(sandbox.path("out/debug.log")).unwrap(), "log");
    let small = "--config.shm_size=16m";
    sandbox.run(&["fit", "odd/-train.py", &base, small]).failure(10).one_error().says("No space left");
    sandbox
        .run(&["fit", "odd/-train.py", &base, "--config.shm_size=lots"])
        .failure(2)
        .one_error()
        .says("is not a size");
}

#[test]
fn modules_packages_and_data_beside_the_script_are_there() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.project("examples/package");
    sandbox.run(&["fit", "package/train.py", &base, "--fetch", "out"]).success();
    assert!(!listing(&sandbox.path("out")).is_empty());
}

#[test]
fn the_script_sees_sagemakers_contract() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.project("tests/projects/hyperparameters");
    let more = [
        "--config.hyperparameters.learning-rate=0.5",
        "--config.hyperparameters.c=7",
        "--config.hyperparameters.shuffle=true",
        "--config.environment.COLOUR=blue",
    ];
    let fit = ["fit", "hyperparameters/train.py", base.as_str(), "--fetch", "out"];
    sandbox.run(&[&fit[..], &more[..]].concat()).success();
    let seen: Value = serde_json::from_slice(&fs::read(sandbox.path("out/seen.json")).unwrap()).unwrap();
    assert_eq!(seen["known"]["learning_rate"], 0.5);
    assert_eq!(seen["known"]["c"], 7);
    let environment = &seen["environment"];
    assert_eq!(environment["COLOUR"], "blue");
    assert_eq!(environment["SM_MODEL_DIR"], "/opt/ml/model");
    assert_eq!(environment["SM_HOSTS"], r#"["algo-1"]"#);
    assert_eq!(environment["TRAINING_JOB_NAME"], sandbox.newest_job()["name"]);
}

#[test]
fn a_script_that_fails_says_why() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.project("tests/projects/fails");
    let run = sandbox.run(&["fit", "fails/train.py", &base]).failure(10).one_error();
    assert!(run.stdout.contains("Traceback (most recent call last)"), "the log holds all: {}", run.stdout);
    let job = sandbox.newest_job();
    assert_eq!(job["state"], "failed");
    let first = job["reason"].as_str().unwrap().lines().next().unwrap();
    assert!(first.contains("Error"), "the exception comes first: {first}");
    run.says(first);
    assert_no_container(job["name"].as_str().unwrap());
}

#[test]
fn a_job_is_stopped_and_what_it_saved_comes_home() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.project("tests/projects/until-sigterm");
    sandbox.run(&["fit", "until-sigterm/train.py", &base, "--detach"]).success();
    let name = sandbox.newest_job()["name"].as_str().unwrap().to_owned();
    let mut logs = sandbox.start(&["logs", "-f", &name]);
    logs.wait_for("training");
    assert_eq!(sandbox.run(&["status", &name, "--json"]).success().data()["state"], "running");
    sandbox.run(&["fetch", "out", &name]).failure(5).one_error().says("is still running");
    sandbox.run(&["stop", &name]).success();
    assert!(logs.end().success().stdout.contains("saved checkpoint.txt"));
    assert_eq!(sandbox.newest_job()["state"], "stopped");
    sandbox.run(&["fetch", "out", &name]).success();
    assert_eq!(listing(&sandbox.path("out")), ["checkpoint.txt"]);
    sandbox.run(&["stop", &name]).success();
    assert_no_container(&name);
}

/// The first process of a container ignores a signal that it has no handler for, and Docker's patience is two minutes.
#[test]
fn a_job_is_stopped_while_it_starts() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.project("tests/projects/until-sigterm");
    for _ in 0..3 {
        sandbox.run(&["fit", "until-sigterm/train.py", &base, "--detach"]).success();
        let begun = Instant::now();
        sandbox.run(&["stop", "until-sigterm/train"]).success();
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
        assert_eq!(sandbox.newest_job()["state"], "stopped");
    }
}

#[test]
fn ctrl_c_lets_the_job_go_on() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.project("tests/projects/until-sigterm");
    let mut fit = sandbox.start(&["fit", "until-sigterm/train.py", &base]);
    fit.wait_for("training");
    fit.signal("INT");
    let ended = fit.end().success();
    let name = sandbox.newest_job()["name"].as_str().unwrap().to_owned();
    assert!(ended.stdout.contains(&format!("alekseylearn logs -f {name}")), "{}", ended.stdout);
    assert_eq!(sandbox.run(&["status", &name, "--json"]).success().data()["state"], "running");
    sandbox.run(&["stop", &name]).success();
    assert_no_container(&name);
}

#[test]
fn a_killed_program_loses_nothing() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.write("slow/train.py", "import time\nprint('begun', flush=True)\ntime.sleep(2)\nopen('/opt/ml/model/m', 'w').write('x')\nprint('done')\n");
    let mut fit = sandbox.start(&["fit", "slow/train.py", &base]);
    fit.wait_for("begun");
    fit.signal("KILL");
    assert_eq!(fit.end().code, None);
    let logs = sandbox.run(&["logs", "-f", "slow/train"]).success();
    assert_eq!(logs.stdout.lines().collect::<Vec<_>>(), ["begun", "done"]);
    sandbox.run(&["fetch", "out", "slow/train"]).success();
    assert_eq!(listing(&sandbox.path("out")), ["m"]);
    assert_no_container(sandbox.newest_job()["name"].as_str().unwrap());
}

#[test]
fn a_hundred_thousand_lines_all_come_once() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.project("tests/projects/noisy");
    let followed = sandbox.run(&["fit", "noisy/train.py", &base]).success().stdout;
    let saved = sandbox.run(&["logs", "noisy/train", "--quiet"]).success().stdout;
    for text in [followed, saved] {
        let numbers = text.lines().filter_map(|line| line.strip_prefix("line ")?.parse::<u32>().ok());
        assert!(numbers.eq(0..100_000), "each line once, in order");
        assert!(text.contains("is the last"), "the end of the progress bar");
        assert!(text.contains("no line feed at the end"));
    }
}

#[test]
fn everything_brought_home_belongs_to_the_user() {
    use std::os::unix::fs::MetadataExt;
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.write("own/train.py", "import os\nos.umask(0o077)\nos.makedirs('/opt/ml/model/a')\nopen('/opt/ml/model/a/b', 'w').write('x')\n");
    sandbox.run(&["fit", "own/train.py", &base, "--fetch", "out"]).success();
    let me = fs::metadata(sandbox.path("")).unwrap().uid();
    let mut folders = vec![sandbox.data(), sandbox.path("out")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(fs::symlink_metadata(&path).unwrap().uid(), me, "{}", path.display());
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    assert_eq!(fs::read_to_string(sandbox.path("out/a/b")).unwrap(), "x");
}

#[test]
fn a_run_can_be_read_by_a_program() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.write("json/train.py", "print('hello')\nopen('/opt/ml/model/m', 'w').write('x')\n");
    let run = sandbox.run(&["fit", "json/train.py", &base, "--json", "--fetch", "out"]).success();
    assert_eq!(run.stderr, "");
    let events = run.events();
    let kinds: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    for kind in ["stage", "submitted", "status", "log", "result"] {
        assert!(kinds.contains(&kind), "no {kind} in {kinds:?}");
    }
    assert_eq!(run.data()["files"], serde_json::json!(["m"]));
}

fn listing(folder: &std::path::Path) -> Vec<String> {
    let entries =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    names
}
