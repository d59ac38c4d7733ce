//! Requests of plugins: to granted origins only, with credentials that they never see.

use std::path::Path;

use alekseylearn_tests::{Run, Sandbox, Service, guests_or_skip};
use serde_json::json;

const SECRET: &str = "SECRETTOKEN";

/// A component of `tests/guests`.
fn guest(guests: &Path, name: &str) -> String {
    guests.join(format!("{name}.wasm")).to_str().expect("a path of ours").to_owned()
}

fn user() -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    sandbox.set("EXAMPLE_TOKEN", SECRET);
    sandbox
}

fn run(sandbox: &Sandbox, name: &str, service: &str) -> Run {
    let service = format!("--config.service={service}");
    sandbox.run(&["fit", "train.py", "-v", "--train-driver", name, &service])
}

#[test]
fn a_granted_origin_gets_the_credential_and_the_plugin_does_not() {
    let file = guest(&guests_or_skip!(), "requests");
    let (sandbox, service) = (user(), Service::new());
    let address = service.address();
    let grant = format!("{address}=env:EXAMPLE_TOKEN");
    let install = ["plugin", "install", &file, "--name", "requests", "--yes", "--grant", &grant];
    sandbox.run(&install).success();
    let run = run(&sandbox, "requests", address).failure(8).one_error();
    for seen in [
        "200 welcome",
        "sent 3145728",
        "streamed 3145728",
        "read 3145728",
        "302 to Some(\"elsewhere\")",
        "missing: true",
    ] {
        assert!(
            format!("{}{}", run.stdout, run.stderr).contains(seen),
            "no {seen} in\n{}\n{}",
            run.stdout,
            run.stderr
        );
    }
    let asked = service.asked();
    assert_eq!(asked[0].line, "GET /greeting?who=you");
    assert_eq!(asked[0].header("x-greeting"), Some("hello"));
    assert_eq!(asked.len(), 6, "{asked:?}");
    for request in &asked {
        assert_eq!(request.header("authorization"), Some("Bearer SECRETTOKEN"), "{request:?}");
        assert_eq!(request.header("host"), address.strip_prefix("http://"), "{request:?}");
    }
    // Nor does anybody else.
    assert!(!format!("{}{}", run.stdout, run.stderr).contains(SECRET));
    let list = sandbox.run(&["plugin", "list", "--json"]).success();
    assert_eq!(list.data()["plugins"][0]["granted"], json!([grant]));
    assert!(!list.stdout.contains(SECRET));
}

#[test]
fn a_credential_that_is_missing_is_said_with_its_remedy() {
    let file = guest(&guests_or_skip!(), "requests");
    let (mut sandbox, service) = (user(), Service::new());
    let address = service.address();
    let grant = |credential: &str| format!("{address}={credential}");
    let install = |sandbox: &Sandbox, grant: &str| {
        sandbox.run(&["plugin", "install", &file, "--name", "requests", "--yes", "--grant", grant]).success();
    };
    sandbox.unset("EXAMPLE_TOKEN");
    install(&sandbox, &grant("env:EXAMPLE_TOKEN"));
    run(&sandbox, "requests", address)
        .failure(3)
        .one_error()
        .says("set the environment variable EXAMPLE_TOKEN");
    let token = sandbox.path("token");
    install(&sandbox, &grant(&format!("file:{}", token.display())));
    run(&sandbox, "requests", address).failure(3).one_error().says("write the token to");
    assert!(service.asked().is_empty());
    sandbox.write("token", "Basic U0VDUkVU\n");
    run(&sandbox, "requests", address).failure(8).one_error();
    assert_eq!(service.asked()[0].header("authorization"), Some("Basic U0VDUkVU"));
    // A service that is not there is said as well.
    sandbox.run(&["plugin", "grant", "requests", "http://127.0.0.1:1"]).success();
    run(&sandbox, "requests", "http://127.0.0.1:1")
        .failure(7)
        .one_error()
        .says("cannot connect to http://127.0.0.1:1");
}

#[test]
fn a_dry_run_asks_and_changes_nothing() {
    let file = guest(&guests_or_skip!(), "rehearses");
    let (sandbox, service) = (user(), Service::new());
    let address = service.address();
    sandbox.run(&["plugin", "install", &file, "--name", "rehearses", "--yes", "--grant", address]).success();
    let option = format!("--config.service={address}");
    let run = sandbox.run(&["fit", "train.py", "--dry-run", "--train-driver", "rehearses", &option]);
    run.failure(3).one_error().says(&format!("may not send POST to {address} in a dry run"));
    let asked: Vec<String> = service.asked().into_iter().map(|request| request.line).collect();
    assert_eq!(asked, ["GET /greeting"]);
}

#[test]
fn nothing_else_can_be_reached() {
    let file = guest(&guests_or_skip!(), "reaches");
    let (sandbox, service) = (user(), Service::new());
    let address = service.address();
    let name = address.replace("http://127.0.0.1", "https://localhost");
    let grants = format!("{address}=env:EXAMPLE_TOKEN,{name}");
    sandbox.run(&["plugin", "install", &file, "--name", "reaches", "--yes", "--grant", &grants]).success();
    let run = run(&sandbox, "reaches", address).failure(3).one_error();
    run.says("the plugin reaches was not granted https://ungranted.example.com")
        .says("`alekseylearn plugin grant reaches https://ungranted.example.com`");
    assert_eq!(service.asked().len(), 1, "only the redirect was asked for: {:?}", service.asked());
}

#[test]
fn origins_are_asked_for_granted_and_revoked() {
    let file = guest(&guests_or_skip!(), "requests");
    let sandbox = user();
    let wanted = ["https://api.example.com=env:EXAMPLE_TOKEN", "https://open.example.com"];
    assert_eq!(sandbox.run(&["plugin", "show", &file, "--json"]).success().data()["wants"], json!(wanted));
    let refused = sandbox.run(&["plugin", "install", &file]).failure(3).one_error();
    refused
        .says(
            "send requests to https://api.example.com, with the token of EXAMPLE_TOKEN added by alekseylearn",
        )
        .says(&format!("--yes --grant {}", wanted.join(",")));
    let granted =
        || sandbox.run(&["plugin", "list", "--json"]).success().data()["plugins"][0]["granted"].clone();
    let install =
        |grant: &str| sandbox.run(&["plugin", "install", &file, "--yes", "--grant", grant]).success();
    // The origin alone is not the origin with a credential.
    install("https://API.example.com:443").says("also wants https://api.example.com=env:EXAMPLE_TOKEN");
    assert_eq!(granted(), json!(["https://api.example.com"]));
    // What was granted before is kept, and another credential takes its place.
    install("https://open.example.com");
    assert_eq!(granted(), json!(["https://api.example.com", "https://open.example.com"]));
    sandbox.run(&["plugin", "grant", "guests", "https://api.example.com=env:OTHER"]).success();
    install("private:https://mlflow.example.com")
        .says("also wants https://api.example.com=env:EXAMPLE_TOKEN");
    assert_eq!(
        granted(),
        json!([
            "https://api.example.com=env:OTHER",
            "private:https://mlflow.example.com",
            "https://open.example.com",
        ])
    );
    sandbox
        .run(&["plugin", "revoke", "guests", "https://api.example.com", "https://mlflow.example.com"])
        .success();
    assert_eq!(granted(), json!(["https://open.example.com"]));
    sandbox.run(&["plugin", "lock"]).success();
    let other = user();
    other.write("alekseylearn.lock", &std::fs::read_to_string(sandbox.path("alekseylearn.lock")).unwrap());
    other.run(&["plugin", "install", "--locked", "--yes"]).success();
    let of_the_file =
        other.run(&["plugin", "list", "--json"]).success().data()["plugins"][0]["granted"].clone();
    assert_eq!(of_the_file, json!([]), "a file grants nothing");
    for wrong in ["http://example.com", "https://a/b", "https://u@a", "https://a=token", "private:http://a"] {
        sandbox.run(&["plugin", "grant", "guests", wrong]).failure(2);
    }
}
