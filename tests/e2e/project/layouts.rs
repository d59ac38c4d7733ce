//! Projects as people lay them out, run as their README says: the script finds its modules, its data and its arguments as at
//! home, on every service.

use alekseylearn_tests::{Run, Sandbox, base_image_or_skip};
use serde_json::json;

use crate::jobs::lives::{Driver, drivers};

/// One layout: its files, where the user stands, what is typed after `fit`, and what the script prints.
struct Layout {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    stands: &'static str,
    typed: &'static [&'static str],
    prints: &'static [&'static str],
}

const LAYOUTS: &[Layout] = &[
    Layout {
        name: "src",
        files: &[
            ("requirements.txt", ""),
            ("data/train.csv", "1,2"),
            (
                "src/train.py",
                "import sys, helper\nprint(sys.argv[1:], open('data/train.csv').read(), helper.NAME)\n",
            ),
            ("src/helper.py", "NAME = 'beside'\n"),
        ],
        stands: "",
        typed: &["src/train.py", "--", "--epochs", "1", "--no-accel", "data.csv", "model=big", "", "ü 'x'\n"],
        prints: &["['--epochs', '1', '--no-accel', 'data.csv', 'model=big', '', \"ü 'x'\\n\"] 1,2 beside"],
    },
    Layout {
        name: "cookiecutter",
        files: &[
            ("setup.py", "from setuptools import setup\nsetup(name='src')\n"),
            ("data/processed/x.csv", "3"),
            ("src/__init__.py", ""),
            ("src/features/__init__.py", ""),
            ("src/features/build.py", "def total(path): return int(open(path + '/x.csv').read())\n"),
            (
                "src/models/train_model.py",
                "import sys\nfrom src.features.build import total\nprint(total(sys.argv[1]), sys.argv[2])\n",
            ),
        ],
        stands: "",
        typed: &["src/models/train_model.py", "--", "data/processed", "models"],
        prints: &["3 models"],
    },
    Layout {
        name: "scripts",
        files: &[
            ("setup.cfg", "[metadata]\nname = mytrainer\nversion = 1\n"),
            (
                "src/mytrainer/__init__.py",
                "from importlib.metadata import version\n__version__ = version('mytrainer')\nANSWER = 42\n",
            ),
            (
                "scripts/train.py",
                "import os, mytrainer\nprint(mytrainer.ANSWER, os.path.basename(os.getcwd()))\n",
            ),
        ],
        stands: "scripts",
        typed: &["train.py"],
        prints: &["42 scripts"],
    },
    Layout {
        name: "package",
        files: &[
            (".git/HEAD", "ref: refs/heads/main\n"),
            ("pkg/__init__.py", ""),
            ("pkg/model.py", "NAME = 'net'\n"),
            ("pkg/train.py", "from pkg.model import NAME\nprint(NAME)\n"),
            ("pkg/requirements.txt", "# nothing\n"),
        ],
        stands: "pkg",
        typed: &["train.py"],
        prints: &["net"],
    },
    Layout {
        name: "configuration",
        files: &[
            (".git/HEAD", "ref: refs/heads/main\n"),
            ("conf/config.yaml", "lr: 1\n"),
            (
                "app/train.py",
                "import os\nHERE = os.path.dirname(os.path.abspath(__file__))\n\
                 print(open(os.path.join(HERE, '../conf', 'config.yaml')).read())\n",
            ),
        ],
        stands: "",
        typed: &["app/train.py"],
        prints: &["lr: 1"],
    },
    Layout {
        name: "unmarked",
        files: &[
            ("data/x.csv", "7"),
            ("experiment/train.py", "import tools.io\nprint(tools.io.read('data/x.csv'))\n"),
            ("tools/io.py", "def read(path): return open(path).read()\n"),
        ],
        stands: "",
        typed: &["experiment/train.py"],
        prints: &["7"],
    },
    Layout {
        name: "module",
        files: &[
            (".git/HEAD", "ref: refs/heads/main\n"),
            ("configs/base.yaml", "lr: 2\n"),
            ("app/__init__.py", ""),
            ("app/model.py", "NAME = 'net'\n"),
            (
                "app/train.py",
                "import sys\nfrom .model import NAME\n\nif __name__ == '__main__':\n    \
                 print(NAME, sys.argv[1:], open('configs/base.yaml').read().strip())\n",
            ),
        ],
        stands: "",
        typed: &["--module=app.train", "--", "model=big", "+seed=1"],
        prints: &["net ['model=big', '+seed=1'] lr: 2"],
    },
    Layout {
        name: "shell",
        files: &[
            (".git/HEAD", "ref: refs/heads/main\n"),
            ("train.sh", "#!/bin/sh\nset -e\npython src/prepare.py\npython src/train.py \"$@\"\n"),
            ("src/prepare.py", "open('prepared.txt', 'w').write('ready')\n"),
            ("src/train.py", "import sys\nprint(open('prepared.txt').read(), sys.argv[1:])\n"),
        ],
        stands: "",
        typed: &["train.sh", "--", "--epochs", "3"],
        prints: &["ready ['--epochs', '3']"],
    },
];

impl Layout {
    /// Runs it in a folder of its own.
    fn run(&self, driver: &Driver) -> Run {
        let folder = format!("{}-{}", driver.name, self.name);
        for (path, text) in self.files {
            driver.sandbox.write(&format!("{folder}/{path}"), text);
        }
        let (artifact, script) = self.typed.split_first().expect("it has an artifact");
        let mut arguments = vec!["fit", *artifact, "--train-driver", driver.name];
        arguments.extend(driver.options.iter().map(String::as_str));
        arguments.extend(script);
        driver.sandbox.run_in(&format!("{folder}/{}", self.stands), &arguments)
    }
}

#[test]
fn every_layout_runs_as_at_home_on_every_service() {
    drivers(|driver| {
        for layout in LAYOUTS {
            let run = layout.run(driver).success();
            let lines: Vec<&str> = run.stdout.lines().collect();
            for expected in layout.prints {
                assert!(
                    lines.contains(expected),
                    "{} {}: {lines:?}\n{}",
                    driver.name,
                    layout.name,
                    run.stderr
                );
            }
        }
    });
}

#[test]
fn a_notebook_runs_in_its_own_folder_of_the_project() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.write("x/.git/HEAD", "ref: refs/heads/main\n");
    sandbox.write("x/data/a.csv", "17\n");
    sandbox.write("x/src/own/__init__.py", "NAME = 'own'\n");
    let cell = "import own\nprint(own.NAME, open('../data/a.csv').read())";
    let cells = json!([{ "cell_type": "code", "metadata": {}, "source": cell, "outputs": [], "execution_count": null }]);
    let book = json!({ "nbformat": 4, "nbformat_minor": 2, "metadata": {}, "cells": cells });
    sandbox.write("x/notebooks/train.ipynb", &book.to_string());
    for (folder, path) in [("x", "notebooks/train.ipynb"), ("x/notebooks", "train.ipynb")] {
        let run = sandbox.run_in(folder, &["fit", path, &base]).success();
        assert!(run.stdout.contains("own 17"), "{folder}: {}", run.stdout);
    }
    let arguments =
        sandbox.run_in("x", &["fit", "notebooks/train.ipynb", "--dry-run", "--", "--epochs", "1"]);
    arguments.failure(2).one_error().says("a notebook takes no arguments");
    let flag = ["fit", "notebooks/train.ipynb", "--dry-run", "--json", "--config.hyperparameters.fast"];
    let request = sandbox.run_in("x", &flag).success().data()["request"].clone();
    assert_eq!(request["hyperparameters.json"], json!({ "fast": "true" }));
}

/// As a member of a uv workspace is run at home, from the workspace or from its own folder: by the workspace's lock.
#[test]
fn a_member_of_a_uv_workspace_has_the_workspaces_lock() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "x/pyproject.toml",
        "[project]\nname = 'root'\nversion = '0.1.0'\n[tool.uv.workspace]\nmembers = ['packages/*']\n",
    );
    let member = |name: &str, kind: &str| {
        format!(
            "[[package]]\nname = '{name}'\nversion = '0.1.0'\nsource = {{ {kind} = 'packages/{name}' }}\n"
        )
    };
    let lock = format!(
        "version = 1\nrequires-python = '>=3.9'\n[manifest]\nmembers = ['common', 'root', 'trainer']\n{}{}",
        member("common", "editable"),
        member("trainer", "virtual")
    );
    sandbox.write("x/uv.lock", &lock);
    sandbox.write("x/packages/common/pyproject.toml", "[project]\nname = 'common'\nversion = '0.1.0'\n");
    sandbox.write("x/packages/common/src/common/__init__.py", "C = 9\n");
    sandbox.write(
        "x/packages/trainer/pyproject.toml",
        "[project]\nname = 'trainer'\nversion = '0.1.0'\ndependencies = ['common']\n",
    );
    sandbox.write("x/packages/trainer/train.py", "import common\n");
    for (folder, path) in [("x", "packages/trainer/train.py"), ("x/packages/trainer", "train.py")] {
        let plan = sandbox.run_in(folder, &["fit", path, "--dry-run", "--json", "-v"]).success();
        let dockerfile = plan.data()["image"]["dockerfile"].as_str().unwrap().to_owned();
        assert!(
            dockerfile.contains("uv export") && dockerfile.contains("--package 'trainer'"),
            "{dockerfile}"
        );
        assert!(plan.data()["root"].as_str().unwrap().ends_with("/x/packages/trainer"), "{}", plan.stdout);
    }
}

#[test]
fn the_root_can_be_named_and_is_told() {
    let sandbox = Sandbox::new();
    sandbox.write("x/requirements.txt", "");
    sandbox.write("x/y/pyproject.toml", "[project]\nname = 'y'\nversion = '1'\n");
    sandbox.write("x/y/z/train.py", "print(1)\n");
    let plan = |more: &[&str]| {
        let run =
            sandbox.run(&[&["fit", "x/y/z/train.py", "--dry-run", "--json"][..], more].concat()).success();
        let data = run.data();
        let root = data["root"].as_str().unwrap().rsplit_once("/work/").unwrap().1.to_owned();
        (root, data["start"]["folder"].as_str().unwrap().to_owned())
    };
    assert_eq!(plan(&[]), ("x/y".into(), String::new()));
    assert_eq!(plan(&["--root", "x"]), ("x".into(), String::new()));
    assert_eq!(plan(&["--root", "x/y/z"]), ("x/y/z".into(), String::new()));
    sandbox.run(&["fit", "x/y/z/train.py", "--dry-run"]).success().says("x/y: 2 files, ");
    sandbox.write("alekseylearn.toml", "[fit]\nroot = 'x'\n");
    assert_eq!(plan(&[]), ("x".into(), String::new()));
    assert_eq!(plan(&["--root", "x/y"]), ("x/y".into(), String::new()));
    sandbox.run(&["fit", "x/y/z/train.py", "--root", "nowhere"]).failure(4).one_error().says("nowhere");
    sandbox.write("other/train.py", "");
    sandbox.run(&["fit", "other/train.py", "--root", "x"]).failure(2).one_error().says("is not in the root");
}

#[test]
fn a_home_folder_is_not_sent() {
    let sandbox = Sandbox::new();
    sandbox.write_home("train.py", "print(1)\n");
    sandbox.write_home("notes.txt", "private\n");
    for artifact in [
        &["../home/train.py"][..],
        &["../home/train.py", "--root", "../home"],
        &["../home/train.py", "--root", "/"],
    ] {
        let arguments = [&["fit", "--dry-run"][..], artifact].concat();
        sandbox.run(&arguments).failure(2).one_error().says("cannot send");
    }
}

#[test]
fn arguments_are_typed_recorded_compared_and_reproduced() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "import sys\nprint('called with', sys.argv[1:])\n");
    let fit = |arguments: &[&str]| {
        sandbox.run(&[&["fit", "train.py", base.as_str()][..], arguments].concat()).success();
        sandbox.newest_job()["name"].as_str().unwrap().to_owned()
    };
    let one = fit(&[
        "--config.hyperparameters.lr=1",
        "--config.hyperparameters.fp16",
        "--",
        "--epochs",
        "1",
        "a b",
    ]);
    let two = fit(&["--config.hyperparameters.lr=1", "--", "--epochs", "2"]);
    let expected = ["--fp16", "--epochs", "1", "a b"];
    assert_eq!(sandbox.run(&["status", &one, "--json"]).success().data()["arguments"], json!(expected));
    let status = sandbox.run(&["status", &one]).success().stdout;
    assert!(status.contains("arguments: --fp16 --epochs 1 'a b'"), "{status}");
    let differences = sandbox.run(&["jobs", "diff", &one, &two, "--json"]).success().data();
    let arguments = json!({ "what": "arguments", "a": "--fp16 --epochs 1 'a b'", "b": "--epochs 2" });
    assert!(differences["differences"].as_array().unwrap().contains(&arguments), "{differences}");
    let again = sandbox.run(&["reproduce", &one]).success().stdout;
    assert!(again.contains("called with ['--lr', '1', '--fp16', '--epochs', '1', 'a b']"), "{again}");
    let other = sandbox.run(&["reproduce", &one, "--", "-q"]).success().stdout;
    assert!(other.contains("called with ['--lr', '1', '-q']"), "{other}");
    let page = sandbox.path("page.html");
    sandbox.run(&["report", &one, "--output", page.to_str().unwrap()]).success();
    assert!(std::fs::read_to_string(page).unwrap().contains("--fp16 --epochs 1 &#39;a b&#39;"));
    let plan = sandbox.run(&["fit", "train.py", "--dry-run", "--", "-x", "a b"]).success().stdout;
    assert!(plan.contains("The script is called with -x 'a b'"), "{plan}");
}

/// A run that was cut off is not gone on with by one with other arguments.
#[test]
fn other_arguments_make_another_job() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "import time\nprint('begun', flush=True)\ntime.sleep(30)\n");
    let mut first = sandbox.start(&["fit", "train.py", &base, "--", "1"]);
    first.wait_for("begun");
    first.signal("KILL");
    first.end();
    sandbox.run(&["fit", "train.py", &base, "--detach", "--", "2"]).success();
    let jobs = sandbox.run(&["jobs", "--json"]).success().data()["jobs"].clone();
    let arguments: Vec<_> = jobs.as_array().unwrap().iter().map(|job| job["arguments"].clone()).collect();
    assert_eq!(arguments, [json!(["2"]), json!(["1"])]);
    for job in jobs.as_array().unwrap() {
        sandbox.run(&["stop", job["name"].as_str().unwrap()]).success();
    }
}

#[test]
fn arguments_without_the_two_dashes_are_told_with_the_right_command() {
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    let run =
        sandbox.run(&["fit", "train.py", "--epochs", "1", "--train-driver", "local"]).failure(2).one_error();
    run.says("unexpected argument `--epochs` for `fit`: arguments of the script go after `--`")
        .says("hint: `alekseylearn fit train.py --train-driver local -- --epochs 1`");
    let run = sandbox.run(&["fit", "train.py", "data.csv", "--json"]).failure(2);
    let error = run.events().pop().unwrap();
    assert_eq!(error["hint"], "`alekseylearn fit train.py --json -- data.csv`");
}

#[test]
fn a_script_that_refuses_its_hyperparameters_is_told_how_else() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.write(
        "train.py",
        "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--C', type=float)\n\
         parser.add_argument('--fp16', action='store_true')\nparser.add_argument('--mpi')\n\
         print('GOT', vars(parser.parse_args()))\n",
    );
    let fit = |more: &[&str]| sandbox.run(&[&["fit", "train.py", base.as_str()][..], more].concat());
    let refused = |option: &str| fit(&[option]).failure(10).one_error();
    refused("--config.hyperparameters.C=0.5").says("-- --C 0.5`");
    refused("--config.hyperparameters.fp16=true").says("`--config.hyperparameters.fp16`");
    refused("--config.hyperparameters.mpi=-x").says("-- --mpi=-x`");
    let well = fit(&["--config.hyperparameters.fp16", "--", "--C", "0.5", "--mpi=-x"]).success().stdout;
    assert!(well.contains("GOT {'C': 0.5, 'fp16': True, 'mpi': '-x'}"), "{well}");
}

#[test]
fn a_name_that_begins_with_a_dash_is_a_file_all_the_same() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.write("p/-train.py", "print('ran')\n");
    let run = sandbox.run(&["fit", "p/-train.py", &base]).success();
    assert!(run.stdout.lines().any(|line| line == "ran"), "{}", run.stdout);
    let run = sandbox.run_in("p", &["fit", "./-train.py", &base]).success();
    assert!(run.stdout.lines().any(|line| line == "ran"), "{}", run.stdout);
}

/// The dependencies are one layer, wherever the code that needs them lies.
#[test]
fn another_root_does_not_install_anew() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    // The engine keeps images from one test to the next: these are its first of the kind.
    let new = sandbox.path("").display().to_string();
    for (list, script) in
        [("one/requirements.txt", "one/train.py"), ("two/requirements.txt", "two/src/train.py")]
    {
        sandbox.write(list, &format!("# {new}\nsix==1.16.0\n"));
        sandbox
            .write(script, &format!("import six\nprint('installed', six.__version__)  # {new} {script}\n"));
    }
    let installs = |run: &Run| run.stderr.contains("uv pip install");
    let first = sandbox.run(&["fit", "one/train.py", &base, "-v"]).success();
    assert!(installs(&first), "{}", first.stderr);
    let moved = sandbox.run_in("two", &["fit", "src/train.py", &base, "-v"]).success();
    assert!(moved.stdout.contains("installed 1.16.0"), "{}", moved.stdout);
    assert!(moved.stderr.contains("COPY code/") && !installs(&moved), "{}", moved.stderr);
}

#[test]
fn a_linked_artifact_is_of_the_folder_where_it_lies() {
    let sandbox = Sandbox::new();
    sandbox.write("elsewhere/secret.txt", "");
    sandbox.write("elsewhere/train.py", "");
    sandbox.write("project/real.py", "");
    std::os::unix::fs::symlink("../elsewhere/train.py", sandbox.path("project/train.py")).unwrap();
    std::os::unix::fs::symlink("real.py", sandbox.path("project/link.py")).unwrap();
    sandbox.run(&["fit", "project/train.py", "--dry-run"]).failure(2).one_error().says("leads out of");
    let plan = sandbox.run(&["fit", "project/link.py", "--dry-run", "--json"]).success().data();
    assert_eq!(plan["tag"], "project/link");
    assert!(plan["root"].as_str().unwrap().ends_with("/work/project"), "{plan}");
}

#[test]
fn other_ways_to_start_are_described_to_the_runner() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "pyproject.toml",
        "[project]\nname = 'x'\nversion = '1'\n[project.scripts]\nfit-it = 'pkg.cli:main'\n",
    );
    sandbox.write("src/pkg/cli.py", "def main(): pass\n");
    sandbox.write("run.sh", "#!/bin/sh\npython -m pkg.cli\n");
    sandbox.write("bin/train", "#!/usr/bin/env python3\nprint('AWS')\n");
    sandbox.write("sub/x.txt", "");
    let plan = |folder: &str, named: &[&str]| {
        let run = sandbox.run_in(folder, &[&["fit", "--dry-run", "--json"][..], named].concat()).success();
        (run.data()["tag"].as_str().unwrap().to_owned(), run.data()["start"].clone())
    };
    let cli = |more: serde_json::Value| {
        let mut whole = json!({ "artifact": "src/pkg/cli.py", "folder": "", "module": "pkg.cli" });
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ("pkg/cli".to_owned(), whole)
    };
    assert_eq!(plan("", &["-m", "pkg.cli"]), cli(json!({ "kind": "module" })));
    assert_eq!(plan("sub", &["--module", "pkg.cli"]), cli(json!({ "kind": "module", "folder": "sub" })));
    let function = json!({ "kind": "function", "function": "main", "name": "pkg.cli" });
    assert_eq!(plan("", &["pkg.cli:main"]), cli(function));
    let command = json!({ "kind": "function", "function": "main", "name": "fit-it" });
    assert_eq!(plan("", &["fit-it"]), cli(command));
    let (tag, start) = plan("", &["run.sh"]);
    assert_eq!((tag.as_str(), start["kind"].as_str()), ("work/run", Some("shell")));
    let (tag, start) = plan("", &["bin/train"]);
    assert_eq!((tag.as_str(), start["kind"].as_str()), ("bin/train", Some("script")));
    sandbox
        .run(&["fit", "-m", "nothing.here"])
        .failure(4)
        .one_error()
        .says("there is no module nothing.here");
    sandbox.run(&["fit", "nothing"]).failure(4).one_error().says("there is no file nothing");
    sandbox.run(&["fit", "sub/x.txt"]).failure(2).one_error().says("is neither a script nor a notebook");
}

#[test]
fn a_tag_means_a_job_of_this_project() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    for project in ["one", "two", "three"] {
        sandbox.write(&format!("{project}/requirements.txt"), "");
        sandbox.write(&format!("{project}/src/train.py"), &format!("print('{project}')\n"));
    }
    let fit = |project: &str| {
        sandbox.run_in(project, &["fit", "src/train.py", &base]).success();
        sandbox.newest_job()["name"].as_str().unwrap().to_owned()
    };
    let one = fit("one");
    assert_eq!(sandbox.run(&["status", "src/train", "--json"]).success().data()["job"], json!(one));
    let other = sandbox.run_in("two", &["fetch", "out", "src/train"]).failure(4).one_error();
    other.says("two/src/train.py has the tag `src/train`").says(&one);
    let two = fit("two");
    for (project, job) in [("one", &one), ("one/src", &one), ("two", &two)] {
        let status = sandbox.run_in(project, &["status", "src/train", "--json"]).success().data();
        assert_eq!(status["job"], json!(job), "{project}");
    }
    for command in [
        &["status", "src/train"][..],
        &["logs", "src/train"],
        &["stop", "src/train"],
        &["fetch", "out", "src/train"],
    ] {
        let run = sandbox.run(command).failure(2).one_error();
        run.says("several projects have jobs with the tag `src/train`").says(&one);
    }
    sandbox.run(&["jobs", "diff", &one, &two]).success();
}
