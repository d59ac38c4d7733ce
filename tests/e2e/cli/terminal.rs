//! What a person sees on a terminal, narrow and wide, and what a pipe gets.

use std::fs;

use alekseylearn_tests::{Handmade, Sandbox};

const WIDTHS: [u16; 2] = [80, 200];

fn sandbox() -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.set("TERM", "xterm").set("LANG", "C.UTF-8");
    sandbox
}

#[test]
fn a_table_keeps_to_the_terminals_width() {
    let sandbox = sandbox();
    for columns in WIDTHS {
        let mut terminal = sandbox.on_terminal(columns, &["driver", "show", "sagemaker"]);
        assert_eq!(terminal.end(), Some(0));
        let raw = terminal.raw();
        let widest = raw.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= columns.into(), "{widest} of {columns}:\n{raw}");
        assert!(raw.contains("--config.output_path"), "{raw}");
    }
    // On a narrow one there is a line for each cell; only a word that has no room there is longer.
    let mut terminal = sandbox.on_terminal(40, &["driver", "show", "sagemaker"]);
    assert_eq!(terminal.end(), Some(0));
    let raw = terminal.raw();
    assert!(
        raw.contains("OPTION       --config.output_path") && raw.contains("\nTYPE         s3://"),
        "{raw}"
    );
    let long = |line: &&str| line.chars().count() > 40 && !line.split(' ').any(|word| word.len() > 27);
    assert_eq!(raw.lines().skip(2).find(long), None);
    // A pipe has no width.
    let piped = sandbox.run(&["driver", "show", "sagemaker"]).success().stdout;
    assert!(piped.lines().any(|line| line.len() > 80), "{piped}");
}

#[test]
fn colours_are_by_convention() {
    let colored = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut sandbox = sandbox();
        for (name, value) in variables {
            sandbox.set(name, value);
        }
        let arguments = [&["status", "nothing"], arguments].concat();
        let mut terminal = sandbox.on_terminal(80, &arguments);
        assert_eq!(terminal.end(), Some(4));
        let piped = sandbox.run(&arguments).failure(4).stderr;
        (terminal.raw().contains("\x1b["), piped.contains("\x1b["))
    };
    for (variables, arguments, expected) in [
        (&[][..], &[][..], (true, false)),
        (&[("NO_COLOR", "1")], &[], (false, false)),
        (&[("CLICOLOR", "0")], &[], (false, false)),
        (&[("CLICOLOR_FORCE", "1")], &[], (true, true)),
        (&[("FORCE_COLOR", "1")], &[], (true, true)),
        (&[("FORCE_COLOR", "1"), ("NO_COLOR", "1")], &[], (false, false)),
        (&[("TERM", "dumb")], &[], (false, false)),
        (&[], &["--color", "never"], (false, false)),
        (&[("NO_COLOR", "1")], &["--color", "always"], (true, true)),
    ] {
        assert_eq!(colored(variables, arguments), expected, "{variables:?} {arguments:?}");
    }
}

#[test]
fn ctrl_c_is_an_answer_to_a_question() {
    let sandbox = sandbox();
    let driver = Handmade::default()
        .head(r#"(import "alekseylearn:driver/s3@$V" "folders" (func (param i32 i32 i32)))"#);
    fs::write(sandbox.path("asks.wasm"), driver.component()).unwrap();
    let install = ["plugin", "install", "asks.wasm"];
    let mut terminal = sandbox.on_terminal(80, &install);
    terminal.wait_for("[y/N]");
    terminal.type_in("\x03");
    assert_eq!(terminal.end(), Some(130));
    assert!(
        sandbox.run(&["plugin", "list", "--json"]).success().data()["plugins"].as_array().unwrap().is_empty()
    );
    let mut terminal = sandbox.on_terminal(80, &install);
    terminal.wait_for("[y/N]");
    terminal.type_in("y\n");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn sentences_are_cut_between_words_and_commands_are_whole() {
    let sandbox = sandbox();
    let mut terminal = sandbox.on_terminal(60, &["status", "nothing", "--color", "never"]);
    assert_eq!(terminal.end(), Some(4));
    let lines: Vec<String> = terminal.raw().lines().map(str::to_owned).collect();
    assert_eq!(
        lines,
        [
            "error: no job or tag `nothing` on this machine",
            "hint: `alekseylearn jobs` lists all jobs; for a job of",
            "  another machine, give the location of its results:",
            "  `alekseylearn fetch DIR TAG s3://bucket/path`",
        ]
    );
    let mut terminal = sandbox.on_terminal(60, &["driver", "show", "sagemaker"]);
    assert_eq!(terminal.end(), Some(0));
    assert!(terminal.raw().contains("\r\n    Folder of the results, as s3://bucket/path\r\n"));
}

#[test]
fn a_revocation_while_an_upgrade_asks_is_not_undone() {
    const LISTS: &str = r#"(import "alekseylearn:driver/s3@$V" "folders" (func (param i32 i32 i32)))"#;
    const STOPS: &str = r#"
        (import "alekseylearn:driver/s3@$V" "folders" (func (param i32 i32 i32)))
        (import "alekseylearn:driver/sagemaker@$V" "stop" (func (param i32 i32)))"#;
    let sandbox = sandbox();
    let write = |imports| {
        fs::write(sandbox.path("mine.wasm"), Handmade::default().head(imports).component()).unwrap();
    };
    write(LISTS);
    sandbox.run(&["plugin", "install", "mine.wasm", "--yes", "--grant", "s3"]).success();
    write(STOPS);
    let mut terminal = sandbox.on_terminal(80, &["plugin", "upgrade", "mine"]);
    terminal.wait_for("[y/N]");
    sandbox.run(&["plugin", "revoke", "mine", "s3"]).success();
    terminal.type_in("y\n");
    assert_eq!(terminal.end(), Some(0));
    let plugins = sandbox.run(&["plugin", "list", "--json"]).success().data();
    assert_eq!(plugins["plugins"][0]["granted"], serde_json::json!(["sagemaker"]));
}
