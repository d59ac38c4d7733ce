//! `demo`: from nothing to a trained, downloaded model in one command.

use std::fs;

use alekseylearn_tests::{Sandbox, base_image_or_skip};

fn sandbox() -> Option<Sandbox> {
    let sandbox = Sandbox::new();
    let image = alekseylearn_tests::base_image()?;
    let file = format!("[fit]\ntrain-driver = \"sagemaker\"\n[build.local]\nbase_image = \"{image}\"\n");
    sandbox.write_home(".config/alekseylearn/alekseylearn.toml", &file);
    Some(sandbox)
}

#[test]
fn a_model_is_trained_from_nothing() {
    base_image_or_skip!();
    let sandbox = sandbox().unwrap();
    let command =
        "alekseylearn fit alekseylearn-demo/train.py --train-driver local --fetch alekseylearn-demo/out";
    let run = sandbox.run(&["demo"]).success().says(&format!("Running {command}"));
    assert!(run.stdout.contains("accuracy: 0.98"), "{}", run.stdout);
    assert!(run.stdout.trim_end().ends_with(command), "{}", run.stdout);
    let model = sandbox.path("alekseylearn-demo/out/model.joblib");
    assert!(fs::metadata(&model).unwrap().len() > 100_000);
    assert_eq!(sandbox.newest_job()["driver"], "local", "not as the user's defaults say");

    // Once more, and by the command that it shows.
    let data = sandbox.run(&["demo", "--json"]).success().data();
    assert_eq!((&data["state"], &data["ran"]), (&"completed".into(), &serde_json::json!([command])));
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    sandbox.run(&words).success();
    assert!(model.is_file());
}

#[test]
fn nothing_of_the_user_is_replaced_or_sent() {
    base_image_or_skip!();
    let sandbox = sandbox().unwrap();
    sandbox.write("mine/thesis.txt", "mine");
    sandbox.run(&["demo", "--folder", "mine"]).failure(5).one_error().says("is not empty");
    assert_eq!(fs::read_dir(sandbox.path("mine")).unwrap().count(), 1);
    sandbox.write("changed/train.py", "print('mine')");
    sandbox.run(&["demo", "--folder", "changed"]).failure(5).one_error().says("was changed");
    assert_eq!(fs::read_to_string(sandbox.path("changed/train.py")).unwrap(), "print('mine')");
}

#[test]
fn without_an_engine_it_trains_in_a_virtual_environment() {
    let mut sandbox = Sandbox::new();
    sandbox.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let command =
        "alekseylearn fit alekseylearn-demo/train.py --train-driver venv --fetch alekseylearn-demo/out";
    let run = sandbox
        .run(&["demo"])
        .success()
        .says("There is no Docker engine")
        .says(&format!("Running {command}"));
    assert!(run.stdout.contains("accuracy: 0.98"), "{}", run.stdout);
    assert!(sandbox.path("alekseylearn-demo/out/model.joblib").is_file());
}
