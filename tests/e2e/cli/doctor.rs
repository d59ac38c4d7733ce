//! `doctor`: one line and one fix for each thing that training needs.

use std::fs;

use alekseylearn_tests::{Run, Sandbox, base_image_or_skip, rig_or_skip};
use serde_json::{Value, json};

fn check(run: &Run, name: &str) -> Value {
    let checks = run.data()["checks"].clone();
    let found = checks.as_array().unwrap().iter().find(|check| check["name"] == name).cloned();
    found.unwrap_or_else(|| panic!("no {name} in {checks}"))
}

#[test]
fn nothing_is_wrong_where_all_is_there() {
    base_image_or_skip!();
    let rig = rig_or_skip!();
    let sandbox = Sandbox::with_rig(&rig);
    let run = sandbox.run(&["doctor", "--json"]).success();
    assert!(check(&run, "docker")["what"].as_str().unwrap().contains("linux/amd64"));
    assert_eq!(check(&run, "builder")["what"], "BuildKit");
    let aws = check(&run, "aws");
    assert_eq!(aws["what"], "account 123456789012, credentials from the environment");
    assert!(
        check(&run, "region")["what"].as_str().unwrap().starts_with("us-east-1, through http://127.0.0.1:")
    );
    for name in ["gpu", "record", "cache", "config", "plugins"] {
        assert_eq!(check(&run, name)["state"], "ok");
    }
    let text = sandbox.run(&["doctor"]).success().stdout;
    assert!(!text.contains("rig-secret-that-opens-nothing") && !text.contains("AKIA"), "{text}");
    assert_eq!(text.lines().count(), run.data()["checks"].as_array().unwrap().len());
}

#[test]
fn each_problem_has_a_fix() {
    let mut sandbox = Sandbox::new();
    sandbox.set("DOCKER_HOST", "unix:///nowhere/docker.sock").set("AWS_EC2_METADATA_DISABLED", "true");
    let cache = sandbox.write("no-folder", "");
    sandbox.set("XDG_CACHE_HOME", cache.to_str().unwrap());
    sandbox.write("alekseylearn.toml", "[fitt]");
    fs::create_dir_all(sandbox.data()).unwrap();
    fs::write(sandbox.data().join("jobs.sqlite"), "not a database. ".repeat(200)).unwrap();
    let run = sandbox.run(&["doctor", "--json"]).failure(1);
    for name in ["docker", "cache", "config", "record"] {
        let check = check(&run, name);
        assert_eq!(check["state"], "problem", "{check}");
        assert!(check["fix"].is_string(), "{check}");
    }
    // No account at all is none.
    assert_eq!(
        check(&run, "aws"),
        json!({ "name": "aws", "state": "ok", "what": "no credentials; only SageMaker needs them", "fix": null })
    );
    sandbox.run(&["doctor"]).failure(1).one_error().says("found 4 problems");
    // Nor is it where the search for one ends at a service that only machines of AWS have.
    sandbox.unset("AWS_EC2_METADATA_DISABLED").set("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9");
    assert_eq!(check(&sandbox.run(&["doctor", "--json"]).failure(1), "aws")["state"], "ok");
    // A profile that the user names must be there.
    sandbox.set("AWS_PROFILE", "nowhere");
    let aws = check(&sandbox.run(&["doctor", "--json"]).failure(1), "aws");
    assert_eq!(aws["state"], "problem");
    assert!(aws["what"].as_str().unwrap().contains("nowhere"), "{aws}");
}

#[test]
fn expired_credentials_are_a_problem() {
    let rig = rig_or_skip!();
    rig.fault(&json!({ "match": { "service": "sts" }, "fault": "expired-token", "times": null }));
    let run = Sandbox::with_rig(&rig).run(&["doctor", "--json"]);
    let aws = check(&run.failure(1), "aws");
    assert_eq!(aws["state"], "problem");
    assert!(aws["fix"].as_str().unwrap().contains("aws sso login"), "{aws}");
}
