//! Drivers of others that get the watching of a job wrong: none keeps the user waiting, and none is asked too often.

use std::{
    fs,
    time::{Duration, Instant},
};

use alekseylearn_tests::{Run, Sandbox, guests_or_skip};

/// A user with the plugin.
fn user(file: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    sandbox.run(&["plugin", "install", file, "--name", "lingers", "--yes"]).success();
    sandbox
}

fn fit(sandbox: &Sandbox, wrong: &str, more: &[&str]) -> Run {
    let option = format!("--config.service={wrong}");
    sandbox.run(&[&["fit", "train.py", "--train-driver", "lingers", option.as_str()], more].concat())
}

fn name(sandbox: &Sandbox) -> String {
    sandbox.newest_job()["name"].as_str().unwrap().to_owned()
}

/// How often the newest job's driver was asked for states and for logs.
fn asked(sandbox: &Sandbox) -> [u64; 2] {
    let folder = sandbox.data().join("jobs").join(name(sandbox));
    ["states", "logs"].map(|what| fs::read_to_string(folder.join(what)).unwrap().parse().unwrap())
}

fn lingers(guests: &std::path::Path) -> String {
    guests.join("lingers.wasm").to_str().unwrap().to_owned()
}

#[test]
fn a_service_is_asked_no_more_often_than_it_needs() {
    let guests = guests_or_skip!();
    let sandbox = user(&lingers(&guests));
    let run = fit(&sandbox, "", &[]).success();
    for second in 0..8 {
        assert!(run.stdout.contains(&format!("second {second}")), "{}", run.stdout);
    }
    let [states, logs] = asked(&sandbox);
    assert!(
        states <= 14 && logs <= 14,
        "a line a second: {states} questions for the state, {logs} for the log"
    );
    // As seldom as its driver says.
    fit(&sandbox, "asked-seldom", &[]).success();
    let [states, logs] = asked(&sandbox);
    assert!(states <= 4 && logs <= 5, "{states} {logs}");
}

#[test]
fn a_log_without_an_end_keeps_nobody_waiting() {
    let guests = guests_or_skip!();
    let sandbox = user(&lingers(&guests));
    let begun = Instant::now();
    let run = fit(&sandbox, "never-drained", &[]).success();
    assert_eq!(run.stdout.matches("the only line").count(), 1, "{}", run.stdout);
    fit(&sandbox, "endless", &[]).success();
    assert!(asked(&sandbox)[1] < 60);
    let name = name(&sandbox);
    sandbox.run(&["logs", &name]).success();
    sandbox.run(&["logs", "-f", &name]).success();
    assert!(begun.elapsed() < Duration::from_secs(90), "{:?}", begun.elapsed());
}

#[test]
fn line_ends_inside_a_line_make_lines() {
    let guests = guests_or_skip!();
    let sandbox = user(&lingers(&guests));
    let run = fit(&sandbox, "in-one", &["--quiet"]).success();
    assert!(!run.stdout.contains("abc"), "{}", run.stdout);
    let run = sandbox.run(&["logs", &name(&sandbox)]).success();
    assert_eq!(run.stdout.lines().collect::<Vec<_>>(), ["a", "b", "c"], "{}", run.stdout);
}

#[test]
fn the_log_is_a_luxury_and_a_passing_denial_passes() {
    let guests = guests_or_skip!();
    let sandbox = user(&lingers(&guests));
    let run = fit(&sandbox, "no-log", &["--fetch", "out"]).success();
    assert_eq!(
        run.stderr.matches("cannot read the log: the log is not for you").count(),
        1,
        "{}",
        run.stderr
    );
    // The driver's own paths begin with /job, as for its files.
    assert!(sandbox.path("out/code/train.py").is_file());
    // But who asks for nothing else is told.
    sandbox.run(&["logs", &name(&sandbox)]).failure(3).one_error().says("the log is not for you");
    fit(&sandbox, "denied-twice", &[]).success();
}

#[test]
fn an_error_after_the_submission_says_that_the_job_is_running() {
    let guests = guests_or_skip!();
    let sandbox = user(&lingers(&guests));
    for (wrong, code, says) in
        [("breaks", 1, "I do not know"), ("panics-later", 9, "it has forgotten its lines")]
    {
        let run = fit(&sandbox, wrong, &[]).failure(code).one_error();
        let name = name(&sandbox);
        run.says(says).says("it is still running").says(&format!("alekseylearn logs -f {name}"));
    }
    fit(&sandbox, "capacity", &[]).failure(7).one_error().says("there are no machines");
}

#[test]
fn stopping_is_waited_for_as_long_as_it_is_said() {
    let guests = guests_or_skip!();
    let sandbox = user(&lingers(&guests));
    fit(&sandbox, "never-ends", &["--detach"]).success();
    let begun = Instant::now();
    let run = sandbox.run(&["stop", &name(&sandbox), "--wait", "2"]).failure(7).one_error();
    run.says("waiting up to 2.0s").says("did not end within").says("alekseylearn status");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_check_keeps_kinds_and_words() {
    let guests = guests_or_skip!();
    let file = lingers(&guests);
    let sandbox = user(&file);
    let check = |wrong: &str, more: &[&str]| {
        let option = format!("--config.service={wrong}");
        sandbox.run(&[&["check", "train.py", "--train-driver", "lingers", option.as_str()], more].concat())
    };
    check("unreachable", &["--json"]).failure(7);
    let run = check("unreachable", &[]).failure(7).one_error();
    assert!(run.stdout.contains("nobody is there"), "{}", run.stdout);
    check("panics", &[]).failure(9).one_error().says("it has forgotten its lines");
    // What an author prints is shown to who wants to know, and to the author.
    assert!(!check("", &[]).success().stderr.contains("a word of its author's"));
    check("", &["-v"]).success().says("lingers: a word of its author's");
    let run = sandbox.run(&[
        "plugin",
        "run",
        &file,
        "--name",
        "lingers",
        "--",
        "check",
        "train.py",
        "--train-driver",
        "lingers",
    ]);
    run.success().says("lingers: a word of its author's");
}
