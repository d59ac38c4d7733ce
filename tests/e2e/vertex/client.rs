//! Proof by others: our requests are those of gcloud, as it was recorded and, where it is installed, as it is; and each is
//! what Google's own descriptions of its APIs take.

use std::process::Command;

use alekseylearn_tests::{Sandbox, Services, base_image_or_skip, says, services_or_skip, skipped, workspace};
use serde_json::{Value, json};

use super::{created, fit, options, user};

const ALL: [&str; 14] = [
    "--config.machine_type=n1-standard-4",
    "--config.accelerator_type=NVIDIA_TESLA_T4",
    "--config.accelerator_count=1",
    "--config.replica_count=3",
    "--config.disk_type=pd-ssd",
    "--config.disk_size=200",
    "--config.spot=true",
    "--config.timeout=3600",
    "--config.service_account=trainer@my-project.iam.gserviceaccount.com",
    "--config.network=projects/123456789012/global/networks/default",
    "--config.labels.tool=alekseylearn",
    "--config.environment.FOO=bar",
    "--config.hyperparameters.epochs=3",
    "--detach",
];

#[test]
fn every_request_is_what_googles_descriptions_take() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    let sandbox = user(&services);
    let mut options = options(&services, &base);
    fit(&sandbox, &options, &ALL).success();
    sandbox.run(&["logs", "work/train"]).success();
    sandbox.run(&["stop", "work/train"]);
    sandbox.run(&["fetch", "out", "work/train"]);
    // With a repository of Artifact Registry, where nothing is pushed.
    options.retain(|option| !option.contains("repository"));
    fit(&sandbox, &options, &["--dry-run"]).success();
    services.script("google", &json!({ "operation_error": "enough" }));
    fit(&sandbox, &options, &[]).failure(1);
    let said = says("services.google.types", &Value::Array(services.asked("")).to_string());
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 1, "{said}");
    let counts: Vec<usize> = said.split(' ').filter_map(|word| word.parse().ok()).collect();
    assert!(counts[0] > 15 && counts[1] > 3, "{said}");
    // The check can fail.
    let mut wrong =
        services.asked("/customJobs").into_iter().find(|asked| asked["method"] == "POST").unwrap();
    wrong["body"]["jobSpec"]["workerPoolSpecs"][0]["replicaCount"] = json!(1);
    wrong["body"]["jobSpec"]["region"] = json!("us");
    let said = says("services.google.types", &json!([wrong]).to_string());
    assert!(said.contains("replicaCount is no string") && said.contains("no member region"), "{said}");
    assert!(
        said.contains("has no field named \"region\""),
        "the type of the message has no such field: {said}"
    );
    let mut wrong =
        services.asked("/repositories").into_iter().find(|asked| asked["method"] == "POST").unwrap();
    wrong["body"]["formatt"] = json!("DOCKER");
    let said = says("services.google.types", &json!([wrong]).to_string());
    assert!(said.contains("Repository\" has no field named \"formatt\""), "{said}");
}

/// What gcloud sent for the same job, with the parts of it that are the user's taken from ours.
fn recorded(ours: &Value) -> Value {
    let text = std::fs::read_to_string(workspace().join("tests/services/google/recorded.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    let all = all["requests"].as_array().unwrap();
    let mut body = all.iter().find(|request| !request["body"]["jobSpec"].is_null()).unwrap()["body"].clone();
    for place in [
        "/displayName",
        "/labels",
        "/jobSpec/baseOutputDirectory/outputUriPrefix",
        "/jobSpec/serviceAccount",
        "/jobSpec/workerPoolSpecs/0/containerSpec/args",
        "/jobSpec/workerPoolSpecs/0/containerSpec/env",
        "/jobSpec/workerPoolSpecs/0/containerSpec/imageUri",
    ] {
        *body.pointer_mut(place).unwrap() = ours.pointer(place).unwrap().clone();
    }
    // The image knows its own.
    body.pointer_mut("/jobSpec/workerPoolSpecs/0/containerSpec")
        .unwrap()
        .as_object_mut()
        .unwrap()
        .remove("command");
    body
}

#[test]
fn jobs_are_asked_for_as_gcloud_was_recorded() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    let sandbox = user(&services);
    let options = options(&services, &base);
    let like = |option: &&str| !["replica", "disk", "network"].iter().any(|word| option.contains(word));
    let same: Vec<&str> = ALL.into_iter().filter(like).collect();
    fit(&sandbox, &options, &same).success();
    sandbox.run(&["logs", "work/train"]).success();
    sandbox.run(&["stop", "work/train"]);
    let ours = created(&services);
    assert_eq!(ours, recorded(&ours));
    // Addresses and methods too.
    let text = std::fs::read_to_string(workspace().join("tests/services/google/recorded.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    let shape = |method: &Value, url: &str| {
        let plain = url.split('?').next().unwrap();
        let (start, rest) = plain.split_once("/projects/").unwrap_or((plain, ""));
        let parts: Vec<&str> = rest.split('/').skip(1).collect();
        let last = parts.get(3).map(|id| if id.ends_with(":cancel") { "ID:cancel" } else { "ID" });
        format!("{method} {start} {:?} {last:?}", parts.get(..3))
    };
    let theirs: Vec<String> = all["requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|known| shape(&known["method"], known["url"].as_str().unwrap()))
        .collect();
    let asked = services.asked("").into_iter().filter(|asked| {
        let host = asked["host"].as_str().unwrap();
        host.contains("aiplatform") || host.contains("logging")
    });
    for asked in asked {
        let url = format!("https://{}{}", asked["host"].as_str().unwrap(), asked["path"].as_str().unwrap());
        let shape = shape(&asked["method"], &url);
        assert!(theirs.contains(&shape), "{shape} is none of {theirs:#?}");
    }
    let log = all["requests"]
        .as_array()
        .unwrap()
        .iter()
        .find(|known| known["url"].as_str().unwrap().contains("entries:list"));
    let (log, own) = (&log.unwrap()["body"], &services.asked("entries:list")[0]["body"]);
    let members =
        |body: &Value| body.as_object().unwrap().keys().cloned().collect::<std::collections::BTreeSet<_>>();
    assert_eq!(members(own), members(log));
    assert_eq!((&own["orderBy"], &own["pageSize"]), (&log["orderBy"], &log["pageSize"]));
    let start = |body: &Value| body["filter"].as_str().unwrap().split("job_id").next().unwrap().to_owned();
    assert_eq!(start(own), start(log));
}

/// Runs the unmodified gcloud; none where it is not installed.
fn gcloud(services: &Services, sandbox: &Sandbox, arguments: &[&str]) -> Option<Vec<Value>> {
    let token = sandbox.write("../gcloud-token", "ya29.gcloud");
    services.script("google", &json!({ "tokens": { "ya29.gcloud": "ada" } }));
    let certificates = services.environment()[1].1.clone();
    let run = Command::new("gcloud")
        .args(arguments)
        .args(["--project=my-project", "--quiet"])
        .env_clear()
        .envs(services.environment())
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", sandbox.path("../home"))
        .env("CLOUDSDK_CONFIG", sandbox.path("../gcloud"))
        .env("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", &token)
        .env("CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", certificates)
        .env("CLOUDSDK_CORE_DISABLE_USAGE_REPORTING", "true")
        .env("CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK", "true")
        .output()
        .ok()?;
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    Some(services.asked(""))
}

#[test]
fn gcloud_itself_asks_for_the_same_job() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    let sandbox = user(&services);
    fit(&sandbox, &options(&services, &base), &ALL).success();
    let ours = created(&services);
    let config = sandbox.write("../job.yaml", &ours["jobSpec"].to_string());
    let labels: Vec<String> = ours["labels"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap()))
        .collect();
    let name = format!("--display-name={}", ours["displayName"].as_str().unwrap());
    let (config, labels) =
        (format!("--config={}", config.display()), format!("--labels={}", labels.join(",")));
    let create = ["ai", "custom-jobs", "create", "--region=us-central1", &name, &config, &labels];
    let Some(_) = gcloud(&services, &sandbox, &create) else { return skipped("there is no gcloud") };
    assert_eq!(
        services.state("google")["jobs"].as_array().unwrap().len(),
        2,
        "one of ours, and one of gcloud's"
    );
    assert_eq!(created(&services), ours);
}
