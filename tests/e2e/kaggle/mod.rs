//! Training on Kaggle: a plugin that is installed from its file, against the scripted service.

mod client;
mod faults;

use std::fs;

use alekseylearn_tests::{Sandbox, Services, archive_text, base_image_or_skip, services_or_skip};
use serde_json::{Value, json};

use crate::project::projects::{POETRY, PYPROJECT, poetry_lock, uv_lock};

/// As a user types them.
pub(crate) const GRANTS: &str = "https://api.kaggle.com=kaggle,https://www.kaggleusercontent.com,\
                                 https://storage.googleapis.com,https://www.googleapis.com";
pub(crate) const TOKEN: &str = "KGAT_secret";
const SAVE: &str = "KernelsApiService/SaveKernel";

/// A user of Kaggle with the plugin and a script.
pub(crate) fn user(services: &Services) -> Sandbox {
    let mut sandbox = Sandbox::new();
    services.lead(&mut sandbox);
    sandbox.set("KAGGLE_API_TOKEN", TOKEN);
    sandbox.write("train.py", "print('trained')\n");
    sandbox.run(&["plugin", "install", "kaggle", "--yes", "--grant", GRANTS]).success();
    sandbox
}

pub(crate) fn fit<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["fit", "train.py", "--train-driver", "kaggle"], more].concat()
}

/// The request that saved the kernel.
fn saved(services: &Services) -> Value {
    services.asked(SAVE).pop().expect("a kernel was saved")["body"].clone()
}

/// What no packing makes much smaller.
pub(crate) fn noise(length: usize) -> String {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'0' + (state >> 24) as u8 % 64)
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn a_script_is_trained_and_its_model_comes_home() {
    let services = services_or_skip!();
    let sandbox = user(&services);
    services.script(
        "kaggle",
        &json!({
            "log": ["one", "two"],
            "outputs": { "model.tar.gz": archive_text("weights.txt", "42"), "other.csv": "a,b" },
        }),
    );
    let run = sandbox.run(&fit(&["--fetch", "out"])).success();
    run.says("kaggle needs no image: skipping the build")
        .says("https://www.kaggle.com/code/ada/work-train-alekseylearn");
    assert_eq!(fs::read_to_string(sandbox.path("out/weights.txt")).unwrap(), "42");
    let request = saved(&services);
    assert_eq!(request["slug"], "ada/work-train-alekseylearn");
    assert_eq!(request["newTitle"], "work train alekseylearn");
    assert_eq!(
        (&request["isPrivate"], &request["enableInternet"], &request["kernelType"]),
        (&json!(true), &json!(true), &json!("script"))
    );
    // Outputs are signed: the credential goes nowhere else.
    for asked in services.asked("") {
        let has = asked["headers"].get("authorization").is_some();
        assert_eq!(has, asked["host"] == "api.kaggle.com", "{asked}");
    }
}

#[test]
fn what_a_script_leaves_is_what_it_leaves_everywhere() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    services.script("kaggle", &json!({ "image": base }));
    let sandbox = user(&services);
    sandbox.project("tests/projects/hyperparameters");
    let file = "hyperparameters/train.py";
    let run = sandbox.run(&[
        "fit",
        file,
        "--train-driver",
        "kaggle",
        "--config.hyperparameters.epochs=3",
        "--config.environment.COLOUR=blue",
        "--config.internet=false",
        "--fetch",
        "out",
    ]);
    run.success();
    let seen: Value = serde_json::from_slice(&fs::read(sandbox.path("out/seen.json")).unwrap()).unwrap();
    assert_eq!(seen["arguments"], json!(["--epochs", "3"]), "{seen}");
    assert_eq!(seen["environment"]["SM_MODEL_DIR"], "/opt/ml/model");
    assert_eq!(seen["environment"]["COLOUR"], "blue");
}

#[test]
fn a_notebook_is_trained_with_what_lies_beside_it() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    services.script("kaggle", &json!({ "image": base }));
    let sandbox = user(&services);
    sandbox.write("book/helper.py", "def double(x):\n    return 2 * x\n");
    sandbox.write("book/data/start.txt", "20");
    let cell = |tags: Value, source: Value, outputs: Value| {
        json!({
            "cell_type": "code", "metadata": { "tags": tags }, "execution_count": 1, "outputs": outputs, "source": source,
        })
    };
    let picture = json!([{ "output_type": "stream", "name": "stdout", "text": "x".repeat(2_000_000) }]);
    let book = json!({
        "nbformat": 4, "nbformat_minor": 5, "metadata": { "kernelspec": { "name": "python3" } },
        "cells": [
            cell(json!(["parameters"]), json!(["steps = 1\n", "name = 'nobody'"]), picture),
            cell(json!([]), json!([
                "import os, helper\n",
                "start = int(open('data/start.txt').read())\n",
                "text = f'{name} {helper.double(start) + steps} {os.environ[\"SM_MODEL_DIR\"]}'\n",
                "open('/opt/ml/model/m.txt', 'w').write(text)",
            ]), json!([])),
        ],
    });
    sandbox.write("book/train.ipynb", &book.to_string());
    let run = sandbox.run(&[
        "fit",
        "book/train.ipynb",
        "--train-driver",
        "kaggle",
        "--config.hyperparameters.steps=2",
        "--config.hyperparameters.name=ada",
        "--fetch",
        "out",
    ]);
    run.success();
    assert_eq!(fs::read_to_string(sandbox.path("out/m.txt")).unwrap(), "ada 42 /opt/ml/model");
    let request = saved(&services);
    let text: Value = serde_json::from_str(request["text"].as_str().unwrap()).unwrap();
    for cell in text["cells"].as_array().unwrap() {
        assert!(cell["source"].is_string() && cell["outputs"] == json!([]), "{cell}");
    }
}

#[test]
fn a_notebook_that_fails_leaves_what_it_has_written() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    services.script("kaggle", &json!({ "image": base }));
    let sandbox = user(&services);
    let cell = |source: &str| json!({ "cell_type": "code", "metadata": {}, "execution_count": null, "outputs": [], "source": source });
    let book = json!({
        "nbformat": 4, "nbformat_minor": 4, "metadata": {},
        "cells": [
            cell("open('/opt/ml/output/data/seen', 'w').write('42')"),
            cell("raise ValueError('no such column')"),
            cell("open('/opt/ml/output/data/never', 'w').write('x')"),
        ],
    });
    sandbox.write("book.ipynb", &book.to_string());
    sandbox.run(&["fit", "book.ipynb", "--train-driver", "kaggle"]).failure(10);
    sandbox.run(&["fetch", "out", "work/book", "--output-data"]).success();
    assert_eq!(fs::read_to_string(sandbox.path("out/output-data/seen")).unwrap(), "42");
    assert!(!sandbox.path("out/output-data/never").exists());
}

#[test]
fn a_large_folder_becomes_a_dataset_which_is_sent_once() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    services.script("kaggle", &json!({ "image": base, "interruptions": 2 }));
    let sandbox = user(&services);
    let noise = noise(2_000_000);
    sandbox.write("data/noise.txt", &noise);
    sandbox.write(
        "train.py",
        "import hashlib, pathlib\nnoise = pathlib.Path('data/noise.txt').read_bytes()\n\
         pathlib.Path('/opt/ml/model/sum').write_text(hashlib.sha256(noise).hexdigest())\n",
    );
    // Not into the training folder.
    sandbox.run(&fit(&["--fetch", "../home/out"])).success();
    let expected = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(noise));
    assert_eq!(fs::read_to_string(sandbox.path("../home/out/sum")).unwrap(), expected);
    let puts = services.asked("upload/storage");
    let ranges: Vec<&str> =
        puts.iter().map(|put| put["headers"]["content-range"].as_str().unwrap_or("-")).collect();
    assert_eq!(ranges.len(), 5, "sent, asked, sent, asked, sent: {ranges:?}");
    assert!(ranges[1].starts_with("bytes */") && ranges[3].starts_with("bytes */"), "{ranges:?}");
    let sent: u64 = puts.iter().map(|put| put["length"].as_u64().unwrap()).sum();
    let whole = puts[0]["length"].as_u64().unwrap();
    assert!(sent < whole * 7 / 4 + 2, "what had arrived was not sent again: {sent} of {whole}");
    let datasets = services.state("kaggle")["datasets"].clone();
    let (name, dataset) = datasets.as_object().unwrap().iter().next().unwrap();
    assert_eq!(dataset["request"]["isPrivate"], true);
    assert_eq!(saved(&services)["datasetDataSources"], json!([name]));
    assert!(saved(&services)["text"].as_str().unwrap().len() < 100_000);

    // The same folder again.
    sandbox.run(&fit(&["--config.timeout=600"])).success().says("Project unchanged: already on Kaggle");
    assert_eq!(services.asked("StartBlobUpload").len(), 1);
    assert_eq!(
        services.state("kaggle")["kernels"]["ada/work-train-alekseylearn"].as_array().unwrap().len(),
        2
    );
}

#[test]
fn an_upload_that_kaggle_has_forgotten_begins_anew() {
    let services = services_or_skip!();
    services.script("kaggle", &json!({ "interruptions": 1, "lose_uploads": true }));
    let sandbox = user(&services);
    sandbox.write("noise.txt", &noise(2_000_000));
    sandbox.run(&fit(&[])).success();
    assert!(services.asked("StartBlobUpload").len() >= 2);
    assert_eq!(services.state("kaggle")["datasets"].as_object().unwrap().len(), 1);
}

#[test]
fn a_very_large_folder_goes_in_chunks() {
    let services = services_or_skip!();
    let sandbox = user(&services);
    sandbox.write("noise.txt", &noise(25_000_000));
    sandbox.run(&fit(&[])).success();
    let puts = services.asked("upload/storage");
    let ranges: Vec<&str> =
        puts.iter().map(|put| put["headers"]["content-range"].as_str().unwrap()).collect();
    assert_eq!(ranges.len(), 3, "{ranges:?}");
    assert!(ranges[1].starts_with("bytes 8388608-16777215/"), "{ranges:?}");
    let datasets = services.state("kaggle")["datasets"].clone();
    let (_, dataset) = datasets.as_object().unwrap().iter().next().unwrap();
    let (name, sum) = dataset["files"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(*name, format!("alekseylearn-{}.bin", &sum.as_str().unwrap()[..16]), "it arrived whole");
}

#[test]
fn requirements_are_installed_where_there_is_internet() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    services.script("kaggle", &json!({ "image": base }));
    let sandbox = user(&services);
    alekseylearn_tests::wheel(&sandbox.path("wheels"), "ours", "1.2");
    sandbox.write("requirements.txt", "--no-index\n./wheels/ours-1.2-py3-none-any.whl\n");
    sandbox.write("train.py", "import ours\nprint('ours is', ours.VERSION)\n");
    let run = sandbox.run(&fit(&[])).success();
    assert!(run.stdout.contains("ours is 1.2"), "{}", run.stdout);
    sandbox
        .run(&fit(&["--config.internet=false"]))
        .failure(10)
        .says("the packages in requirements.txt will not be installed: the session has no internet access")
        .says("ModuleNotFoundError: No module named 'ours'");
    sandbox.write("requirements.txt", "--no-index\nnothing-of-that-name==1\n");
    sandbox.run(&fit(&[])).failure(10).says("cannot install requirements.txt");
}

/// Installs from such files, as an image would, and trains a script that uses what was installed and a package in `src`.
fn installs_firstly(files: &[(&str, &str)]) {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    services.script("kaggle", &json!({ "image": base }));
    let sandbox = user(&services);
    alekseylearn_tests::wheel(&sandbox.path(""), "firstly", "1.0");
    sandbox.write("src/own/__init__.py", "NAME = 'own'\n");
    for (name, text) in files {
        sandbox.write(name, text);
    }
    sandbox.write("train.py", "import firstly, own\nprint('firstly', firstly.VERSION, own.NAME)\n");
    let run = sandbox.run(&fit(&[])).success();
    assert!(run.stdout.contains("firstly 1.0 own"), "{}", run.stdout);
    // Nor is it left out in silence where nothing can be fetched.
    let run = sandbox.run(&fit(&["--config.internet=false"])).failure(10);
    run.says("will not be installed: the session has no internet access").says("No module named 'firstly'");
}

#[test]
fn a_pyproject_is_installed_on_kaggle() {
    installs_firstly(&[("pyproject.toml", PYPROJECT)]);
}

#[test]
fn a_uv_lock_is_installed_on_kaggle() {
    installs_firstly(&[("pyproject.toml", PYPROJECT), ("uv.lock", &uv_lock())]);
}

#[test]
fn a_poetry_lock_is_installed_on_kaggle() {
    installs_firstly(&[("pyproject.toml", POETRY), ("poetry.lock", &poetry_lock())]);
}

#[test]
fn a_lock_that_kaggle_cannot_install_is_said() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    services.script("kaggle", &json!({ "image": base }));
    let sandbox = user(&services);
    let lock = uv_lock().replace("firstly-1.0-py3-none-any.whl", "elsewhere-1.0-py3-none-any.whl");
    alekseylearn_tests::wheel(&sandbox.path(""), "elsewhere", "1.0");
    sandbox.write("pyproject.toml", PYPROJECT);
    sandbox.write("uv.lock", &lock);
    sandbox.run(&fit(&[])).failure(10).one_error().says("cannot install uv.lock");
}

#[test]
fn a_dry_run_shows_the_request_that_would_be_sent() {
    let services = services_or_skip!();
    let sandbox = user(&services);
    let options = ["--config.dataset_sources=ada/data", "--config.machine_shape=NvidiaTeslaT4"];
    let dry = sandbox.run(&fit(&[&options[..], &["--dry-run", "--json"]].concat())).success().data();
    assert!(services.asked(SAVE).is_empty(), "nothing was asked for");
    assert_eq!(dry["image"], Value::Null);
    let shown = sandbox.run(&fit(&[&options[..], &["--dry-run"]].concat())).success();
    assert!(shown.stdout.contains("kaggle needs no image") && shown.stdout.len() < 5_000, "{}", shown.stdout);
    sandbox.run(&fit(&options)).success();
    let without_name = |request: &Value| {
        let mut request = request.clone();
        let text = request["text"].as_str().unwrap().len();
        request["text"] = text.into();
        request
    };
    assert_eq!(without_name(&dry["request"]), without_name(&saved(&services)));
}

#[test]
fn options_reach_the_request_and_what_kaggle_keeps_to_itself_is_said() {
    let services = services_or_skip!();
    let sandbox = user(&services);
    services.script(
        "kaggle",
        &json!({ "saved": { "invalidDatasetSources": ["ada/gone"], "invalidTags": ["odd"], "invalidModelSources": null } }),
    );
    let run = sandbox.run(&fit(&[
        "-v",
        "--config.title=My Own Title",
        "--config.private=false",
        "--config.machine_shape=NvidiaTeslaP100",
        "--config.dataset_sources=ada/data, ada/gone",
        "--config.kernel_sources=bob/before",
        "--config.competition_sources=titanic",
        "--config.model_sources=google/gemma/keras/2b/1",
        "--config.keywords=gpu,odd",
        "--config.timeout=600",
        "--config.docker_image_pinning=latest",
    ]));
    run.success()
        .says("the accelerator NvidiaTeslaP100 is retired")
        .says("29.0 of 30 hours of GPU are left this week")
        .says("20.0 of 20 hours of TPU are left this week")
        .says("ignored unknown values of --config.dataset_sources: ada/gone")
        .says("ignored unknown values of --config.keywords: odd");
    let mut request = saved(&services);
    request["text"] = Value::Null;
    assert_eq!(
        request,
        json!({
            "slug": "ada/my-own-title", "newTitle": "My Own Title", "text": null, "language": "python",
            "kernelType": "script", "isPrivate": false, "enableGpu": false, "enableTpu": false,
            "enableInternet": true, "sessionTimeoutSeconds": 600, "machineShape": "NvidiaTeslaP100",
            "dockerImagePinningType": "latest", "datasetDataSources": ["ada/data", "ada/gone"],
            "kernelDataSources": ["bob/before"], "competitionDataSources": ["titanic"],
            "modelDataSources": ["google/gemma/keras/2b/1"], "categoryIds": ["gpu", "odd"],
        })
    );
    let spent = json!({ "gpuQuota": { "timeUsed": "108000s", "totalTimeAllowed": "108000s" } });
    services.script("kaggle", &json!({ "quota": spent }));
    let gpu = sandbox.run(&fit(&["--config.machine_shape=NvidiaTeslaT4"]));
    gpu.failure(2).one_error().says("0.0 of 30 hours of GPU are left this week");
}

/// Where a credential is, and what becomes of it.
#[test]
fn credentials_are_found_in_the_order_of_kaggles_own_client() {
    let services = services_or_skip!();
    services.script(
        "kaggle",
        &json!({
            "tokens": { "KGAT_secret": "ada", "KGAT_file": "ada", "login-token": "ada" },
            "keys": { "ada": "key-secret", "bob": "other-key", "xdg": "xdg-key" },
        }),
    );
    let basic =
        |text: &str| format!("Basic {}", base64::Engine::encode(&base64::prelude::BASE64_STANDARD, text));
    let mut sandbox = user(&services);
    sandbox.unset("KAGGLE_API_TOKEN");
    let used = |sandbox: &Sandbox| {
        sandbox.run(&fit(&["--dry-run"])).success();
        let asked = services.asked("GetAcceleratorQuotaStatistics").pop().unwrap();
        asked["headers"]["authorization"].as_str().unwrap().to_owned()
    };
    // From the last to the first: each wins over those before.
    let login = |until: &str| {
        json!({
            "refresh_token": "refresh-secret", "access_token": "login-token",
            "access_token_expiration": until, "username": "ada", "scopes": [],
        })
        .to_string()
    };
    sandbox.write_home(".kaggle/credentials.json", &login("2020-01-01T00:00:00.123456+00:00"));
    assert_eq!(used(&sandbox), "Bearer made-secret-1");
    sandbox.write_home(".kaggle/credentials.json", &login("2099-01-01T00:00:00.123456+00:00"));
    assert_eq!(used(&sandbox), "Bearer login-token");
    sandbox.write_home(".kaggle/kaggle.json", r#"{"username": "ada", "key": "key-secret"}"#);
    assert_eq!(used(&sandbox), basic("ada:key-secret"));
    let folder = sandbox.write("config/kaggle.json", r#"{"username": "bob", "key": "no"}"#);
    sandbox.set("KAGGLE_CONFIG_DIR", folder.parent().unwrap().to_str().unwrap());
    sandbox.set("KAGGLE_KEY", "other-key");
    assert_eq!(used(&sandbox), basic("bob:other-key"));
    sandbox.write_home(".kaggle/access_token.txt", "KGAT_file\n");
    assert_eq!(used(&sandbox), "Bearer KGAT_file");
    let token = sandbox.write("token", "KGAT_secret\n");
    sandbox.set("KAGGLE_API_TOKEN", token.to_str().unwrap());
    assert_eq!(used(&sandbox), "Bearer KGAT_secret");
    // One that Kaggle does not know is passed over, in this order too.
    sandbox.set("KAGGLE_API_TOKEN", "unknown-secret");
    assert_eq!(used(&sandbox), basic("bob:other-key"));

    let mut elsewhere = user(&services);
    elsewhere.unset("KAGGLE_API_TOKEN");
    elsewhere.write_home(".config/kaggle/kaggle.json", r#"{"username": "xdg", "key": "xdg-key"}"#);
    assert_eq!(used(&elsewhere), basic("xdg:xdg-key"));
}
