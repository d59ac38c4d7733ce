//! Training on this machine without a container, where no Docker engine answers.

use std::{fs, path::Path};

use alekseylearn_tests::Sandbox;

const WITHOUT: [&str; 4] = ["--train-driver", "local", "--build-driver", "none"];

/// A user without a Docker engine.
fn sandbox() -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.set("DOCKER_HOST", "unix:///nowhere");
    sandbox
}

fn fit<'a>(more: &[&'a str]) -> Vec<&'a str> {
    ["fit"].into_iter().chain(WITHOUT).chain(more.iter().copied()).collect()
}

/// The files below a folder, and their contents.
fn contents(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn a_script_is_trained_without_docker_as_in_a_container() {
    let sandbox = sandbox();
    // All tests share one cache.
    let own = format!("six==1.17.0\n# {}\n", std::process::id());
    sandbox.write("models/requirements.txt", &own);
    sandbox.write("models/src/helper.py", "WORD = 'helped'\n");
    sandbox.write("models/data/train.csv", "1\n");
    sandbox.write("data/more.csv", "2\n");
    sandbox.write(
        "models/src/train.py",
        "import os, sys\nimport six, helper\nprint(helper.WORD, six.__version__, sys.argv[1:])\n\
         print(open('data/train.csv').read().strip(), os.listdir(os.environ['SM_CHANNEL_MORE']))\n\
         print('accuracy: 0.75')\n\
         open(os.path.join(os.environ['SM_MODEL_DIR'], 'model'), 'w').write('weights')\n\
         open('left.txt', 'w').write('not in the project')\n",
    );
    let before = contents(&sandbox.path("models"));
    let input = format!("--config.input.more={}", sandbox.path("data").display());
    let arguments = ["src/train.py", "--config.hyperparameters.epochs=3", &input, "--fetch", "../out"];
    let first = sandbox.run_in("models", &fit(&[&arguments[..], &["--", "--fast"]].concat())).success();
    for line in ["helped 1.17.0 ['--epochs', '3', '--fast']", "1 ['more.csv']", "without a container"] {
        let first = format!("{}{}", first.stdout, first.stderr);
        assert!(first.contains(line), "{line} is not in\n{first}");
    }
    assert_eq!(fs::read_to_string(sandbox.path("out/model")).unwrap(), "weights");
    assert_eq!(contents(&sandbox.path("models")), before, "the user's folder is only read");
    let job = sandbox.newest_job();
    assert_eq!((&job["driver"], &job["state"]), (&"venv".into(), &"completed".into()));

    // Equal dependencies are installed once.
    assert!(first.stdout.contains("installing requirements.txt"), "{}", first.stdout);
    let again = sandbox.run_in("models", &fit(&arguments)).success();
    assert!(!again.stdout.contains("installing"), "{}", again.stdout);
}

#[test]
fn a_script_that_fails_without_docker_says_why() {
    let sandbox = sandbox();
    sandbox.write("train.py", "open('model.txt', 'w').write('x')\nraise ValueError('no such luck')\n");
    let run = sandbox.run(&fit(&["train.py"])).failure(10).one_error();
    run.says("ValueError: no such luck");
    let job = sandbox.newest_job();
    assert_eq!(job["state"], "failed");
    let logs = sandbox.run(&["logs", job["name"].as_str().unwrap()]).success();
    assert!(logs.stdout.contains("ValueError: no such luck"), "{}", logs.stdout);
}

#[test]
fn a_training_without_docker_is_stopped_and_keeps_what_it_saved() {
    let sandbox = sandbox();
    sandbox.write(
        "train.py",
        "import time\nopen('model.txt', 'w').write('half')\nprint('saved', flush=True)\ntime.sleep(300)\n",
    );
    let mut run = sandbox.start(&fit(&["train.py"]));
    run.wait_for("saved");
    let name = sandbox.newest_job()["name"].as_str().unwrap().to_owned();
    sandbox.run(&["stop", &name]).success();
    run.end().failure(11);
    assert_eq!(sandbox.newest_job()["state"], "stopped");
    sandbox.run(&["fetch", "out", &name]).success();
    assert_eq!(fs::read_to_string(sandbox.path("out/model.txt")).unwrap(), "half");
}

#[test]
fn a_training_without_docker_goes_on_if_the_program_is_killed() {
    let sandbox = sandbox();
    sandbox.write(
        "train.py",
        "import time\nprint('begun', flush=True)\ntime.sleep(3)\nopen('model.txt', 'w').write('whole')\nprint('done')\n",
    );
    let arguments = fit(&["train.py", "--fetch", "out"]);
    let mut run = sandbox.start(&arguments);
    run.wait_for("begun");
    run.signal("KILL");
    run.end();
    sandbox.run(&arguments).success().says("resuming");
    assert_eq!(fs::read_to_string(sandbox.path("out/model.txt")).unwrap(), "whole");
    let jobs = sandbox.run(&["jobs", "--json"]).success().data();
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 1);
}

#[test]
fn what_needs_a_container_is_said_before_anything_runs() {
    let sandbox = sandbox();
    sandbox.write("train.py", "print('never')\n");
    let none = ["fit", "train.py", "--train-driver", "sagemaker", "--build-driver", "none"];
    sandbox.run(&none).failure(2).one_error().says("the train driver sagemaker needs an image");
    sandbox.write("train.py", "");
    sandbox.write("pyproject.toml", "[project]\nname = 'a'\nversion = '1'\nrequires-python = '==3.8.*'\n");
    let run = sandbox.run(&fit(&["train.py"])).failure(10).one_error();
    run.says("and this machine's Python is 3.");
}
