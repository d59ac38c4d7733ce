//! What is installed: by which of the files that people write, beside them, and without any.

use alekseylearn_tests::{Sandbox, base_image_or_skip, wheel};
use serde_json::{Value, json};

/// A folder `p` with these files.
fn project(files: &[(&str, &str)]) -> Sandbox {
    let sandbox = Sandbox::new();
    for (name, text) in files {
        sandbox.write(&format!("p/{name}"), text);
    }
    sandbox
}

/// A script that prints the version of `six` and of `idna`, as far as they are there.
const VERSIONS: &str = "\
from importlib.metadata import PackageNotFoundError, version
for name in ('six', 'idna', 'tqdm'):
    try:
        print(name, version(name))
    except PackageNotFoundError:
        print('no', name)
";

/// The names and versions that the newest job's image has.
fn installed(sandbox: &Sandbox) -> Vec<String> {
    let list = sandbox.newest_job()["details"]["installed"].clone();
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[test]
fn without_a_list_what_the_code_imports_is_installed_and_recorded() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = project(&[
        ("train.py", "import json, helper\nprint('trained with', helper.six.__version__)\n"),
        ("helper.py", "import six\ntry:\n    import nothing_of_the_kind\nexcept ImportError:\n    pass\n"),
    ]);
    let run = sandbox.run(&["fit", "p/train.py", &base]).success();
    assert!(run.stdout.contains("trained with 1."), "{}", run.stdout);
    run.says(
        "No dependency file found; installing what the code imports: six (--no-detect turns this off)\n",
    );
    let job = sandbox.run(&["status", "p/train", "--json"]).success().data();
    assert!(job.to_string().contains("six=="), "the record has the versions: {job}");
    let run = sandbox.run(&["fit", "p/train.py", &base, "--no-detect"]).failure(10).one_error();
    run.says("no dependency file found, but the code imports six; add packages with --with")
        .says("the image has no `six`: run again with `--with six`");
}

/// A package of that name on PyPI may be a stranger's.
#[test]
fn what_nothing_is_known_of_is_named_and_never_installed() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = project(&[("train.py", "import mytrainer_of_mine\n")]);
    let run = sandbox.run(&["fit", "p/train.py", &base]).failure(10).one_error();
    run.says(
        "the code imports mytrainer_of_mine, but no package is known for it; add one with --with PACKAGE",
    )
    .says("no package is known for the module `mytrainer_of_mine`");
    assert_eq!(installed(&sandbox), [""; 0]);
}

#[test]
fn a_list_is_completed_and_keeps_what_it_says() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = project(&[
        ("train.py", &format!("import idna\nimport six\n{VERSIONS}")),
        ("requirements.txt", "six==1.15.0\n"),
    ]);
    let run = sandbox.run(&["fit", "p/train.py", &base, "--with", "tqdm==4.66.1"]).success();
    let run = run.says("requirements.txt does not list what the code imports: also installing idna");
    for line in ["six 1.15.0", "idna 3.", "tqdm 4.66.1"] {
        assert!(run.stdout.contains(line), "{line}: {}", run.stdout);
    }
    // An empty list is an answer, and lacks what the code imports all the same.
    sandbox.write("p/requirements.txt", "# nothing\n");
    sandbox.write("p/train.py", VERSIONS);
    let run = sandbox.run(&["fit", "p/train.py", &base]).success();
    assert!(run.stdout.contains("no six") && !run.stderr.contains("No dependency file"), "{}", run.stderr);
}

#[test]
fn a_lock_is_completed_in_the_words_of_its_own_tool() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    wheel(&sandbox.path("p"), "firstly", "1.0");
    sandbox.write("p/train.py", "import firstly, six\nprint('six is there', six.__name__)\n");
    sandbox.write("p/pyproject.toml", super::projects::PYPROJECT);
    sandbox.write("p/uv.lock", &super::projects::uv_lock());
    let run = sandbox.run(&["fit", "p/train.py", &base]).success();
    assert!(run.stdout.contains("six is there six"), "{}", run.stdout);
    run.says("uv.lock does not list what the code imports: also installing six");
    sandbox.run(&["fit", "p/train.py", &base, "--no-detect"]).failure(10).says("run `uv add six`");
}

#[test]
fn files_under_their_other_names() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let conda = "name: x\ndependencies:\n  - python=3.11\n  - six=1.16.0\n  - bzip2=1.0.8=h5eee18b_6\n  - tk=8.6.14\n  - snappy\n";
    let lock = r#"{"_meta": {"requires": {"python_version": "3.11"}}, "default": {"six": {"version": "==1.16.0"}},
        "develop": {"idna": {"version": "==3.7"}}}"#;
    for (name, text, says) in [
        ("conda.yaml", conda, "conda.yaml: skipped packages that are not Python: bzip2, tk, snappy"),
        ("env.yml", conda, "env.yml: skipped"),
        ("Pipfile", "[packages]\nsix = '==1.16.0'\n[dev-packages]\nidna = '*'\n", ""),
        ("Pipfile.lock", lock, ""),
        (
            "setup.py",
            "from setuptools import setup\nsetup(name='x', version='1', install_requires=['six==1.16.0'])\n",
            "",
        ),
        ("setup.cfg", "[metadata]\nname = x\n[options]\ninstall_requires =\n    six==1.16.0\n", ""),
        ("requirements.in", "six==1.16.0\n", ""),
        (
            "pixi.toml",
            "[project]\nname = 'x'\nchannels = []\nplatforms = []\n[dependencies]\nsix = '1.16.0'\n",
            "",
        ),
        ("requirements.lock", "-e file:.\nsix==1.16.0\n", ""),
        ("pdm.lock", "[metadata]\n[[package]]\nname = 'six'\nversion = '1.16.0'\ngroups = ['default']\n", ""),
    ] {
        let sandbox = project(&[("train.py", VERSIONS), (name, text)]);
        let run = sandbox.run(&["fit", "p/train.py", &base, "-v"]).success().says(says);
        let run = run.says(&format!("Dependencies come from {name}\n"));
        assert!(
            run.stdout.contains("six 1.16.0") && run.stdout.contains("no idna"),
            "{name}: {}",
            run.stdout
        );
    }
}

#[test]
fn an_mlflow_project_names_its_environment() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = project(&[
        ("train.py", VERSIONS),
        ("MLproject", "name: x\npython_env: envs/python.yaml\n"),
        (
            "envs/python.yaml",
            "python: '3.11'\nbuild_dependencies: [pip]\ndependencies:\n  - -r more.txt\n  - idna==3.7\n",
        ),
        ("envs/more.txt", "six==1.16.0\n"),
    ]);
    let run = sandbox.run(&["fit", "p/train.py", &base]).success();
    assert!(run.stdout.contains("six 1.16.0") && run.stdout.contains("idna 3.7"), "{}", run.stdout);
}

#[test]
fn the_header_of_a_script_counts_most() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let header = "# /// script\n# requires-python = \">=3.9\"\n# dependencies = [\"six==1.16.0\"]\n# ///\n";
    let sandbox =
        project(&[("train.py", &format!("{header}{VERSIONS}")), ("requirements.txt", "idna==3.7\n")]);
    let run = sandbox.run(&["fit", "p/train.py", &base]).success();
    assert!(run.stdout.contains("six 1.16.0") && run.stdout.contains("no idna"), "{}", run.stdout);
    run.says("Dependencies come from train.py; not used: requirements.txt (--env-file FILE chooses another)");
}

#[test]
fn a_name_that_is_nearly_right_is_asked_about() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = project(&[("train.py", VERSIONS), ("requirment.txt", "six==1.16.0\n")]);
    let run = sandbox.run(&["fit", "p/train.py", &base]).success();
    assert!(run.stdout.contains("no six"), "{}", run.stdout);
    run.says("requirment.txt is not used: not the name of a dependency file; to install from it, use --env-file 'requirment.txt'");
    let mut terminal = sandbox.on_terminal(100, &["fit", "p/train.py", &base]);
    terminal.wait_for("requirment.txt is not a usual name for a dependency file; install from it? [y/N]");
    terminal.type_in("y\n");
    terminal.wait_for("six 1.16.0");
}

#[test]
fn lists_in_other_encodings() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let text = "six==1.16.0\r\nidna==3.7\t# why\r\n";
    let wide: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let marked = [&[0xef, 0xbb, 0xbf], text.as_bytes()].concat();
    for bytes in [wide, marked] {
        let sandbox = project(&[("train.py", VERSIONS)]);
        std::fs::write(sandbox.path("p/requirements.txt"), bytes).unwrap();
        let run = sandbox.run(&["fit", "p/train.py", &base]).success();
        assert!(run.stdout.contains("six 1.16.0") && run.stdout.contains("idna 3.7"), "{}", run.stdout);
    }
}

#[test]
fn extras_and_groups_are_installed_or_told() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let text = "[project]\nname = 'x'\nversion = '1'\ndependencies = ['six==1.16.0']\n\
                optional-dependencies = { more = ['idna==3.7'] }\n[dependency-groups]\nbars = ['tqdm==4.66.1']\n";
    let sandbox = project(&[("train.py", VERSIONS), ("pyproject.toml", text)]);
    let run = sandbox.run(&["fit", "p/train.py", &base]).success();
    assert!(run.stdout.contains("no idna") && run.stdout.contains("no tqdm"), "{}", run.stdout);
    run.says("pyproject.toml has more dependencies, which are not installed; to install them, add --extra more, --group bars");
    let all = ["fit", "p/train.py", &base, "--extra", "more", "--group", "bars"];
    let run = sandbox.run(&all).success();
    for line in ["six 1.16.0", "idna 3.7", "tqdm 4.66.1"] {
        assert!(run.stdout.contains(line), "{line}: {}", run.stdout);
    }
    sandbox
        .run(&["fit", "p/train.py", &base, "--group", "tests"])
        .failure(2)
        .says("pyproject.toml has no group `tests`");
}

#[test]
fn versions_are_those_of_a_day() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = project(&[("train.py", VERSIONS), ("requirements.txt", "six\n")]);
    let run = sandbox.run(&["fit", "p/train.py", &base, "--as-of", "2021-01-01"]).success();
    assert!(run.stdout.contains("six 1.15.0"), "{}", run.stdout);
    sandbox.run(&["fit", "p/train.py", &base, "--as-of", "lately"]).failure(2).says("`lately` is not a date");
}

#[test]
fn what_cannot_work_is_said_before_anything_is_built() {
    let lines = "certifi @ file:///opt/conda/conda-bld/certifi_1655968806487/work/certifi\nidna==3.7\n\
                 packaging @ file:///home/conda/feedstock_root/build_artifacts/packaging_1733203243479/work\n";
    for (files, says) in [
        (
            &[("train.py", "import os\nprint 'loss', 3\n")][..],
            "train.py is Python 2: line 2 is `print 'loss', 3`",
        ),
        (
            &[("train.py", ""), ("requirements.txt", lines)],
            "refers to files that only exist on the machine that built them",
        ),
        (&[("train.py", ""), ("requirements.txt", lines)], "  packaging @ file:///home/conda/feedstock_root"),
        (
            &[("train.py", ""), ("environment.yml", "dependencies: [six, a-stranger, another-one]\n")],
            "environment.yml lists packages that PyPI may not have: a-stranger, another-one",
        ),
    ] {
        let mut sandbox = project(files);
        sandbox.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
        sandbox.run(&["fit", "p/train.py"]).failure(2).one_error().says(says);
    }
    // What `conda env export` adds for its own sake is no reason to refuse.
    let export = "dependencies: [python=3.11.4, six=1.16.0=py_0, a-stranger=1.2=h1]\n";
    let mut sandbox = project(&[("train.py", ""), ("environment.yml", export)]);
    sandbox.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let run = sandbox.run(&["fit", "p/train.py", "--dry-run", "-v"]).success();
    run.says("skipped packages that PyPI may not have: a-stranger");
}

/// A `setup.py` of the package beside the script, and the list of the project above it.
#[test]
fn a_list_of_the_project_comes_before_what_a_package_needs() {
    let mut sandbox = project(&[
        ("requirements.txt", "six==1.16.0\n"),
        ("ml/setup.py", "from setuptools import setup\nsetup(name='ml', install_requires=['attrs'])\n"),
        ("ml/train.py", "import six\n"),
    ]);
    sandbox.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let run = sandbox.run(&["fit", "p/ml/train.py", "--dry-run"]).success();
    run.says("Dependencies come from").says("requirements.txt; not used: ").says("setup.py");
    std::fs::remove_file(sandbox.path("p/requirements.txt")).unwrap();
    let run = sandbox.run(&["fit", "p/ml/train.py", "--dry-run", "-v", "--json"]).success();
    assert!(run.data()["image"]["dockerfile"].as_str().unwrap().contains("setup"), "{}", run.stdout);
}

#[test]
fn pins_of_python_that_are_not_used_are_told() {
    let mut sandbox = project(&[("train.py", ""), (".python-version", "pypy3.10\n")]);
    sandbox.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
    sandbox.run(&["fit", "p/train.py"]).failure(7).says(".python-version has pypy3.10, which is not used");
    sandbox.write("p/.python-version", "3.13t\n");
    sandbox
        .run(&["fit", "p/train.py", "-v"])
        .failure(7)
        .says("using the standard 3.13 instead")
        .says("Python 3.13 (.python-version)");
}

#[test]
fn git_that_a_requirement_needs_is_installed_or_missed_by_name() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = project(&[
        ("train.py", ""),
        ("requirements.txt", "six @ git+https://example.invalid/six.git@1.16.0\n"),
    ]);
    let run = sandbox.run(&["fit", "p/train.py", &base]).failure(2).one_error();
    run.says("the base image lacks git, and has no package manager to install it with");
}

#[test]
fn kaggle_installs_what_the_code_imports_and_the_user_names() {
    use alekseylearn_tests::services_or_skip;
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    services.script("kaggle", &json!({ "image": base }));
    let sandbox = crate::kaggle::user(&services);
    sandbox.write("train.py", &format!("import six\n{VERSIONS}"));
    let run = sandbox.run(&crate::kaggle::fit(&["--with", "idna==3.7"])).success();
    for line in ["installing idna==3.7", "installing imported packages: six", "six 1.", "idna 3.7"] {
        assert!(run.stdout.contains(line), "{line}: {}", run.stdout);
    }
}
