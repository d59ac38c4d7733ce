//! `alekseylearn.toml`: a project's and a user's defaults, and the command line that wins over both.

use std::{fs, path::Path};

use alekseylearn_tests::{Sandbox, base_image_or_skip};
use serde_json::Value;

/// What the local driver would be asked.
fn preview(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let fit = ["fit", "models/train.py", "--dry-run", "--json"];
    sandbox.run(&[&fit[..], arguments].concat()).success().data()
}

#[test]
fn the_command_line_wins_over_the_project_and_that_over_the_user() {
    let sandbox = Sandbox::new();
    sandbox.write("models/train.py", "");
    assert_eq!(preview(&sandbox, &[])["train_driver"], "local");
    sandbox.write_home(
        ".config/alekseylearn/alekseylearn.toml",
        "[fit]\ntrain-driver = 'nothing'\n[train.local.hyperparameters]\nepochs = 1\nrate = 0.1\nseed = 7\n",
    );
    sandbox.run(&["fit", "models/train.py", "--dry-run"]).failure(4).one_error().says("`nothing`");
    sandbox.write(
        "alekseylearn.toml",
        "[fit]\ntrain-driver = 'local'\n[train.local.hyperparameters]\nepochs = 2\nrate = 0.2\n",
    );
    let plan = preview(&sandbox, &["--config.hyperparameters.epochs=3"]);
    let given = &plan["request"]["hyperparameters.json"];
    assert_eq!(*given, serde_json::json!({ "epochs": "3", "rate": "0.2", "seed": "7" }));
    // A driver's section is for that driver alone.
    sandbox.write("alekseylearn.toml", "[fit]\ntrain-driver = 'local'\n[train.sagemaker]\nrole_name = 'r'\n");
    preview(&sandbox, &[]);
}

#[test]
fn what_is_wrong_in_a_file_is_said_with_its_place() {
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    for (text, code, says) in [
        ("[fit", 2, "alekseylearn.toml:1 is not valid"),
        ("[train.local]\nhyperparametrs.a = 1", 2, "[train.local] of"),
        ("[train.local]\nhyperparameters = 1", 2, "hyperparameters in [train.local] of"),
        ("[train.local]\n\nhyperparameters.a = [1]", 2, "alekseylearn.toml:3"),
    ] {
        sandbox.write("alekseylearn.toml", text);
        sandbox.run(&["fit", "train.py", "--dry-run", "--trust"]).failure(code).one_error().says(says);
    }
}

#[test]
fn files_name_the_dependencies_and_where_the_model_goes() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    let script = "import six\nopen('/opt/ml/model/m', 'w').write(six.__version__)\n";
    sandbox.write("project/models/train.py", script);
    sandbox.write("project/env/cpu.txt", "six==1.16.0\n");
    sandbox.write("project/alekseylearn.toml", "[fit]\nenv-file = 'env/cpu.txt'\nfetch = 'out'\n");
    let start = |arguments: &[&str]| {
        let script = format!("cd project/models && exec alekseylearn {}", arguments.join(" "));
        sandbox.run_other(Path::new("sh"), &["-c", &script])
    };
    start(&["fit", "train.py", &base]).success();
    assert_eq!(fs::read_to_string(sandbox.path("project/out/m")).unwrap(), "1.16.0");
    start(&["fit", "train.py", &base, "--fetch", "there"]).success();
    assert!(sandbox.path("project/models/there/m").is_file());
    for line in ["fetch = '../out'", "fetch = '/tmp'", "env-file = '../../elsewhere.txt'"] {
        sandbox.write("project/alekseylearn.toml", &format!("[fit]\n{line}\n"));
        start(&["fit", "train.py", &base]).failure(2).one_error().says("to a path outside of its folder");
    }
}

#[test]
fn a_second_fit_replaces_what_the_first_one_brought_unless_it_was_changed() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.write("alekseylearn.toml", "[fit]\nfetch = \"out\"\n");
    let train = |version: &str, deep: &str| {
        let script = format!(
            "import os\nos.makedirs('/opt/ml/model/{deep}')\nfor name in 'm', '{deep}/w':\n    \
             open('/opt/ml/model/' + name, 'w').write('{version}')\n"
        );
        sandbox.write("twice/train.py", &script);
        sandbox.run(&["fit", "twice/train.py", &base])
    };
    let read = |file: &str| fs::read_to_string(sandbox.path(file)).unwrap_or_default();
    train("first", "a").success();
    sandbox.write("out/mine", "the user's");
    train("second", "b").success();
    assert_eq!([read("out/m"), read("out/b/w"), read("out/mine")], ["second", "second", "the user's"]);
    assert!(!sandbox.path("out/a").exists(), "no folder holds two models");

    // What the user touched stays, and is told of before anything is trained.
    sandbox.write("out/m", "edited");
    let run = train("third", "c").failure(5).one_error().says("out/m was changed after");
    assert!(run.stderr.find("was changed after") < run.stderr.find("Building"), "{}", run.stderr);
    assert_eq!([read("out/m"), read("out/b/w")], ["edited", "second"]);
    // Nor is a folder taken away that holds anything of the user's.
    fs::remove_file(sandbox.path("out/m")).unwrap();
    sandbox.write("out/b/notes", "the user's");
    train("fourth", "b").failure(5).one_error().says("out/b already exists");
    assert_eq!([read("out/b/w"), read("out/b/notes")], ["second", "the user's"]);
    let job = sandbox.newest_job()["name"].as_str().unwrap().to_owned();
    // A fetch of one's own replaces nothing unasked.
    sandbox.run(&["fetch", "elsewhere", &job]).success();
    sandbox.run(&["fetch", "elsewhere", &job]).failure(5).one_error().says("already exists");
}
