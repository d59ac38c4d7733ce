//! Kaggle on bad days: credentials, refusals, limits, answers that are lost, names that lead elsewhere.

use std::fs;

use alekseylearn_tests::{archive_text, services_or_skip, skipped};
use serde_json::{Value, json};

use super::{TOKEN, fit, noise, user};

const KERNEL: &str = "ada/work-train-alekseylearn";
const SAVE: &str = "SaveKernel";
const STATUS: &str = "GetKernelSessionStatus";

fn versions(services: &alekseylearn_tests::Services) -> usize {
    services.state("kaggle")["kernels"][KERNEL].as_array().map_or(0, Vec::len)
}

#[test]
fn no_credentials_and_wrong_ones_are_said_before_anything_is_sent() {
    let services = services_or_skip!();
    let mut sandbox = user(&services);
    sandbox.unset("KAGGLE_API_TOKEN");
    let none = sandbox.run(&fit(&[])).failure(3).one_error();
    none.says("no Kaggle credentials found").says("kaggle auth login");
    sandbox.set("KAGGLE_API_TOKEN", "wrong-secret");
    sandbox.run(&fit(&[])).failure(3).one_error().says("Kaggle rejected the token in KAGGLE_API_TOKEN");
    sandbox.unset("KAGGLE_API_TOKEN").set("KAGGLE_USERNAME", "ada").set("KAGGLE_KEY", "wrong-secret");
    sandbox.run(&fit(&[])).failure(3).one_error().says("Kaggle rejected the credentials");
    sandbox.unset("KAGGLE_USERNAME").unset("KAGGLE_KEY");
    sandbox.write_home(".kaggle/credentials.json", r#"{"refresh_token": "wrong-secret"}"#);
    sandbox.run(&fit(&[])).failure(3).one_error().says("run `kaggle auth login` again");
    assert!(services.asked(SAVE).is_empty());
    assert_eq!(sandbox.run(&["jobs", "--json"]).success().data()["jobs"], json!([]));
}

#[test]
fn a_login_that_expires_in_the_middle_is_renewed() {
    let services = services_or_skip!();
    let mut sandbox = user(&services);
    sandbox.unset("KAGGLE_API_TOKEN");
    let login = json!({
        "refresh_token": "refresh-secret", "access_token": TOKEN, "username": "ada",
        "access_token_expiration": "2099-01-01T00:00:00+00:00",
    });
    sandbox.write_home(".kaggle/credentials.json", &login.to_string());
    services.fault(
        &json!({ "path": STATUS, "after": 1, "status": 401, "body": { "code": 401, "message": "expired" } }),
    );
    sandbox.run(&fit(&[])).success();
    let used = |asked: &Value| asked["headers"]["authorization"].as_str().unwrap().to_owned();
    let asked: Vec<String> = services.asked(STATUS).iter().map(used).collect();
    assert_eq!(asked[1], format!("Bearer {TOKEN}"));
    assert_eq!(asked[2], "Bearer made-secret-1");
    assert_eq!(services.asked("GenerateAccessToken").len(), 1, "{asked:?}");
}

#[test]
fn a_token_that_expires_in_the_middle_costs_a_message_and_not_the_job() {
    let services = services_or_skip!();
    let sandbox = user(&services);
    services.fault(&json!({ "path": STATUS, "after": 1, "times": 999, "status": 401, "body": { "code": 401, "message": "expired" } }));
    let run = sandbox.run(&fit(&[])).failure(3).one_error();
    run.says("Kaggle rejected the credentials: expired").says("submitted jobs keep running");
    sandbox.run(&["status", "work/train"]).failure(3);
    services.clear_faults();
    // With a new one, the same command goes on with the same job.
    sandbox.run(&fit(&[])).success().says("resuming");
    assert_eq!(versions(&services), 1);
}

#[test]
fn titles_that_kaggle_would_not_take_are_refused_here() {
    let services = services_or_skip!();
    let sandbox = user(&services);
    for (title, says) in [
        ("abc", "at least 5 characters"),
        ("!!!!!!!", "gives the address ``"),
        ("Übung eins", "characters that Kaggle converts unpredictably"),
        ("a title of more than fifty characters, which Kaggle does not take", "at most 50"),
    ] {
        let title = format!("--config.title={title}");
        sandbox.run(&fit(&[&title])).failure(2).one_error().says(says).says("--config.title");
    }
    let wrong = sandbox.run(&fit(&["--config.dataset_sources=data"])).failure(2).one_error();
    wrong.says("`data` is not a valid name");
    assert!(services.asked(SAVE).is_empty());
}

#[test]
fn source_of_a_megabyte_is_sent_in_another_way_or_refused() {
    let services = services_or_skip!();
    let sandbox = user(&services);
    let long = noise(1_500_000);
    sandbox.write("train.py", &format!("# {}\n", long.replace('\\', "x")));
    sandbox.run(&fit(&[])).success();
    assert_eq!(services.asked("CreateDataset").len(), 1);
    let cell = json!({ "cell_type": "code", "metadata": {}, "outputs": [], "execution_count": null, "source": format!("# {long}") });
    let book = json!({ "nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [cell] });
    sandbox.write("book.ipynb", &book.to_string());
    let run = sandbox.run(&["fit", "book.ipynb", "--train-driver", "kaggle"]).failure(2).one_error();
    run.says("book.ipynb is too long: Kaggle accepts less than 1 MB");
    // Should the service draw its line elsewhere.
    sandbox.write("train.py", "");
    let message = "The kernel source must be less than 1 megabytes in size.";
    services.fault(&json!({ "path": SAVE, "status": 400, "body": { "code": 400, "message": message } }));
    sandbox.run(&fit(&[])).failure(2).one_error().says(message);
    assert_eq!(sandbox.run(&["jobs", "--json"]).success().data()["jobs"].as_array().unwrap().len(), 1);
}

#[test]
fn an_error_under_a_status_of_success_is_one() {
    let services = services_or_skip!();
    let sandbox = user(&services);
    services
        .script("kaggle", &json!({ "saved": { "error": "Maximum batch GPU session count of 2 reached." } }));
    let run = sandbox.run(&fit(&[])).failure(6).one_error();
    run.says("Maximum batch GPU session count of 2 reached").says("wait for other sessions to end");
    assert_eq!(sandbox.run(&["jobs", "--json"]).success().data()["jobs"], json!([]));
    services.script("kaggle", &json!({ "saved": {} }));
    services
        .fault(&json!({ "path": "Quota", "status": 200, "body": { "code": 403, "message": "not yours" } }));
    sandbox.run(&fit(&[])).failure(3).one_error().says("not yours");
}

#[test]
fn a_service_that_asks_for_patience_gets_it() {
    let services = services_or_skip!();
    let sandbox = user(&services);
    let slow = |path: &str, seconds: &str| json!({ "path": path, "status": 429, "headers": { "Retry-After": seconds }, "body": { "code": 429, "message": "slow down" } });
    services.fault(&slow(SAVE, "1"));
    services.fault(&slow(STATUS, "1"));
    services.fault(&slow("logs/stream", "1"));
    sandbox.run(&fit(&[])).success();
    assert_eq!((versions(&services), services.asked(SAVE).len()), (1, 2));
    services.fault(&slow(SAVE, "3600"));
    sandbox.run(&fit(&["--config.timeout=61"])).failure(6).one_error().says("slow down");
    assert_eq!(versions(&services), 1);
}

#[test]
fn a_submission_whose_answer_is_lost_is_found_again() {
    let services = services_or_skip!();
    let sandbox = user(&services);
    services.fault(&json!({ "path": SAVE, "status": 0 }));
    sandbox.run(&fit(&[])).failure(7).one_error();
    assert_eq!(versions(&services), 1, "Kaggle has it");
    sandbox.run(&["status", "work/train"]).success();
    sandbox.run(&fit(&[])).success().says("resuming");
    assert_eq!((versions(&services), services.asked(SAVE).len()), (1, 1));
    // What Kaggle never had is sent.
    services.fault(&json!({ "path": SAVE, "status": 503 }));
    sandbox.run(&fit(&["--config.timeout=61"])).failure(7).one_error();
    sandbox.run(&fit(&["--config.timeout=61"])).success();
    assert_eq!(versions(&services), 2);
}

#[test]
fn other_code_is_another_job() {
    let services = services_or_skip!();
    let sandbox = user(&services);
    services.fault(&json!({ "path": SAVE, "status": 0 }));
    sandbox.run(&fit(&[])).failure(7);
    sandbox.write("train.py", "print('changed')\n");
    sandbox.run(&fit(&[])).success();
    assert_eq!(versions(&services), 2);
}

#[test]
fn a_live_log_that_begins_anew_is_shown_once() {
    let services = services_or_skip!();
    let sandbox = user(&services);
    let lines: Vec<String> = (0..40).map(|number| format!("line {number}")).collect();
    services.script(
        "kaggle",
        &json!({ "log": lines, "live_log_breaks": true, "statuses": ["RUNNING", "RUNNING", "RUNNING", "COMPLETE"] }),
    );
    let run = sandbox.run(&fit(&[])).success();
    let shown: Vec<&str> = run.stdout.lines().filter(|line| line.starts_with("line ")).collect();
    assert_eq!(shown, lines);
    let again = sandbox.run(&["logs", "work/train"]).success();
    assert_eq!(again.stdout.lines().filter(|line| line.starts_with("line ")).count(), lines.len());
}

#[test]
fn words_that_are_not_known_are_taken_for_running_and_said() {
    let services = services_or_skip!();
    let sandbox = user(&services);
    services
        .script("kaggle", &json!({ "statuses": [null, "newScript", "DREAMING", "DREAMING", "complete"] }));
    let events = sandbox.run(&fit(&["--json"])).success().events();
    let states: Vec<(&str, &str)> = events
        .iter()
        .filter(|event| event["event"] == "status")
        .map(|event| (event["state"].as_str().unwrap(), event["detail"].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(states[0], ("queued", ""));
    assert_eq!(states[1].0, "running");
    assert!(states[1].1.contains("unknown Kaggle status DREAMING"), "{states:?}");
}

#[test]
fn only_results_of_our_own_names_are_brought_whatever_page_they_are_on() {
    let services = services_or_skip!();
    let sandbox = user(&services);
    let evil = archive_text("evil", "evil");
    let outputs = json!({
        "../model.tar.gz": evil, "/model.tar.gz": evil, "sub/model.tar.gz": evil, "a": "", "b": "", "c": "",
    });
    services.script("kaggle", &json!({ "outputs": outputs, "page_size": 2 }));
    let run = sandbox.run(&fit(&["--fetch", "out"])).success();
    assert!(run.stdout.contains("It left no model.") && !sandbox.path("out").exists(), "{}", run.stdout);
    let mut outputs = outputs;
    outputs["model.tar.gz"] = archive_text("m", "good");
    outputs["output.tar.gz"] = archive_text("more", "also good");
    // A service that gives whole files only is as good.
    services.script("kaggle", &json!({ "outputs": outputs, "ranges": false }));
    sandbox.run(&fit(&["--config.timeout=61"])).success();
    sandbox.run(&["fetch", "out", "work/train", "--output-data"]).success();
    assert_eq!(fs::read_to_string(sandbox.path("out/m")).unwrap(), "good");
    assert_eq!(fs::read_to_string(sandbox.path("out/output-data/more")).unwrap(), "also good");
    // An archive that would write elsewhere is the unpacker's to refuse.
    services.script("kaggle", &json!({ "outputs": { "model.tar.gz": "no archive" } }));
    sandbox.run(&fit(&["--config.timeout=62"])).success();
    sandbox.run(&["fetch", "other", "work/train"]).failure(1).one_error();
    assert_eq!(fs::read_dir(sandbox.path("other")).map_or(0, Iterator::count), 0);
}

#[test]
fn results_come_only_from_origins_that_were_granted() {
    let services = services_or_skip!();
    let sandbox = user(&services);
    services.script("kaggle", &json!({ "outputs": { "model.tar.gz": archive_text("m", "x") } }));
    sandbox.run(&["plugin", "revoke", "kaggle", "https://www.kaggleusercontent.com"]).success();
    let run = sandbox.run(&fit(&["--fetch", "out"])).failure(3).one_error();
    run.says("`alekseylearn plugin grant kaggle https://www.kaggleusercontent.com`");
    sandbox.run(&["plugin", "grant", "kaggle", "https://www.kaggleusercontent.com"]).success();
    // A redirect leads no further than that.
    services.fault(
        &json!({ "path": "alekseylearn/0/", "status": 302, "headers": { "Location": "https://evil.example/m" } }),
    );
    sandbox
        .run(&["fetch", "out", "work/train"])
        .failure(3)
        .one_error()
        .says("was not granted https://evil.example");
    sandbox.run(&["fetch", "out", "work/train"]).success();
}

#[test]
fn no_program_can_stop_a_session_and_the_page_that_can_is_told() {
    let services = services_or_skip!();
    let sandbox = user(&services);
    services.script("kaggle", &json!({ "statuses": ["RUNNING", "CANCEL_REQUESTED", "CANCEL_ACKNOWLEDGED"] }));
    sandbox.run(&fit(&["--detach"])).success();
    let stop = sandbox.run(&["stop", "work/train"]).failure(8).one_error();
    stop.says("Kaggle's API cannot stop a session").says(&format!("https://www.kaggle.com/code/{KERNEL}"));
    sandbox.run(&["logs", "-f", "work/train"]).failure(0);
    assert_eq!(sandbox.newest_job()["state"], "stopped");
}

#[test]
fn no_secret_is_told_or_kept() {
    let services = services_or_skip!();
    let sandbox = user(&services);
    services.fault(&json!({ "path": "alekseylearn/0/", "status": 500, "times": 99 }));
    services.script("kaggle", &json!({ "outputs": { "model.tar.gz": "x" } }));
    for arguments in
        [fit(&["-v", "--json"]), fit(&["-v", "--dry-run"]), vec!["fetch", "out", "work/train", "-v"]]
    {
        let run = sandbox.run(&arguments);
        assert!(!format!("{}{}", run.stdout, run.stderr).contains(TOKEN), "{arguments:?}");
    }
    sandbox.keeps_none_of(&[TOKEN]);
    for asked in services.asked(SAVE) {
        assert!(!asked["body"].to_string().contains(TOKEN));
    }
}

#[test]
fn no_secret_enters_a_plugins_memory() {
    let services = services_or_skip!();
    let sandbox = user(&services);
    let Some(folder) = std::env::var_os("ALEKSEYLEARN_GUESTS") else {
        return skipped("ALEKSEYLEARN_GUESTS is not set: run `cargo xtask test`");
    };
    let file = std::path::Path::new(&folder).join("remembers.wasm");
    let grant = "https://api.kaggle.com=kaggle";
    sandbox
        .run(&["plugin", "install", file.to_str().unwrap(), "--name", "remembers", "--yes", "--grant", grant])
        .success();
    let look = |needle: &str| {
        let backwards: String = needle.chars().rev().collect();
        let backwards = format!("--config.backwards={backwards}");
        let service = "--config.service=POST https://api.kaggle.com/v1/kernels.KernelsApiService/GetAcceleratorQuotaStatistics";
        sandbox.run(&["fit", "train.py", "-v", "--train-driver", "remembers", service, &backwards]).failure(8)
    };
    look(TOKEN).says("as ada").says("bytes hold it 0 times");
    // It finds what is there, such as a part of the answer.
    let found = look("quotaRefreshTime");
    assert!(!found.stderr.contains("bytes hold it 0 times"), "{}", found.stderr);
}
