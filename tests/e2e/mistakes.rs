//! Bad input: each one clear error with a hint and a documented exit code, and nothing left behind.

use alekseylearn_tests::{Run, Sandbox, base_image_or_skip};

fn fit(sandbox: &Sandbox, arguments: &[&str]) -> Run {
    let all: Vec<&str> = ["fit"].iter().chain(arguments).copied().collect();
    let run = sandbox.run(&all).one_error();
    assert_eq!(sandbox.run(&["jobs", "--json"]).success().data()["jobs"].as_array().unwrap().len(), 0);
    run
}

#[test]
fn an_artifact_that_is_none() {
    let sandbox = Sandbox::new();
    fit(&sandbox, &["nothing.py"]).failure(4).says("there is no file nothing.py");
    sandbox.write("notes.txt", "notes");
    fit(&sandbox, &["notes.txt"]).failure(2).says("neither a script nor a notebook");
    fit(&sandbox, &["."]).failure(2).says("is a folder");
    sandbox.write("a.ipynb", "print(1)");
    fit(&sandbox, &["a.ipynb"]).failure(2).says("is not a notebook: it is not JSON");
    sandbox.write("b.ipynb", r#"{"worksheets": [], "nbformat": 3}"#);
    fit(&sandbox, &["b.ipynb"]).failure(2).says("not a notebook of format 4");
    sandbox.write("!!!.py", "");
    fit(&sandbox, &["!!!.py"]).failure(2).says("no letter or digit");
}

#[test]
fn options_are_checked_before_anything_runs() {
    let mut sandbox = Sandbox::new();
    // Whatever would touch Docker or AWS fails in another way.
    sandbox.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
    sandbox.write("train.py", "");
    let sagemaker = ["train.py", "--train-driver", "sagemaker"];
    let with = |more: &[&'static str]| [&sagemaker[..], more].concat();
    let path = "--config.output_path=s3://bucket/x";
    for (arguments, message) in [
        (with(&[path]), "--config.role_name is missing"),
        (
            with(&["--config.role_name=r", "--config.output_path=bucket/x"]),
            "is not of the form s3://bucket/prefix",
        ),
        (
            with(&[path, "--config.role_name=r", "--config.train_instance_count=two"]),
            "`two` is not a whole number",
        ),
        (with(&[path, "--config.role_name=r", "--config.train_instance_count=0"]), "0 is below 1"),
        (with(&[path, "--config.role_name=r", "--config.role_nam=x"]), "no option --config.role_nam"),
        (vec!["train.py", "--config.output_path=s3://bucket/x"], "no option --config.output_path in local"),
    ] {
        fit(&sandbox, &arguments).failure(2).says(message);
    }
    fit(&sandbox, &["train.py", "--config.base_imag=x"]).failure(2).says("did you mean --config.base_image?");
    fit(&sandbox, &["train.py", "--train-driver", "nothing"])
        .failure(4)
        .says("there is no train driver `nothing`");
    fit(&sandbox, &["train.py", "--build_driver", "sagemaker"])
        .failure(4)
        .says("no build driver `sagemaker`");
}

#[test]
fn the_command_line_itself() {
    let sandbox = Sandbox::new();
    for line in
        [&["fit"][..], &["fit", "a.py", "--nonsense"], &["nonsense"], &["fit", "a.py", "--config.key"]]
    {
        let run = sandbox.run(line).failure(2);
        assert!(run.stderr.starts_with("error: "), "{}", run.stderr);
    }
    sandbox.run(&["fetch", "out", "job", "bucket/path"]).failure(2).says("s3://bucket/prefix");
}

#[test]
fn no_docker() {
    let mut sandbox = Sandbox::new();
    sandbox.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
    sandbox.write("train.py", "");
    fit(&sandbox, &["train.py"]).failure(7).says("no Docker engine answers at unix:///nowhere/docker.sock");
}

#[test]
fn a_requirements_file_elsewhere() {
    let sandbox = Sandbox::new();
    sandbox.write("models/train.py", "");
    sandbox.write("requirements.txt", "");
    fit(&sandbox, &["models/train.py", "--env-file", "requirements.txt"])
        .failure(2)
        .says("outside of the training folder");
    fit(&sandbox, &["models/train.py", "--env-file", "models/none.txt"]).failure(4);
}

#[test]
fn a_requirement_that_does_not_exist() {
    let base = base_image_or_skip!();
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    sandbox.write("requirements.txt", "scikit-learn==0.0.0.1\n");
    fit(&sandbox, &["train.py", &format!("--config.base_image={base}")])
        .failure(2)
        .says("the dependencies cannot be installed")
        .says("scikit-learn==0.0.0.1");
}

#[test]
fn a_base_image_that_does_not_exist() {
    base_image_or_skip!();
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    // Far more than the engine reads before it finds out.
    sandbox.write("data.bin", &"x".repeat(64 << 20));
    fit(&sandbox, &["train.py", "--config.base_image=127.0.0.1:9/nothing:1"])
        .failure(4)
        .says("the base image cannot be had");
}

#[test]
fn jobs_that_are_not_known() {
    let sandbox = Sandbox::new();
    for command in [&["status", "x"][..], &["logs", "x"], &["stop", "x"], &["fetch", "out", "x"]] {
        sandbox.run(command).failure(4).one_error().says("this machine knows no job and no tag `x`");
    }
    assert!(!sandbox.path("out").exists());
}

#[test]
fn a_record_that_is_damaged() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.data()).unwrap();
    std::fs::write(sandbox.data().join("jobs.sqlite"), "not a database. ".repeat(200)).unwrap();
    sandbox.run(&["jobs"]).failure(1).one_error().says("it is damaged");
}
