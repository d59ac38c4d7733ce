//! Help, versions and `--json`: what scripts and people rely on.

use std::fs;

use alekseylearn_tests::{Sandbox, workspace};

/// A command and all below it, in the order in which its help lists them.
fn walk(sandbox: &Sandbox, command: &[String], help: &mut String) {
    let arguments: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
    let text = sandbox.run(&arguments).success().stdout;
    *help += &format!("$ alekseylearn {}\n{text}\n", arguments.join(" "));
    let listed =
        text.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names =
        listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next().filter(|name| !name.is_empty()));
    for name in names.filter(|name| *name != "help") {
        walk(sandbox, &[command, &[name.to_owned()]].concat(), help);
    }
}

/// The whole help in one file, so that every change of the command line is seen. `UPDATE=1` writes it anew.
#[test]
fn the_help_is_as_documented() {
    let mut sandbox = Sandbox::new();
    sandbox.set("COLUMNS", "100");
    let mut help = String::new();
    walk(&sandbox, &[], &mut help);
    for command in ["report", "reproduce", "jobs diff", "plugin verify"] {
        assert!(help.contains(&format!("$ alekseylearn {command} --help\n")), "{command}");
    }
    let path = workspace().join("tests/e2e/cli/help.txt");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &help).unwrap();
    }
    assert_eq!(help, fs::read_to_string(&path).unwrap(), "UPDATE=1 cargo test -p alekseylearn-tests help");
}

#[test]
fn the_drivers_are_listed_with_what_they_may() {
    let sandbox = Sandbox::new();
    let drivers = sandbox.run(&["driver", "list", "--json"]).success().data()["drivers"].clone();
    let list: Vec<(&str, &str)> = drivers
        .as_array()
        .unwrap()
        .iter()
        .map(|driver| (driver["kind"].as_str().unwrap(), driver["name"].as_str().unwrap()))
        .collect();
    assert_eq!(
        list,
        [
            ("build", "daemonless"),
            ("build", "local"),
            ("build", "local-gpu"),
            ("train", "local"),
            ("train", "local-gpu"),
            ("train", "sagemaker"),
            ("train", "venv")
        ]
    );
    assert_eq!(drivers[0]["granted"], serde_json::json!(["oci"]));
    assert_eq!(drivers[1]["granted"], serde_json::json!(["docker"]));
}

#[test]
fn a_driver_documents_its_options() {
    let sandbox = Sandbox::new();
    let text = sandbox.run(&["driver", "show", "sagemaker"]).success().stdout;
    for part in [
        "--config.output_path",
        "(required)",
        "ml.c4.2xlarge  Instance type",
        "or streamed (File, FastFile, Pipe)",
        "(1 to 30)",
        "(at least 1)",
    ] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
    sandbox.run(&["driver", "show", "nothing"]).failure(4).one_error();
}

#[test]
fn a_first_run_needs_no_cache_and_leaves_a_private_one() {
    use std::os::unix::fs::PermissionsExt;
    let mut sandbox = Sandbox::new();
    let cache = sandbox.path("cache");
    sandbox.set("XDG_CACHE_HOME", cache.to_str().unwrap());
    sandbox.run(&["driver", "list"]).success();
    let folder = cache.join("alekseylearn/drivers");
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    let compiled: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(compiled.len(), 4, "one for each plugin");
    // Damaged files are made again.
    for path in &compiled {
        fs::write(path, "not compiled code").unwrap();
    }
    sandbox.run(&["driver", "list"]).success();
}

#[test]
fn errors_are_events_too() {
    let sandbox = Sandbox::new();
    let run = sandbox.run(&["status", "nothing", "--json"]).failure(4);
    let events = run.events();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["event"], "error");
    assert_eq!(events[0]["kind"], "not-found");
    assert_eq!(events[0]["exit_code"], 4);
    assert!(events[0]["hint"].is_string());
    assert_eq!(run.stderr, "");
}

/// The three places that tell exit codes.
#[test]
fn the_help_and_the_schema_tell_the_same_exit_codes() {
    let sandbox = Sandbox::new();
    let help = sandbox.run(&["--help"]).success().stdout;
    let (_, table) = help.split_once("Exit codes:\n").unwrap();
    let row = |line: &str| line.split_whitespace().next().unwrap().parse::<u64>().unwrap();
    let codes: Vec<u64> = table.lines().map(row).collect();
    assert_eq!(codes[0], 0);
    let schema = sandbox.run(&["schema", "--json"]).success().data();
    let events = schema["$defs"]["event"]["oneOf"].as_array().unwrap();
    let error = events.iter().find(|event| event["properties"]["event"]["const"] == "error").unwrap();
    assert_eq!(error["properties"]["exit_code"]["enum"], serde_json::json!(codes[1..]));
    let pairs =
        error["anyOf"].as_array().unwrap().iter().map(|pair| &pair["properties"]["exit_code"]["const"]);
    assert!(pairs.map(|code| code.as_u64().unwrap()).eq(codes[1..].iter().copied()));
}

#[test]
fn a_wrong_command_line_is_an_event_too() {
    let sandbox = Sandbox::new();
    for words in [
        &["fit", "--nothing", "--json"][..],
        &["--json", "fetch", "out"],
        &["--json"],
        &["--json", "nothing"],
    ] {
        let run = sandbox.run(words).failure(2);
        let events = run.events();
        assert_eq!((events.len(), run.stderr.as_str()), (1, ""), "{words:?}");
        assert_eq!(
            (&events[0]["event"], &events[0]["kind"]),
            (&"error".into(), &"invalid".into()),
            "{words:?}"
        );
        assert!(events[0]["hint"].as_str().unwrap().contains("--help"), "{}", events[0]);
    }
    // A driver's own words are not ours.
    assert!(sandbox.run(&["fit", "--nothing", "--", "--json"]).failure(2).stderr.starts_with("error: "));
}

#[test]
fn no_jobs_is_no_error() {
    let sandbox = Sandbox::new();
    sandbox.run(&["jobs"]).success();
    assert_eq!(sandbox.run(&["jobs", "--json"]).success().data(), serde_json::json!({ "jobs": [] }));
}
