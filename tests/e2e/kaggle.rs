//! Training on Kaggle: a plugin that is installed from its file, against the scripted service.

use std::fs;

use alekseylearn_tests::{
    Sandbox, Services, archive_text, base_image_or_skip, installable, services_or_skip,
};
use serde_json::{Value, json};

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
    let file = installable("kaggle").expect("where there are services, there are plugins");
    sandbox.run(&["plugin", "install", &file, "--yes", "--grant", GRANTS]).success();
    sandbox
}

pub(crate) fn fit<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["fit", "train.py", "--train-driver", "kaggle"], more].concat()
}

/// The request that saved the kernel.
fn saved(services: &Services) -> Value {
    services.asked(SAVE).pop().expect("a kernel was saved")["body"].clone()
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
    run.says("kaggle needs no image: nothing is built")
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
