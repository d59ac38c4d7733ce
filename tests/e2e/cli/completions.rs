//! Real shells, and what they offer at TAB.

use std::path::{Path, PathBuf};

use alekseylearn_tests::{Sandbox, Terminal, base_image_or_skip, skipped};

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
        options.lines().any(|line| line.starts_with("--config.spot\tUse cheaper spot instances")),
        "{options}"
    );
    assert!(ask("alekseylearn fit --train-driver ").lines().any(|line| line.starts_with("local-gpu")));
    assert!(ask("alekseylearn stat").starts_with("status\tShow a job's status"));
    assert!(ask("alekseylearn fit models/").contains("models/train.py"));
    assert!(!ask("alekseylearn fit models/").contains("notes.txt"));
}

/// What a person types before each TAB, and what the line is after it. `JOB` is the one job in the record.
const TYPED: &[&[(&str, &str)]] = &[
    &[("alekseylearn repro", "alekseylearn reproduce")],
    &[
        ("alekseylearn stat", "alekseylearn status"),
        // A tag and a job begin so.
        ("mod", "alekseylearn status models"),
        ("/", "alekseylearn status models/train"),
    ],
    &[("alekseylearn logs -f models-tr", "alekseylearn logs -f JOB")],
    &[("alekseylearn fetch out models-", "alekseylearn fetch out JOB")],
    &[
        ("alekseylearn fit models/tr", "alekseylearn fit models/train.py"),
        ("--train-driver sage", "alekseylearn fit models/train.py --train-driver sagemaker"),
        ("--config.spo", "alekseylearn fit models/train.py --train-driver sagemaker --config.spot"),
        ("tr", "alekseylearn fit models/train.py --train-driver sagemaker --config.spot true"),
    ],
    &[("alekseylearn fit --train-driver=local-g", "alekseylearn fit --train-driver=local-gpu")],
    &[(
        "alekseylearn fit --train-driver sagemaker --config.spot=t",
        "alekseylearn fit --train-driver sagemaker --config.spot=true",
    )],
];

/// Types at a shell that shows `ready>` once it reads.
fn completes_what_is_typed(sandbox: &Sandbox, shell: &mut Terminal) {
    let job = sandbox.newest_job()["name"].as_str().unwrap().to_owned();
    let line_is = |screen: &str, line: &str| {
        screen.trim_end().lines().last().unwrap_or_default().trim_end() == format!("ready> {line}").trim_end()
    };
    shell.wait_until(|screen| line_is(screen, ""));
    for steps in TYPED {
        for (typed, line) in *steps {
            let line = line.replace("JOB", &job);
            shell.type_in(&format!("{typed}\t"));
            shell.wait_until(|screen| line_is(screen, &line));
        }
        // The line is thrown away.
        shell.type_in("\x15");
        shell.wait_until(|screen| line_is(screen, ""));
    }
    shell.type_in("exit\r");
    assert_eq!(shell.end(), Some(0));
}

/// A user with one job, of the tag `models/train`.
fn trained(base: &str) -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.set("TERM", "xterm").set("LANG", "C.UTF-8");
    sandbox.write("models/train.py", "print('trained')\n");
    sandbox.run(&["fit", "models/train.py", &format!("--config.base_image={base}")]).success();
    sandbox
}

#[test]
fn bash_completes_what_is_typed() {
    let sandbox = trained(&base_image_or_skip!());
    let start = sandbox.write("start", "source <(alekseylearn completions bash)\nPS1='ready> '\n");
    let arguments = ["--noprofile", "--rcfile", start.to_str().unwrap(), "-i"];
    let mut shell = sandbox.other_on_terminal(200, Path::new("bash"), &arguments);
    completes_what_is_typed(&sandbox, &mut shell);
}

#[test]
fn zsh_completes_what_is_typed() {
    let (shells, base) = (shells_or_skip!(), base_image_or_skip!());
    let mut sandbox = trained(&base);
    let mut shell = zsh(&mut sandbox, &shells);
    completes_what_is_typed(&sandbox, &mut shell);
}

/// It is unpacked and not installed, and knows no other place for its own parts than the system's.
fn zsh(sandbox: &mut Sandbox, shells: &Path) -> Terminal {
    let start = format!(
        "module_path=({0}/usr/lib/*/zsh/*(N))
        fpath=({0}/usr/share/zsh/functions/Completion{{,/*}}(N/))
        autoload -Uz compinit && compinit -u -D
        source <(alekseylearn completions zsh)
        PS1='ready> '\n",
        shells.display()
    );
    sandbox.write_home(".zshrc", &start);
    sandbox.set("LD_LIBRARY_PATH", shells.join("usr/lib/x86_64-linux-gnu").to_str().unwrap());
    sandbox.other_on_terminal(200, &shells.join("bin/zsh"), &["-d", "-i"])
}

/// A file whose name is a command to a shell that takes it as it is.
const ODD: &str = "$(touch pwned);touch pwned;`touch pwned` *'x.py";

fn odd() -> Sandbox {
    let mut sandbox = sandbox();
    sandbox.set("LANG", "C.UTF-8");
    sandbox.write(&format!("odd/{ODD}"), "");
    sandbox
}

/// Completes the name and presses Enter: the program gets the file's name, and the shell runs nothing else.
fn takes_a_name_for_a_name(sandbox: &Sandbox, shell: &mut Terminal) {
    let is_ready =
        |screen: &str| screen.trim_end().lines().last().is_some_and(|line| line.trim_end() == "ready>");
    shell.wait_until(is_ready);
    shell.type_in("alekseylearn fit --dry-run odd/\t");
    shell.wait_until(|screen| screen.contains("x.py"));
    shell.type_in("\r");
    shell.wait_until(is_ready);
    shell.type_in("echo $?\r");
    let screen = shell.wait_until(|screen| screen.contains("echo $?") && is_ready(screen));
    assert!(!screen.contains("there is no file"), "{screen}");
    assert!(!sandbox.path("pwned").exists(), "{screen}");
    shell.type_in("exit 0\r");
    assert_eq!(shell.end(), Some(0));
}

#[test]
fn zsh_takes_a_completed_name_for_a_name() {
    let shells = shells_or_skip!();
    let mut sandbox = odd();
    let mut shell = zsh(&mut sandbox, &shells);
    takes_a_name_for_a_name(&sandbox, &mut shell);
}

#[test]
fn fish_takes_a_completed_name_for_a_name() {
    let shells = shells_or_skip!();
    let mut sandbox = odd();
    sandbox.set("LD_LIBRARY_PATH", shells.join("usr/lib/x86_64-linux-gnu").to_str().unwrap());
    // As it is put into the line, and then read from there.
    let script = "alekseylearn completions fish | source
        set words (complete --escape -C 'alekseylearn fit odd/' | string split -f 1 \\t)
        eval printf %s $words";
    let run = sandbox.run_other(&shells.join("usr/bin/fish"), &["--no-config", "-c", script]).success();
    assert_eq!(run.stdout, format!("odd/{ODD}"));
    assert!(!sandbox.path("pwned").exists());
}

#[test]
fn bash_takes_a_completed_name_for_a_name() {
    let sandbox = odd();
    let start = sandbox.write("start", "source <(alekseylearn completions bash)\nPS1='ready> '\n");
    let arguments = ["--noprofile", "--rcfile", start.to_str().unwrap(), "-i"];
    takes_a_name_for_a_name(&sandbox, &mut sandbox.other_on_terminal(200, Path::new("bash"), &arguments));
}
