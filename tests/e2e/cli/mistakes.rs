//! Bad input: each one clear error with a hint and a documented exit code, and nothing left behind.

use std::process::Command;

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
}

#[test]
fn a_notebook_that_cannot_be_run() {
    let sandbox = Sandbox::new();
    for (text, message) in [
        ("", "is empty"),
        ("print(1)", "is not a notebook: it is not JSON"),
        (r#"{"nbformat": 4, "cells": [{"cell_type": "co"#, "the file is incomplete"),
        (r#"{"cells": [], "nbformat": 5}"#, "has the notebook format 5"),
        (r#"{"nbformat": 4, "cells": [{"cell_type": "code"}]}"#, "cell 1 has no `source`"),
        (
            r#"{"nbformat": 4, "cells": [], "metadata": {"kernelspec": {"name": "python2"}}}"#,
            "is a Python 2 notebook",
        ),
        (
            r#"{"nbformat": 4, "cells": [], "metadata": {"kernelspec": {"language": "julia"}}}"#,
            "is a notebook in julia",
        ),
    ] {
        sandbox.write("a.ipynb", text);
        fit(&sandbox, &["a.ipynb"]).failure(2).says(message);
    }
    std::fs::File::options().write(true).open(sandbox.path("a.ipynb")).unwrap().set_len(200 << 20).unwrap();
    fit(&sandbox, &["a.ipynb"]).failure(2).says("has 200 MiB, most of it outputs").says("--clear-output");
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
    fit(&sandbox, &["train.py"])
        .failure(7)
        .says("cannot connect to the Docker engine at unix:///nowhere/docker.sock");
}

#[test]
fn dependency_files_that_cannot_be_used() {
    let sandbox = Sandbox::new();
    sandbox.write("models/train.py", "");
    fit(&sandbox, &["models/train.py", "--env-file", "models/none.txt"]).failure(4);
    for (name, text, message) in [
        (
            "requirements.txt",
            "-r missing.txt\n",
            "requirements.txt refers to missing.txt, which does not exist",
        ),
        (
            "requirements.txt",
            "./wheels/a-1.0-py3-none-any.whl\n",
            "refers to wheels/a-1.0-py3-none-any.whl, which does not exist",
        ),
        ("requirements.txt", "-e ../../elsewhere\n", "which the build cannot read"),
        ("pyproject.toml", "[project\n", "is not valid TOML"),
        ("uv.lock", "version = 1\n", "uv.lock has no pyproject.toml beside it"),
        ("environment.yml", "name: x\n", "lists no dependencies"),
        ("environment.yml", "a: [\n", "is not valid YAML"),
        (".python-version", "3.99\n", "Python 3.99 (.python-version), which is not supported"),
    ] {
        sandbox.write(&format!("models/{name}"), text);
        fit(&sandbox, &["models/train.py"]).failure(2).says(message);
        std::fs::remove_file(sandbox.path(&format!("models/{name}"))).unwrap();
    }
    // What only conda has is named, and the rest is installed.
    sandbox.write("models/environment.yml", "dependencies: [numpy, cudatoolkit=11.8, r-base]\n");
    sandbox.run(&["fit", "models/train.py", "--dry-run"]).success().says(": cudatoolkit, r-base (");
}

#[test]
fn a_base_image_that_does_not_fit() {
    let base = base_image_or_skip!();
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    sandbox.write("pyproject.toml", "[project]\nname = 'x'\nversion = '1'\nrequires-python = '>=3.12'\n");
    fit(&sandbox, &["train.py", &format!("--config.base_image={base}")])
        .failure(2)
        .says("the base image has Python 3.11, but the project requires Python >=3.12 (pyproject.toml)");
    std::fs::remove_file(sandbox.path("pyproject.toml")).unwrap();

    // Images of nothing: one has no Python and no shell, the other is for another processor.
    let empty = format!("alekseylearn-test-empty:{}", std::process::id());
    for (architecture, message) in
        [("amd64", "the base image has no Python 3"), ("s390x", "the base image is for another architecture")]
    {
        let tar = sandbox.path("image.tar");
        let made =
            Command::new("python3").args(["-c", EMPTY_IMAGE]).arg(&tar).args([architecture, &empty]).status();
        assert!(made.unwrap().success());
        assert!(
            Command::new("docker").args(["load", "--quiet", "--input"]).arg(&tar).status().unwrap().success()
        );
        std::fs::remove_file(&tar).unwrap();
        let run = sandbox.run(&["fit", "train.py", &format!("--config.base_image={empty}")]);
        assert!(Command::new("docker").args(["rmi", "--force", &empty]).output().unwrap().status.success());
        run.failure(2).one_error().says(message);
    }
}

/// As `docker save` would write it; one layer with one empty file.
const EMPTY_IMAGE: &str = r#"
import hashlib, io, json, sys, tarfile
path, architecture, name = sys.argv[1:]
def add(tar, name, content):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))
layer = io.BytesIO()
with tarfile.open(fileobj=layer, mode="w") as tar:
    add(tar, architecture, b"")
digest = "sha256:" + hashlib.sha256(layer.getvalue()).hexdigest()
config = {"architecture": architecture, "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [digest]}}
manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
with tarfile.open(path, "w") as tar:
    add(tar, "layer.tar", layer.getvalue())
    add(tar, "config.json", json.dumps(config).encode())
    add(tar, "manifest.json", json.dumps(manifest).encode())
"#;

#[test]
fn a_requirement_that_does_not_exist() {
    let base = base_image_or_skip!();
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    sandbox.write("requirements.txt", "scikit-learn==0.0.0.1\n");
    fit(&sandbox, &["train.py", &format!("--config.base_image={base}")])
        .failure(2)
        .says("cannot install the dependencies")
        .says("scikit-learn==0.0.0.1");
}

#[test]
fn requirements_that_conflict() {
    let base = base_image_or_skip!();
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    sandbox.write("requirements.txt", "six==1.16.0\nsix==1.17.0\n");
    let run = fit(&sandbox, &["train.py", &format!("--config.base_image={base}")]).failure(2);
    let run = run.says("cannot install the dependencies").says("you require six==1.16.0 and six==1.17.0");
    assert!(run.stderr.lines().count() < 15, "the resolver's words are no wall: {}", run.stderr);
}

#[test]
fn a_base_image_that_does_not_exist() {
    base_image_or_skip!();
    let mut sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    // Far more than the engine reads before it finds out.
    sandbox.write("data.bin", &"x".repeat(64 << 20));
    for builder in ["1", "0"] {
        sandbox.set("DOCKER_BUILDKIT", builder);
        let run = fit(&sandbox, &["train.py", "--config.base_image=127.0.0.1:9/nothing:1"]).failure(4);
        let run = run.one_error().says("and the registry is unreachable\n");
        assert!(!run.stderr.contains("dial tcp"), "{}", run.stderr);
        let verbose = fit(&sandbox, &["train.py", "--config.base_image=127.0.0.1:9/nothing:1", "-v"]);
        verbose.failure(4).one_error().says("dial tcp 127.0.0.1:9");
    }
}

#[test]
fn jobs_that_are_not_known() {
    let sandbox = Sandbox::new();
    for command in [&["status", "x"][..], &["logs", "x"], &["stop", "x"], &["fetch", "out", "x"]] {
        sandbox.run(command).failure(4).one_error().says("no job or tag `x` on this machine");
    }
    assert!(!sandbox.path("out").exists());
}

#[test]
fn a_record_that_is_damaged() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.data()).unwrap();
    std::fs::write(sandbox.data().join("jobs.sqlite"), "not a database. ".repeat(200)).unwrap();
    sandbox.run(&["jobs"]).failure(1).one_error().says("is damaged");
}
