//! Projects from strangers: whatever lies in their folders, nothing of the user's is shown or sent, and each run ends.

use std::{
    fs,
    os::unix::fs::symlink,
    process::Command,
    time::{Duration, Instant},
};

use alekseylearn_tests::{Run, Sandbox};

const SECRET: &str = "hunter2hunter2";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    sandbox
}

fn dry_run(sandbox: &Sandbox) -> Run {
    let begun = Instant::now();
    let run = sandbox.run(&["fit", "train.py", "--dry-run", "-v"]);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}: {}", begun.elapsed(), run.stderr);
    run
}

#[track_caller]
fn tells_no_secret(run: &Run) {
    let told = format!("{}{}", run.stdout, run.stderr);
    assert!(!told.contains(SECRET), "{told}");
}

/// The files of the user's that a stranger can make a link to.
fn secrets(sandbox: &Sandbox) {
    sandbox.write_home(
        ".aws/credentials",
        &format!("[default]\naws_access_key_id = AKIA\naws_secret_access_key = {SECRET}\n"),
    );
}

#[test]
fn a_link_to_a_secret_shows_nothing_of_it() {
    for name in [
        "pyproject.toml",
        "alekseylearn.toml",
        "alekseylearn.lock",
        "uv.lock",
        "uv.toml",
        "Pipfile",
        "Pipfile.lock",
        "environment.yml",
        "setup.cfg",
        "setup.py",
        ".python-version",
        ".dockerignore",
        ".gitignore",
    ] {
        let sandbox = sandbox();
        secrets(&sandbox);
        symlink(sandbox.home(".aws/credentials"), sandbox.path(name)).unwrap();
        tells_no_secret(&dry_run(&sandbox));
        tells_no_secret(&sandbox.run(&["plugin", "install", "--locked"]));
        tells_no_secret(&sandbox.run(&["trust"]));
    }
}

#[test]
fn a_value_in_broken_toml_is_not_shown() {
    let sandbox = sandbox();
    for (name, text) in [
        ("pyproject.toml", format!("[project]\nname = 'x'\nurl = 'https://me:{SECRET}@a.example' x\n")),
        ("alekseylearn.toml", format!("[train.local]\nenvironment.API_KEY = {SECRET}\n")),
        ("alekseylearn.toml", format!("[fit]\ndetect = '{SECRET}'\n")),
    ] {
        sandbox.write(name, &text);
        let run = dry_run(&sandbox).failure(2).one_error();
        tells_no_secret(&run);
        fs::remove_file(sandbox.path(name)).unwrap();
    }
}

#[test]
fn what_is_not_a_file_is_not_taken_for_a_missing_one() {
    for name in
        ["requirements.txt", "pyproject.toml", "uv.lock", "environment.yml", "setup.py", "Pipfile.lock"]
    {
        let sandbox = sandbox();
        let path = sandbox.path(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        dry_run(&sandbox).failure(2).one_error().says(name);
        for target in ["/dev/zero", "nothing"] {
            fs::remove_file(&path).unwrap();
            symlink(target, &path).unwrap();
            dry_run(&sandbox).failure(2).one_error().says(name);
        }
    }
    let sandbox = sandbox();
    symlink("/dev/zero", sandbox.path(".python-version")).unwrap();
    dry_run(&sandbox).success().says(".python-version is not used: it is a device");
}

/// Each file is small, or made of many small ones.
#[test]
fn a_file_that_grows_while_it_is_read_is_an_error() {
    let yaml = |text: &str| ("environment.yml", format!("x: &a \"{}\"\n{text}", "y".repeat(500_000)));
    for (name, text) in [
        ("environment.yml", format!("dependencies:\n{}x", "- ".repeat(100_000))),
        ("environment.yml", format!("dependencies: {}", "{a: ".repeat(100_000))),
        yaml(&format!("dependencies:\n{}", "- *a\n".repeat(50_000))),
        ("Pipfile.lock", "[".repeat(100_000)),
        ("pyproject.toml", format!("a = {}", "[".repeat(100_000))),
    ] {
        let sandbox = sandbox();
        sandbox.write(name, &text);
        dry_run(&sandbox).failure(2).one_error().says(name);
    }
    let sandbox = sandbox();
    sandbox.write("requirements.txt", "-r 0.txt\n");
    for number in 0..20_000 {
        sandbox.write(&format!("{number}.txt"), &format!("-r {}.txt\n", number + 1));
    }
    dry_run(&sandbox).failure(2).one_error().says("requirements.txt refers to more than 100 lists");
}

#[test]
fn a_configuration_of_git_that_includes_itself_ends() {
    let sandbox = sandbox();
    sandbox.write(".git/config", &"[include]\n\tpath = config\n".repeat(100));
    dry_run(&sandbox).success();
}

#[test]
fn a_dependency_file_sends_no_secret() {
    let sandbox = sandbox();
    sandbox.write(".env", &format!("KEY={SECRET}\n"));
    sandbox.write("tokens/mine", SECRET);
    sandbox.write("pkg/setup.py", "from setuptools import setup\nsetup(name='x')\n");
    sandbox.write("pkg/mine", SECRET);
    for (text, says) in [
        ("-r .env\n", "requirements.txt needs .env"),
        ("-c tokens/mine\n", "requirements.txt needs tokens/mine"),
    ] {
        sandbox.write("requirements.txt", text);
        let run = sandbox.run(&["fit", "train.py", "--dry-run", "--secret", "T=file:tokens/mine"]);
        run.failure(2).one_error().says(says);
    }
    sandbox.run(&["fit", "train.py", "--dry-run", "--env-file", ".env"]).failure(2).one_error().says(".env");
}

#[test]
fn a_project_that_wants_a_secret_sent_is_confirmed() {
    let sandbox = sandbox();
    sandbox.write("prod.env", SECRET);
    sandbox.write("alekseylearn.toml", "[fit]\ninclude = ['*.csv', 'prod.env']\n");
    let run = dry_run(&sandbox).failure(3).one_error();
    assert!(run.stderr.contains("send to the job: prod.env, a secret by its name"), "{}", run.stderr);
    assert!(!run.stderr.contains("*.csv"), "{}", run.stderr);
}

#[test]
fn what_a_project_asks_for_is_one_line_and_names_all_images() {
    let sandbox = sandbox();
    let text = "[train.local]\n\"x\\nerror: forged\" = \"a\\nTrust this folder? [y/N] y\\n\"\n";
    sandbox.write("alekseylearn.toml", text);
    let run = dry_run(&sandbox).failure(3);
    for line in run.stderr.lines() {
        let text = line.trim_start_matches([' ', '|']);
        assert!(!text.starts_with("Trust") && !text.starts_with("error: forged"), "{}", run.stderr);
    }
    fs::remove_file(sandbox.path("alekseylearn.toml")).unwrap();
    let text = "# syntax=front/end\nFROM\ttabbed\nFROM \\\n  continued\nCOPY --from=copied/of /a /b\n";
    sandbox.write("alekseylearn/Dockerfile", text);
    let run = dry_run(&sandbox).failure(3);
    let says = "its own Dockerfile, from front/end, tabbed, continued, copied/of";
    assert!(run.stderr.contains(says), "{}", run.stderr);
    // A copy of what the user does not trust is not trusted either.
    sandbox.write("mine/train.py", "");
    sandbox.run(&["copy", ".", "mine"]).success();
    sandbox.run(&["fit", "mine/train.py", "--dry-run"]).failure(3).one_error().says("is not trusted");
}
