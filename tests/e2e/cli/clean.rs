//! `clean`: what is kept is listed, and goes only when it is asked for. The engine is shared: only what these tests
//! made, by its tag, is ever removed.

use std::{fs, process::Command};

use alekseylearn_tests::{Run, Sandbox, base_image_or_skip};
use serde_json::Value;

fn kept(run: &Run, kind: &str) -> Vec<Value> {
    run.data()["kept"].as_array().unwrap().iter().filter(|kept| kept["kind"] == kind).cloned().collect()
}

fn is_in_engine(image: &str) -> bool {
    Command::new("docker").args(["image", "inspect", image]).output().unwrap().status.success()
}

#[test]
fn what_a_job_left_goes_when_it_is_asked_for() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    // The folder's name is this run's own, and so is the image.
    let nonce = format!("clean-{}", std::process::id());
    let tag = format!("{nonce}/train");
    sandbox.write(&format!("{tag}.py"), &format!("open('/opt/ml/model/m', 'w').write('{nonce}')\n"));
    sandbox.run(&["fit", &format!("{tag}.py"), &base]).success();
    let job = sandbox.newest_job();
    let (name, image) = (job["name"].as_str().unwrap(), job["image"].as_str().unwrap());

    let run = sandbox.run(&["clean", &tag, "--json"]).success();
    assert_eq!(kept(&run, "image")[0]["name"], image);
    assert_eq!(kept(&run, "job")[0]["name"], name);
    assert_eq!(kept(&run, "job")[0]["note"], "with results that were not fetched");
    assert!(kept(&run, "job")[0]["bytes"].as_u64().unwrap() > 0);
    for more in [&["--images", "--jobs", "--older-than", "1d"][..], &["--images", "--larger-than", "1000GB"]]
    {
        let none = sandbox.run(&[&["clean", &tag, "--yes", "--json"], more].concat()).success();
        assert_eq!(none.data()["kept"], serde_json::json!([]));
    }
    sandbox.run(&["clean", &tag, "--images", "--jobs", "--dry-run"]).success();
    sandbox.run(&["clean", &tag, "--images", "--jobs"]).failure(2).one_error().says("--yes");
    assert!(is_in_engine(image));
    assert_eq!(sandbox.newest_job()["name"], name);

    sandbox.run(&["clean", &tag, "--jobs", "--yes"]).success().says(&format!("removing {name} with results"));
    assert_eq!(sandbox.newest_job(), Value::Null);
    assert_eq!(fs::read_dir(sandbox.data().join("jobs")).unwrap().count(), 0);
    let run = sandbox.run(&["clean", &tag, "--images", "--yes", "--json"]).success();
    assert_eq!(kept(&run, "image")[0]["removed"], true);
    assert!(!is_in_engine(image));
}

#[test]
fn a_job_that_has_not_ended_stays_with_its_image() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    let nonce = format!("clean-running-{}", std::process::id());
    let tag = format!("{nonce}/train");
    let script =
        fs::read_to_string(sandbox.project("tests/projects/until-sigterm").join("train.py")).unwrap();
    sandbox.write(&format!("{tag}.py"), &format!("# {nonce}\n{script}"));
    sandbox.run(&["fit", &format!("{tag}.py"), &base, "--detach"]).success();
    let job = sandbox.newest_job();
    let (name, image) = (job["name"].as_str().unwrap(), job["image"].as_str().unwrap());
    // From here on it saves something when it is stopped.
    let mut logs = sandbox.start(&["logs", "-f", name]);
    logs.wait_for("training");
    let run = sandbox.run(&["clean", &tag, "--images", "--jobs", "--yes", "--json"]).success();
    assert!(run.data()["kept"].as_array().unwrap().iter().all(|kept| kept["removed"] == false));
    assert!(is_in_engine(image));
    sandbox.run(&["stop", name]).success();
    logs.end().success();
    sandbox.run(&["fetch", "out", name]).success();
    let run = sandbox.run(&["clean", &tag, "--images", "--jobs", "--yes", "--json"]).success();
    assert_eq!(kept(&run, "job")[0]["note"], Value::Null, "its results were fetched");
    assert!(!is_in_engine(image));
}

/// As long as there is such a container, the engine keeps its image.
#[test]
fn what_a_killed_program_looked_into_an_image_by_goes() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let mut sandbox = Sandbox::new();
    // Not in the project, which is the whole folder: the script names a part of it.
    let cache = sandbox.path("../cache");
    sandbox.set("XDG_CACHE_HOME", cache.to_str().unwrap());
    let nonce = format!("looked-into-{}", std::process::id());
    let tag = format!("{nonce}/train");
    sandbox.write(&format!("{tag}.py"), &format!("print('{nonce}')\n"));
    sandbox.write(&format!("{nonce}/requirements.txt"), "six\n");
    let fit = ["fit", &format!("{tag}.py"), &base, "-v"];
    sandbox.run(&fit).success();
    let image = sandbox.newest_job()["image"].as_str().unwrap().to_owned();
    let docker = |arguments: &[&str]| {
        let output = Command::new("docker").args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let id = docker(&["image", "inspect", "--format", "{{.Id}}", &image]);
    let name = format!("alekseylearn-look-{}", &id["sha256:".len()..][..16]);
    let left = || docker(&["ps", "--all", "--quiet", "--filter", &format!("name={name}")]);
    assert_eq!(left(), "");

    docker(&["create", "--name", &name, &image]);
    assert_ne!(left(), "");
    fs::remove_dir_all(cache.join("alekseylearn/installed")).unwrap();
    sandbox.run(&fit).success();
    assert!(cache.join("alekseylearn/installed").is_dir(), "it was looked into once more");
    assert_eq!(left(), "");

    docker(&["create", "--name", &name, &image]);
    let run = sandbox.run(&["clean", &tag, "--images", "--yes", "--json"]).success();
    assert_eq!(kept(&run, "image")[0]["removed"], true);
    assert_eq!(left(), "");
    assert!(!is_in_engine(&image));
}

#[test]
fn caches_go_and_come_back() {
    let mut sandbox = Sandbox::new();
    sandbox.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let cache = sandbox.path("cache");
    sandbox.set("XDG_CACHE_HOME", cache.to_str().unwrap());
    sandbox.run(&["driver", "list"]).success();
    let run = sandbox.run(&["clean", "--json"]).success();
    let caches = kept(&run, "cache");
    assert!(!caches.is_empty());
    assert!(run.events().iter().any(|event| event["event"] == "warning"), "the engine cannot be asked");
    sandbox.run(&["clean", "--images", "--yes"]).failure(7).one_error();
    sandbox.run(&["clean", "--caches", "--yes"]).success();
    assert_eq!(fs::read_dir(cache.join("alekseylearn/drivers")).unwrap().count(), 0);
    sandbox.run(&["driver", "list"]).success();
    sandbox.run(&["clean", "--older-than", "soon"]).failure(2).says("is not an age");
}
