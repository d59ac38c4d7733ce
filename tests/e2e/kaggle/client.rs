//! Proof by others: for the same inputs, the requests are those of Kaggle's own client, recorded live by the same
//! recorder; and each is what the types of Kaggle's SDK take.

use std::{fs, path::Path, process::Command};

use alekseylearn_tests::{Sandbox, Services, says, services_or_skip};
use serde_json::{Value, json};

use super::{TOKEN, fit, user};

/// They name the client, or the connection.
const OF_THE_CLIENT: [&str; 7] =
    ["user-agent", "accept", "accept-encoding", "connection", "host", "content-length", "content-type"];

/// Runs the unmodified client, and gives the requests that it made for one method.
fn client(services: &Services, home: &Path, arguments: &[&str], method: &str) -> Vec<Value> {
    let before = services.asked(method).len();
    let python = std::env::var_os("ALEKSEYLEARN_PYTHON").expect("where there are services, there is Python");
    let run = Command::new(python)
        .args(["-m", "kaggle"])
        .args(arguments)
        .env_clear()
        .envs(services.environment())
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("KAGGLE_API_TOKEN", TOKEN)
        .output()
        .expect("the client starts");
    let asked = services.asked(method).split_off(before);
    assert!(!asked.is_empty(), "{arguments:?}: {}{}", text(&run.stdout), text(&run.stderr));
    asked
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What counts of a request.
fn essence(request: &Value) -> Value {
    let mut request = request.clone();
    if let Some(headers) = request["headers"].as_object_mut() {
        headers.retain(|name, _| !OF_THE_CLIENT.contains(&name.as_str()));
    }
    request["length"] = Value::Null;
    // A notebook may be written with more spaces or fewer.
    if request["body"]["kernelType"] == "notebook" {
        let text: Value = serde_json::from_str(request["body"]["text"].as_str().unwrap()).unwrap();
        request["body"]["text"] = text;
    }
    request
}

#[track_caller]
fn same(ours: &[Value], theirs: &[Value]) {
    let essences = |requests: &[Value]| requests.iter().map(essence).collect::<Vec<_>>();
    assert_eq!(essences(ours), essences(theirs));
}

/// A folder as the client wants it, with what went into our request.
fn pushed(sandbox: &Sandbox, folder: &str, request: &Value) -> String {
    let code = if request["kernelType"] == "notebook" { "code.ipynb" } else { "code.py" };
    sandbox.write(&format!("{folder}/{code}"), request["text"].as_str().unwrap());
    let mut metadata = json!({ "id": request["slug"], "title": request["newTitle"], "code_file": code });
    for (theirs, ours) in [
        ("language", "language"),
        ("kernel_type", "kernelType"),
        ("is_private", "isPrivate"),
        ("enable_gpu", "enableGpu"),
        ("enable_tpu", "enableTpu"),
        ("enable_internet", "enableInternet"),
        ("dataset_sources", "datasetDataSources"),
        ("kernel_sources", "kernelDataSources"),
        ("competition_sources", "competitionDataSources"),
        ("model_sources", "modelDataSources"),
        ("keywords", "categoryIds"),
        ("machine_shape", "machineShape"),
        ("docker_image_pinning_type", "dockerImagePinningType"),
    ] {
        if !request[ours].is_null() {
            metadata[theirs] = request[ours].clone();
        }
    }
    sandbox.write(&format!("{folder}/kernel-metadata.json"), &metadata.to_string());
    sandbox.path(folder).to_str().unwrap().to_owned()
}

#[test]
fn kernels_are_saved_looked_at_and_read_as_by_the_client() {
    let services = services_or_skip!();
    let sandbox = user(&services);
    let home = sandbox.path("../home");
    let book = json!({
        "nbformat": 4, "nbformat_minor": 5, "metadata": {},
        "cells": [{ "cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "execution_count": null, "source": ["x = 1\n", "x"] }],
    });
    sandbox.write("book.ipynb", &book.to_string());
    let options = [
        "--config.machine_shape=NvidiaTeslaT4",
        "--config.dataset_sources=ada/data,bob/more",
        "--config.kernel_sources=bob/before",
        "--config.competition_sources=titanic",
        "--config.model_sources=google/gemma/keras/2b/1",
        "--config.keywords=gpu",
        "--config.docker_image_pinning=latest",
        "--config.timeout=600",
    ];
    let save = "KernelsApiService/SaveKernel";
    for (name, arguments, timeout) in [
        ("plain", fit(&[]), None),
        ("full", fit(&options), Some("600")),
        ("closed", fit(&["--config.internet=false", "--config.private=false"]), None),
        ("book", vec!["fit", "book.ipynb", "--train-driver", "kaggle", "--config.hyperparameters.y=2"], None),
    ] {
        sandbox.run(&arguments).success();
        let ours = services.asked(save).pop().unwrap();
        let folder = pushed(&sandbox, &format!("client/{name}"), &ours["body"]);
        let push: Vec<&str> = ["kernels", "push", "-p", &folder].into_iter().collect();
        let push = [push, timeout.map_or(Vec::new(), |seconds| vec!["-t", seconds])].concat();
        same(&[ours], &client(&services, &home, &push, save));
        fs::remove_dir_all(sandbox.path("client")).unwrap();
    }

    // Version 1 of the first: all that is asked of a job.
    let kernel = "ada/work-train-alekseylearn/1";
    let asked = |method: &str| vec![services.asked(method).swap_remove(0)];
    let status = "GetKernelSessionStatus";
    same(&asked(status), &client(&services, &home, &["kernels", "status", kernel], status));
    let log = "kernels/logs/stream";
    let followed = client(&services, &home, &["kernels", "logs", "-f", kernel], log);
    same(&asked(log), &followed);
    assert_eq!(services.asked(log)[0]["headers"]["accept"], followed[0]["headers"]["accept"]);
    let quota = "GetAcceleratorQuotaStatistics";
    same(&asked(quota), &client(&services, &home, &["quota"], quota));
    let list = "ListKernelSessionOutput";
    let job =
        sandbox.run(&["jobs", "--json"]).success().data()["jobs"].as_array().unwrap().last().unwrap().clone();
    sandbox.run(&["fetch", "out", job["name"].as_str().unwrap()]).failure(4);
    let out = sandbox.path("client-out");
    let output = ["kernels", "output", kernel, "-p", out.to_str().unwrap(), "--page-size", "100"];
    same(&asked(list), &client(&services, &home, &output, list)[..1]);
}

#[test]
fn datasets_are_made_as_by_the_client() {
    let services = services_or_skip!();
    let sandbox = user(&services);
    sandbox.write("noise.txt", &super::noise(2_000_000));
    sandbox.run(&fit(&[])).success();
    let (start, put, create) = ("StartBlobUpload", "upload/storage", "CreateDataset");
    let ours = |method: &str| services.asked(method).swap_remove(0);
    let (started, sent, created) = (ours(start), ours(put), ours(create));
    let body = &created["body"];
    let slug = format!("ada/{}", body["slug"].as_str().unwrap());

    // Elsewhere, where that dataset is not yet there: the client makes the same.
    let other = Services::start().expect("they were there before");
    let metadata =
        json!({ "id": slug, "title": body["title"], "licenses": [{ "name": body["licenseName"] }] });
    let name = started["body"]["name"].as_str().unwrap();
    sandbox.write("dataset/dataset-metadata.json", &metadata.to_string());
    let size = started["body"]["contentLength"].as_u64().unwrap();
    sandbox.write(&format!("dataset/{name}"), &"x".repeat(size.try_into().unwrap()));
    let folder = sandbox.path("dataset");
    let arguments = ["datasets", "create", "-p", folder.to_str().unwrap()];
    let home = sandbox.path("../home");
    let mut their_start = client(&other, &home, &arguments, start).swap_remove(0);
    // When the file was written is told; ours is named by its content.
    their_start["body"]["lastModifiedEpochSeconds"] = 0.into();
    same(&[started], &[their_start]);
    same(&[created], &other.asked(create));
    let theirs = other.asked(put).swap_remove(0);
    assert_eq!(
        (&sent["path"], &sent["query"], &sent["headers"]["content-length"]),
        (&theirs["path"], &theirs["query"], &theirs["headers"]["content-length"])
    );
    let status = "GetDatasetStatus";
    same(&[ours(status)], &other.asked(status)[..1]);
}

#[test]
fn every_request_is_what_the_types_of_kaggles_sdk_take() {
    let services = services_or_skip!();
    let mut sandbox = user(&services);
    sandbox.unset("KAGGLE_API_TOKEN");
    sandbox
        .write_home(".kaggle/credentials.json", r#"{"refresh_token": "refresh-secret", "username": "ada"}"#);
    sandbox.write("noise.txt", &super::noise(2_000_000));
    services.fault(&json!({ "path": "SaveKernel", "status": 0 }));
    let all = ["--config.machine_shape=TpuV5E8", "--config.dataset_sources=ada/data", "--config.timeout=600"];
    sandbox.run(&fit(&all)).failure(7);
    sandbox.run(&fit(&all)).success();
    sandbox.set("KAGGLE_API_TOKEN", TOKEN);
    sandbox.run(&["fetch", "out", "work/train"]).failure(4);
    let said = says("services.kaggle.types", &Value::Array(services.asked("")).to_string());
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(lines[0].parse::<usize>().unwrap() > 10, "{said}");
    for method in [
        "IntrospectToken",
        "GenerateAccessToken",
        "SaveKernel",
        "GetKernel",
        "GetKernelSessionStatus",
        "ListKernelSessionOutput",
        "GetAcceleratorQuotaStatistics",
        "StartBlobUpload",
        "CreateDataset",
        "GetDatasetStatus",
    ] {
        assert!(!services.asked(method).is_empty(), "{method} was not asked for");
    }
}
