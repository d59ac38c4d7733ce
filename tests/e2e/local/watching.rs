//! A training that somebody watches on a terminal. What the script does next is said to it through its container, so
//! that nothing here depends on how fast anything is.

use std::process::Command;

use alekseylearn_tests::{Sandbox, Terminal, base_image_or_skip};

/// A bar of tqdm's that goes on until somebody says `go`, or from the start with `--go`.
const BAR: &str = "
import os, sys, time
from tqdm import tqdm
bar = tqdm(desc='steps')
while not os.path.exists('/tmp/go') and bar.n < 20_000:
    bar.update(1)
    time.sleep(0.01)
bar.set_description('last of the steps')
bar.close()
print('after the bar')
";

/// The same without any package, and as wide as no terminal.
const WIDE: &str = "
import os, time
step = 0
while not os.path.exists('/tmp/go'):
    step += 1
    print(f'step {step}', '.' * 300, end='\\r', flush=True)
    time.sleep(0.05)
print('step', step, 'was the last')
";

fn sandbox() -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.set("TERM", "xterm").set("LANG", "C.UTF-8");
    sandbox
}

fn fit(sandbox: &Sandbox, columns: u16, artifact: &str, base: &str) -> Terminal {
    sandbox.on_terminal(columns, &["fit", artifact, &format!("--config.base_image={base}")])
}

/// Tells the newest job's script to come to its end.
fn go(sandbox: &Sandbox) {
    let name = sandbox.newest_job()["name"].as_str().unwrap().to_owned();
    let ids = docker(&["ps", "-q", "--filter", &format!("name={name}")]);
    docker(&["exec", ids.trim(), "touch", "/tmp/go"]);
}

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn lines_with(screen: &str, text: &str) -> Vec<String> {
    screen.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}

/// Sees the bar move in one line and end, and the same log in a pipe.
fn a_bar_is_watched(artifact: &str) {
    let Some(base) = alekseylearn_tests::base_image() else { unreachable!("the caller has looked") };
    let sandbox = sandbox();
    sandbox.write("bar/train.py", BAR);
    sandbox.write("bar/train.ipynb", &notebook(BAR));
    sandbox.write("bar/requirements.txt", "tqdm\n");
    let mut terminal = fit(&sandbox, 80, artifact, &base);
    let mut states: Vec<String> = Vec::new();
    terminal.wait_until(|screen| lines_with(screen, "steps:").len() == 1);
    for _ in 0..2 {
        let shown = lines_with(&terminal.screen(), "steps:");
        states.extend(shown.clone());
        terminal.wait_until(|screen| {
            let now = lines_with(screen, "steps:");
            assert!(now.len() <= 1, "it moves in one line:\n{screen}");
            now.len() == 1 && now != shown
        });
    }
    go(&sandbox);
    assert_eq!(terminal.end(), Some(0), "{}", terminal.screen());
    let screen = terminal.screen();
    assert_eq!(lines_with(&screen, "steps:").len(), 1, "its last state stays, and no other:\n{screen}");
    assert_eq!(lines_with(&screen, "last of the steps:").len(), 1, "{screen}");
    assert_eq!(lines_with(&screen, "after the bar").len(), 1, "{screen}");
    assert!(terminal.cursor().2, "the cursor is seen again");

    let piped = sandbox.run(&["logs", "bar/train"]).success().stdout;
    assert_eq!(lines_with(&piped, "steps:").len(), 1, "{piped}");
    assert_eq!(lines_with(&piped, "last of the steps:").len(), 1, "{piped}");
    assert!(!piped.contains('\r') && !piped.contains('\x1b'), "{piped:?}");
}

fn notebook(code: &str) -> String {
    serde_json::json!({
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": [{
            "cell_type": "code", "id": "a", "execution_count": null, "metadata": {}, "outputs": [], "source": code,
        }],
    })
    .to_string()
}

#[test]
fn a_scripts_progress_bar_is_one_line_that_moves() {
    base_image_or_skip!();
    a_bar_is_watched("bar/train.py");
}

#[test]
fn a_notebooks_progress_bar_is_one_line_that_moves() {
    base_image_or_skip!();
    a_bar_is_watched("bar/train.ipynb");
}

#[test]
fn what_moves_keeps_to_a_window_that_changes() {
    let base = base_image_or_skip!();
    let mut sandbox = sandbox();
    // Of the window as it was when the shell began: the window itself counts.
    sandbox.set("COLUMNS", "30");
    sandbox.write("wide/train.py", WIDE);
    let mut terminal = fit(&sandbox, 80, "wide/train.py", &base);
    let widths = |screen: &str| -> Vec<usize> {
        lines_with(screen, "step ").iter().map(|line| line.trim_end().chars().count()).collect()
    };
    for columns in [80, 200, 50, 120] {
        terminal.resize(columns);
        // As wide as there is room for, and in one line.
        terminal.wait_until(|screen| {
            let widths = widths(screen);
            assert!(widths.len() <= 1, "{screen}");
            widths.iter().all(|width| *width + 1 >= columns.into() && *width <= columns.into())
                && widths.len() == 1
        });
    }
    go(&sandbox);
    terminal.wait_for("was the last");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn ctrl_c_tells_how_to_go_on() {
    let base = base_image_or_skip!();
    let sandbox = sandbox();
    sandbox.write("on/train.py", WIDE);
    let mut terminal = fit(&sandbox, 80, "on/train.py", &base);
    terminal.wait_for("step ");
    terminal.type_in("\x03");
    assert_eq!(terminal.end(), Some(0));
    let name = sandbox.newest_job()["name"].as_str().unwrap().to_owned();
    let screen = terminal.screen();
    assert!(screen.contains(&format!("The job {name} keeps running")), "{screen}");
    for line in ["logs -f", "status", "stop", "fetch ./out"] {
        let line = format!("alekseylearn {line} {name}");
        assert!(screen.contains(&line), "no {line}:\n{screen}");
    }
    assert!(terminal.cursor().2, "the cursor is seen again");
    // It does go on, and can be come back to.
    let mut terminal = sandbox.on_terminal(80, &["logs", "-f", &name]);
    terminal.wait_for("step ");
    go(&sandbox);
    terminal.wait_for("was the last");
    assert_eq!(terminal.end(), Some(0));
    assert_eq!(sandbox.newest_job()["state"], "completed");
}

#[test]
fn who_reads_no_more_hears_no_more() {
    let base = base_image_or_skip!();
    let sandbox = sandbox();
    sandbox.project("tests/projects/noisy");
    let bash = std::path::Path::new("bash");
    let script = format!(
        "alekseylearn fit noisy/train.py --config.base_image={base} --quiet
         alekseylearn logs noisy/train 2>&1 | head -n 2; echo codes ${{PIPESTATUS[@]}}
         alekseylearn logs noisy/train --json 2>&1 | head -n 1; echo codes ${{PIPESTATUS[@]}}"
    );
    let mut terminal = sandbox.other_on_terminal(80, bash, &["-c", &script]);
    assert_eq!(terminal.end(), Some(0));
    let screen = terminal.screen();
    assert_eq!(screen.matches("codes 141 0").count(), 2, "{screen}");
    assert!(!screen.contains("error"), "without a word: {screen}");
}
