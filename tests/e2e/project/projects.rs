//! Any training folder: what is in it, what it is called, and what it asks for.

use std::{fs, os::unix::fs::symlink, process::Command};

use alekseylearn_tests::{Sandbox, base_image_or_skip, wheel};
use serde_json::json;

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("docker starts");
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A notebook of these cells, as an editor saves one that never had a kernel.
fn notebook(cells: &[&str]) -> String {
    let cell = |source: &&str| json!({ "cell_type": "code", "metadata": {}, "source": source, "outputs": [], "execution_count": null });
    let cells: Vec<_> = cells.iter().map(cell).collect();
    json!({ "nbformat": 4, "nbformat_minor": 2, "metadata": {}, "cells": cells }).to_string()
}

#[test]
fn names_of_any_kind_and_links() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    let folder = "Mein Möbel 模型 \"x\" {y}";
    sandbox.write(
        &format!("{folder}/Train It Ümlaut.py"),
        "import helper\nprint(open('newest/ä b.txt').read())\n",
    );
    sandbox.write(&format!("{folder}/real.py"), "print('helped')\n");
    sandbox.write(&format!("{folder}/data/1/ä b.txt"), "read through a link");
    symlink("real.py", sandbox.path(&format!("{folder}/helper.py"))).unwrap();
    symlink("data/1", sandbox.path(&format!("{folder}/newest"))).unwrap();
    symlink("loop", sandbox.path(&format!("{folder}/loop"))).unwrap();
    symlink("/etc", sandbox.path(&format!("{folder}/outside"))).unwrap();
    let run = sandbox.run(&["fit", &format!("{folder}/Train It Ümlaut.py"), &base]).success();
    assert!(run.stdout.contains("helped") && run.stdout.contains("read through a link"), "{}", run.stdout);
    run.says("not sent: outside: links out of the project are not followed");
    assert_eq!(sandbox.newest_job()["tag"], "mein-m-bel-x-y/train-it-mlaut");

    let long = format!("{}/{}", "F".repeat(200), "t".repeat(200));
    sandbox.write(&format!("{long}.py"), "print('trained')\n");
    sandbox.run(&["fit", &format!("{long}.py"), &base]).success();
    let image = sandbox.newest_job()["image"].as_str().unwrap().to_owned();
    assert!(image.len() < 256 && docker(&["image", "inspect", "-f", "{{.Os}}", &image]) == "linux");
}

#[test]
fn what_stays_at_home_is_told_with_its_rule() {
    let mut sandbox = Sandbox::new();
    sandbox.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
    sandbox.write("train.py", "");
    sandbox.write(".env", "SECRET=1");
    sandbox.write("__pycache__/a.pyc", "");
    sandbox.write(".gitignore", "data/\n*.csv\n");
    for number in 0..5 {
        sandbox.write(&format!("{number}.csv"), "");
    }
    // Ignored data is neither read nor looked into: whoever opened this would wait for ever.
    fs::create_dir(sandbox.path("data")).unwrap();
    let made = Command::new("mkfifo").args([sandbox.path("data/pipe"), sandbox.path("9.csv")]).status();
    assert!(made.unwrap().success());
    sandbox.write("data/big.bin", "");
    fs::File::options().write(true).open(sandbox.path("data/big.bin")).unwrap().set_len(2 << 30).unwrap();
    let run = sandbox.run(&["fit", "train.py", "-v"]).failure(7).one_error();
    run.says(": 2 files, ")
        .says(".env: not sent because of the list of secrets (.env)")
        .says("__pycache__/: not sent because of the list of files that no image needs (__pycache__)")
        .says("data/: not sent because of .gitignore (data/)")
        .says(".csv and 3 more: not sent because of .gitignore (*.csv)");
}

#[test]
fn a_notebook_without_a_kernel_and_with_magics_and_widgets() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    wheel(&sandbox.path("book"), "firstly", "1.0");
    wheel(&sandbox.path("book"), "secondly", "2.0");
    sandbox.write("book/requirements.txt", "ipywidgets\ntqdm\n");
    let cells = [
        "%%time\nnumbers = !echo 1 2 3\nnumbers",
        "%pip install --quiet --no-index --find-links . firstly\nimport firstly\nfirstly.VERSION",
        "!pip install --quiet --no-index --find-links . secondly\nimport secondly\nsecondly.VERSION",
        "from tqdm.notebook import tqdm\nfor i in tqdm(range(3)):\n    pass",
        "import ipywidgets\nfrom IPython.display import display\ndisplay(ipywidgets.IntSlider(value=4))",
    ];
    sandbox.write("book/train.ipynb", &notebook(&cells));
    sandbox.run(&["fit", "book/train.ipynb", &base]).success();
    sandbox.run(&["fetch", "out", "book/train", "--output-data"]).success();
    let text = fs::read_to_string(sandbox.path("out/output-data/train.ipynb")).unwrap();
    for part in ["'1.0'", "'2.0'", "application/vnd.jupyter.widget-view+json", "widget-state+json"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
}

/// Of the wheel `firstly` 1.0.
const FIRSTLY: &str = "sha256:d3e01c83dcdac42895e4e51f63543bf2abb5b7f8ca5d2ba9c098e58cbc0ccee7";
pub(crate) const PYPROJECT: &str = "\
[project]
name = 'book'
version = '0.1.0'
requires-python = '>=3.9'
dependencies = ['firstly']
[tool.uv.sources]
firstly = { path = 'firstly-1.0-py3-none-any.whl' }
";

pub(crate) fn uv_lock() -> String {
    format!(
        r#"version = 1
requires-python = ">=3.9"
[[package]]
name = "book"
version = "0.1.0"
source = {{ virtual = "." }}
dependencies = [{{ name = "firstly" }}]
[package.metadata]
requires-dist = [{{ name = "firstly", path = "firstly-1.0-py3-none-any.whl" }}]
[[package]]
name = "firstly"
version = "1.0"
source = {{ path = "firstly-1.0-py3-none-any.whl" }}
wheels = [{{ filename = "firstly-1.0-py3-none-any.whl", hash = "{FIRSTLY}" }}]
"#
    )
}

/// Trains a script that tells the version of `firstly`, in a folder `book` with these files.
fn installs_firstly(script: &str, files: &[(&str, &str)], chosen: &str) {
    let Some(base) = alekseylearn_tests::base_image() else {
        return alekseylearn_tests::skipped("ALEKSEYLEARN_BASE_IMAGE is not set: run `cargo xtask test`");
    };
    let sandbox = Sandbox::new();
    wheel(&sandbox.path("book"), "firstly", "1.0");
    sandbox.write(&format!("book/{script}"), "import firstly\nprint('firstly', firstly.VERSION)\n");
    for (name, text) in files {
        sandbox.write(&format!("book/{name}"), text);
    }
    let run = sandbox.run(&["fit", &format!("book/{script}"), &format!("--config.base_image={base}"), "-v"]);
    let run = run.success().says(&format!("Dependencies come from {chosen}\n"));
    assert!(run.stdout.contains("firstly 1.0"), "{}", run.stdout);
}

#[test]
fn requirements_with_hashes_constraints_includes_and_wheels() {
    installs_firstly(
        "train.py",
        &[
            ("requirements.txt", "# all\n-r env/base.txt\n-c env/constraints.txt\n--find-links .\n"),
            ("env/base.txt", &format!("firstly \\\n    --hash={FIRSTLY}  # the one\n")),
            ("env/constraints.txt", "firstly==1.0\n"),
            // Of lower rank, and broken: it is not even read.
            ("environment.yml", "]"),
        ],
        "requirements.txt",
    );
}

#[test]
fn what_is_editable_stays_in_the_folder() {
    let project = "[project]\nname = 'lib'\nversion = '1'\n[build-system]\nrequires = ['setuptools']\nbuild-backend = 'setuptools.build_meta'\n";
    installs_firstly(
        "train.py",
        &[
            ("requirements.txt", "-e ./libs/lib\n./firstly-1.0-py3-none-any.whl\n"),
            ("libs/lib/pyproject.toml", project),
            ("libs/lib/src/lib/__init__.py", "NAME = 'lib'\n"),
            (
                "train.py",
                "import firstly, lib\nprint(lib.__file__)\nassert lib.__file__.startswith('/opt/alekseylearn/code/libs/lib/')\nprint('firstly', firstly.VERSION)\n",
            ),
        ],
        "requirements.txt",
    );
}

#[test]
fn a_uv_lock_also_above_the_script_and_a_package_in_src() {
    installs_firstly(
        "train.py",
        &[
            ("pyproject.toml", PYPROJECT),
            ("uv.lock", &uv_lock()),
            ("src/own/__init__.py", "NAME = 'own'\n"),
            ("train.py", "import firstly, own\nprint('firstly', firstly.VERSION)\n"),
        ],
        "uv.lock",
    );
    installs_firstly("jobs/train.py", &[("pyproject.toml", PYPROJECT), ("uv.lock", &uv_lock())], "uv.lock");
}

#[test]
fn a_pyproject_without_a_lock() {
    installs_firstly("train.py", &[("pyproject.toml", PYPROJECT)], "pyproject.toml");
}

pub(crate) const POETRY: &str = "[tool.poetry]\nname = 'book'\nversion = '0.1.0'\npackage-mode = false\n[tool.poetry.dependencies]\npython = '^3.9'\nfirstly = { path = 'firstly-1.0-py3-none-any.whl' }\n";

pub(crate) fn poetry_lock() -> String {
    format!(
        "[[package]]\nname = 'firstly'\nversion = '1.0'\ndescription = ''\noptional = false\npython-versions = '*'\ngroups = ['main']\nfiles = [{{file = 'firstly-1.0-py3-none-any.whl', hash = '{FIRSTLY}'}}]\n[package.source]\ntype = 'file'\nurl = 'firstly-1.0-py3-none-any.whl'\n[metadata]\nlock-version = '2.1'\npython-versions = '^3.9'\ncontent-hash = '64868b5d60a3a92b936b975b8218ed3fc4d50cb8b027ea30567add41f6135778'\n"
    )
}

#[test]
fn a_poetry_lock() {
    let files = [("pyproject.toml", POETRY), ("poetry.lock", &poetry_lock())];
    installs_firstly("train.py", &files, "poetry.lock");
}

#[test]
fn an_environment_of_conda() {
    let text = "name: book\nchannels: [conda-forge]\ndependencies:\n  - python=3.11\n  - conda-forge::six=1.16\n  - pip\n  - pip:\n    - ./firstly-1.0-py3-none-any.whl\n";
    installs_firstly("train.py", &[("environment.yml", text)], "environment.yml");
}
