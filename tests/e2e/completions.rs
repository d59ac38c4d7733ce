//! Real shells, and what they offer at TAB.

use std::path::PathBuf;

use alekseylearn_tests::{Sandbox, skipped};

/// zsh and fish; without them, the end of the test.
macro_rules! shells_or_skip {
    () => {
        match std::env::var_os("ALEKSEYLEARN_SHELLS") {
            Some(shells) => PathBuf::from(shells),
            None => return skipped("ALEKSEYLEARN_SHELLS is not set: run `cargo xtask test`"),
        }
    };
}

/// A user who trains, without Docker, and whose services are not to be asked.
fn sandbox() -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.set("DOCKER_HOST", "unix:///nowhere").set("TERM", "xterm");
    sandbox.write("models/train.py", "");
    sandbox.write("models/notes.txt", "");
    sandbox
}

#[test]
fn a_shell_hears_nothing_of_what_is_wrong() {
    let mut sandbox = sandbox();
    let ask = |sandbox: &Sandbox, words: &[&str]| {
        let words = [&["--", "alekseylearn"], words].concat();
        let run = sandbox.run(&words).success();
        assert_eq!(run.stderr, "");
        run.stdout
    };
    sandbox.set("ALEKSEYLEARN_COMPLETE", "fish");
    assert!(ask(&sandbox, &["fit", "--train-driver", ""]).contains("sagemaker"));
    assert!(!sandbox.data().exists(), "nothing is begun");
    // No such driver, no record that can be read, a damaged list of plugins, and a wrong alekseylearn.toml.
    assert!(
        ask(&sandbox, &["fit", "--train-driver", "nothing", "--config.base"])
            .starts_with("--config.base_image\t")
    );
    sandbox.write_home(".local/share/alekseylearn/jobs.sqlite", "damaged");
    assert_eq!(ask(&sandbox, &["status", ""]).lines().filter(|line| !line.starts_with('-')).count(), 0);
    sandbox.write_home(".local/share/alekseylearn/plugins/plugins.json", "{");
    sandbox.write("alekseylearn.toml", "[fit");
    ask(&sandbox, &["plugin", "show", ""]);
    ask(&sandbox, &["fit", "--config."]);
    ask(&sandbox, &[]);
    sandbox.set("ALEKSEYLEARN_COMPLETE", "nothing");
    ask(&sandbox, &["fit", ""]);
}

#[test]
fn fish_tells_what_each_candidate_means() {
    let shells = shells_or_skip!();
    let mut sandbox = sandbox();
    sandbox.set("LD_LIBRARY_PATH", shells.join("usr/lib/x86_64-linux-gnu").to_str().unwrap());
    let ask = |line: &str| {
        let script = format!("alekseylearn completions fish | source; complete -C '{line}'");
        let fish = shells.join("usr/bin/fish");
        sandbox.run_other(&fish, &["--no-config", "-c", &script]).success().stdout
    };
    let options = ask("alekseylearn fit --train-driver sagemaker --config.s");
    assert!(
        options.lines().any(|line| line.starts_with("--config.spot\tTrain on spare capacity")),
        "{options}"
    );
    assert!(ask("alekseylearn fit --train-driver ").lines().any(|line| line.starts_with("local-gpu")));
    assert!(ask("alekseylearn stat").starts_with("status\tAsk the service how a job is"));
    assert!(ask("alekseylearn fit models/").contains("models/train.py"));
    assert!(!ask("alekseylearn fit models/").contains("notes.txt"));
}
