//! Vertex AI on bad days: credentials, refusals, limits, answers that are lost, names that lead elsewhere.

use std::fs;

use alekseylearn_tests::{
    Relay, Sandbox, Services, archive_text, base_image_or_skip, guests_or_skip, services_or_skip,
};
use serde_json::{Value, json};

use super::{GRANTS, created, fit, jobs, log_in, options, user};

const STATUS: &str = "/customJobs/";
const CREATE: &str = "/customJobs";

/// A user whose image is built and pushed, and the options of a run: a fault meets only what comes then.
fn ready(services: &Services, base: &str) -> (Sandbox, Vec<String>) {
    let sandbox = user(services);
    let options = options(services, base);
    (sandbox, options)
}

fn lose(services: &Services) {
    services.fault(&json!({ "path": CREATE, "method": "POST", "status": 0 }));
}

#[test]
fn no_credentials_and_wrong_ones_are_said_before_anything_is_built() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    let (mut sandbox, options) = ready(&services, &base);
    let login = "../home/.config/gcloud/application_default_credentials.json";
    let good = fs::read_to_string(sandbox.path(login)).unwrap();
    fs::remove_file(sandbox.path(login)).unwrap();
    let none = fit(&sandbox, &options, &[]).failure(3).one_error();
    none.says("no Google credentials found").says("gcloud auth application-default login");
    sandbox.set("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json");
    let nowhere = fit(&sandbox, &options, &[]).failure(3).one_error();
    nowhere.says("the file in GOOGLE_APPLICATION_CREDENTIALS does not exist");
    // The usual mistake: the key itself in the place of its path. It is never shown, also not to programs.
    let key = services.state("google")["key"].to_string();
    sandbox.set("GOOGLE_APPLICATION_CREDENTIALS", &key);
    for more in [&[][..], &["--json"], &["-v"]] {
        let run = fit(&sandbox, &options, more).failure(3);
        let text = format!("{}{}", run.stdout, run.stderr);
        assert!(text.contains("instead of a file's path"), "{text}");
        assert!(!text.contains("PRIVATE KEY") && !text.contains("client_email"), "{text}");
    }
    sandbox.unset("GOOGLE_APPLICATION_CREDENTIALS");
    sandbox.write(login, &good.replace("refresh-secret", "wrong-secret"));
    let wrong = fit(&sandbox, &options, &[]).failure(3).one_error().says("invalid_grant");
    assert!(!wrong.stderr.contains("wrong-secret"), "{}", wrong.stderr);
    assert_eq!(jobs(&services), 0);
    assert_eq!(sandbox.run(&["jobs", "--json"]).success().data()["jobs"], json!([]));
    // A service that gives no tokens for a moment is no denial.
    sandbox.write(login, &good);
    services.fault(&json!({ "path": "/token", "status": 503, "times": 9 }));
    fit(&sandbox, &options, &[]).failure(7).one_error().says("cannot get a token from Google");
}

#[test]
fn keys_of_service_accounts_and_machines_are_credentials_too() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    let (mut sandbox, options) = ready(&services, &base);
    let known = services.state("google");
    let key = sandbox.write("../key.json", &known["key"].to_string());
    sandbox.set("GOOGLE_APPLICATION_CREDENTIALS", key.to_str().unwrap());
    fit(&sandbox, &options, &["--dry-run", "-v"]).success().says("project my-project, region us-central1");
    assert!(services.asked("/token")[0]["text"].as_str().unwrap().contains("assertion="));
    let asked = services.asked(CREATE).pop().unwrap();
    assert!(asked["headers"].get("x-goog-user-project").is_none(), "{asked}");

    sandbox.unset("GOOGLE_APPLICATION_CREDENTIALS");
    sandbox.set("CLOUDSDK_CONFIG", "/nowhere").set("NO_GCE_CHECK", "");
    sandbox.set("GCE_METADATA_HOST", known["metadata"].as_str().unwrap());
    let before = services.asked("/token").len();
    fit(&sandbox, &options, &["--dry-run", "-v"]).success().says("project my-project, region us-central1");
    assert_eq!(services.asked("/token").len(), before, "the machine's own server was asked");

    sandbox.unset("CLOUDSDK_CONFIG").set("GOOGLE_CLOUD_PROJECT", "my-project");
    fit(&sandbox, &options, &["--dry-run"]).success();
    let asked = services.asked(CREATE).pop().unwrap();
    assert_eq!(asked["headers"]["x-goog-user-project"], "my-project", "who pays for a user is told");
}

#[test]
fn a_token_that_is_about_to_end_is_replaced_in_time() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    let (sandbox, options) = ready(&services, &base);
    services.script("google", &json!({ "lifetime": 200 }));
    fit(&sandbox, &options, &[]).success();
    let used: Vec<String> =
        services.asked(STATUS).iter().map(|asked| asked["headers"]["authorization"].to_string()).collect();
    assert!(used.len() > 1 && used.windows(2).all(|pair| pair[0] != pair[1]), "{used:?}");
}

#[test]
fn a_token_that_ends_in_the_middle_is_replaced_and_a_login_that_does_costs_a_message() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    let (sandbox, options) = ready(&services, &base);
    services.fault(&json!({ "path": STATUS, "after": 1, "status": 401 }));
    fit(&sandbox, &options, &[]).success();
    assert_eq!(services.asked("/token").len(), 2);
    services.fault(&json!({ "path": STATUS, "after": 1, "times": 999, "status": 401, "body": { "error": { "message": "it was revoked" } } }));
    let run = fit(&sandbox, &options, &["--config.timeout=600"]).failure(3).one_error();
    run.says("Google rejected the credentials: it was revoked").says("submitted jobs keep running");
    services.clear_faults();
    fit(&sandbox, &options, &["--config.timeout=600"]).success().says("resuming");
    assert_eq!(jobs(&services), 2);
}

#[test]
fn each_refusal_of_the_service_is_one_error_with_what_to_do() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    let (sandbox, options) = ready(&services, &base);
    let with = |more: &[&str], code: i32| fit(&sandbox, &options, more).failure(code).one_error();
    services.script("google", &json!({ "disabled": ["aiplatform.googleapis.com"] }));
    with(&[], 3)
        .says("aiplatform.googleapis.com is not enabled in the project")
        .says("gcloud services enable aiplatform.googleapis.com");
    services.script("google", &json!({ "disabled": [] }));
    with(&["--config.project=not-mine"], 3)
        .says("denied on resource project not-mine")
        .says("--config.project");
    with(&["--config.region=us-middle1"], 2).says("unknown region us-middle1").says("us-central1");
    with(&["--config.region=US"], 2).says("--config.region: `US` is not valid");
    let account = "--config.service_account=other@my-project.iam.gserviceaccount.com";
    with(&[account], 3).says("permission to act as service_account").says("roles/iam.serviceAccountUser");
    services.script("google", &json!({ "denied": { "bucket": ["ada"] } }));
    with(&[], 2).says("ada does not have storage.objects.list access").says("Storage Object User");
    services.script("google", &json!({ "denied": {} }));
    with(&["--config.output_path=gs://nowhere/x"], 2)
        .says("bucket nowhere not found")
        .says("gcloud storage buckets create");
    with(&["--config.output_path=s3://bucket/x"], 2).says("is not of the form gs://bucket/prefix");
    services.fault(&json!({ "path": CREATE, "method": "POST", "status": 429, "times": 4, "body": { "error": { "message": "The following quotas are exceeded: CustomModelTrainingT4GPUs" } } }));
    with(&[], 6).says("CustomModelTrainingT4GPUs").says("iam-admin/quotas");
    services.fault(&json!({ "path": CREATE, "method": "POST", "status": 400, "body": { "error": { "message": "Machine type \"x-1\" is not supported." } } }));
    with(&["--config.machine_type=x-1"], 2).says("Machine type \"x-1\" is not supported");
    assert_eq!(jobs(&services), 0);
    assert_eq!(
        sandbox.run(&["jobs", "--json"]).success().data()["jobs"],
        json!([]),
        "what was refused never was"
    );
    services.script("google", &json!({ "buckets": { "bucket": "EU", "far": "EUROPE-WEST4" } }));
    fit(&sandbox, &options, &["--dry-run", "--config.output_path=gs://far/x"])
        .success()
        .says("the bucket far is in europe-west4");
}

#[test]
fn wrong_options_are_found_before_anything_is_asked() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    let (sandbox, options) = ready(&services, &base);
    for (option, says) in [
        ("machine_type=big", "`big` is not valid"),
        ("network=default", "projects/NUMBER/global/networks/NAME"),
        ("service_account=trainer", "iam.gserviceaccount.com"),
        ("accelerator_count=2", "needs --config.accelerator_type"),
        ("labels.Team=x", "lower-case letters"),
        ("labels.team=X", "lower-case letters"),
        ("environment.1A=x", "not a valid variable name"),
        ("repository=https://a/b", "REGION-docker.pkg.dev/PROJECT/NAME"),
        ("timeout=1", "timeout"),
        ("disk_size=5", "disk_size"),
    ] {
        fit(&sandbox, &options, &[&format!("--config.{option}")]).failure(2).one_error().says(says);
    }
    assert!(services.asked("").is_empty(), "nobody was asked");
    let kind = "--config.accelerator_type=NVIDIA_NEXT";
    fit(&sandbox, &options, &["--dry-run", kind]).success().says("unknown accelerator NVIDIA_NEXT");
}

#[test]
fn a_service_that_asks_for_patience_gets_it() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    let (sandbox, options) = ready(&services, &base);
    let slow = |path: &str, method: &str| json!({ "path": path, "method": method, "status": 429, "headers": { "Retry-After": "1" }, "body": { "error": { "message": "slow down" } } });
    for (path, method) in [(CREATE, "POST"), (STATUS, "GET"), ("entries:list", "POST")] {
        services.fault(&slow(path, method));
    }
    // A log that is asked for too often without a word how long: asked again later.
    services.fault(&json!({ "path": "entries:list", "status": 429 }));
    fit(&sandbox, &options, &[]).success();
    assert_eq!(jobs(&services), 1);
}

#[test]
fn a_submission_whose_answer_is_lost_is_found_again() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    let (sandbox, options) = ready(&services, &base);
    lose(&services);
    fit(&sandbox, &options, &[]).failure(7).one_error();
    assert_eq!(jobs(&services), 1, "Vertex AI has it");
    sandbox.run(&["status", "work/train"]).success();
    fit(&sandbox, &options, &[]).success().says("resuming");
    assert_eq!(jobs(&services), 1);
}

#[test]
fn a_log_comes_once_and_in_order_whatever_its_pages() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    let (sandbox, options) = ready(&services, &base);
    let lines: Vec<String> = (0..40).map(|number| format!("line {number}")).collect();
    services.script(
        "google",
        &json!({ "log": lines, "page_size": 7, "empty_pages": 2, "states": ["RUNNING", "RUNNING", "RUNNING", "SUCCEEDED"] }),
    );
    for run in [fit(&sandbox, &options, &[]).success(), sandbox.run(&["logs", "work/train"]).success()] {
        let shown: Vec<&str> = run.stdout.lines().filter(|line| line.starts_with("line ")).collect();
        assert_eq!(shown, lines);
    }
}

#[test]
fn lines_that_arrive_late_are_shown_and_shown_once() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    let (sandbox, options) = ready(&services, &base);
    let late = |message: &str, looks: u32| json!({ "message": message, "seconds": 20, "looks": looks });
    services.script(
        "google",
        &json!({
            "log": ["first", "second"], "late": [late("late", 2), late("later", 3)],
            "states": ["RUNNING", "RUNNING", "RUNNING", "RUNNING", "SUCCEEDED"],
        }),
    );
    let run = fit(&sandbox, &options, &[]).success();
    let words = ["first", "second", "late", "later"];
    let shown: Vec<&str> = run.stdout.lines().filter(|line| words.contains(line)).collect();
    assert_eq!(shown, words);
    // Who reads it all at once has it in order.
    let run = sandbox.run(&["logs", "work/train"]).success();
    let shown: Vec<&str> = run.stdout.lines().filter(|line| words.contains(line)).collect();
    assert_eq!(shown, ["late", "later", "first", "second"]);
}

#[test]
fn words_that_are_not_known_are_taken_for_running_and_said() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    let (sandbox, options) = ready(&services, &base);
    services.script("google", &json!({ "states": ["QUEUED", "!JOB_STATE_DREAMING", "PAUSED", "SUCCEEDED"] }));
    let events = fit(&sandbox, &options, &["--json"]).success().events();
    let said: Vec<String> = events
        .iter()
        .filter(|event| event["event"] == "status")
        .map(|event| format!("{} {}", event["state"], event["detail"]))
        .collect();
    assert!(said[0].contains("queued"), "{said:?}");
    assert!(
        said[1].contains("running") && said[1].contains("unknown Vertex AI state JOB_STATE_DREAMING"),
        "{said:?}"
    );
    assert!(said[2].contains("running") && said[2].contains("paused"), "{said:?}");
    for (state, code, says) in [("EXPIRED", 10, "exceeded --config.timeout"), ("CANCELLED", 11, "stopped")] {
        services.script("google", &json!({ "states": [state] }));
        fit(&sandbox, &options, &[&format!("--config.labels.try={}", state.to_lowercase())])
            .failure(code)
            .says(says);
    }
    services.script("google", &json!({ "states": ["PARTIALLY_SUCCEEDED"] }));
    fit(&sandbox, &options, &["--config.labels.try=partly"]).success();
}

#[test]
fn only_results_of_our_own_names_are_brought() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    let (sandbox, options) = ready(&services, &base);
    fit(&sandbox, &options, &[]).success();
    let job = sandbox.newest_job()["name"].as_str().unwrap().to_owned();
    let put = |names: &[&str], text: Value| {
        let objects: serde_json::Map<String, Value> =
            names.iter().map(|name| (format!("bucket/jobs/{job}{name}"), text.clone())).collect();
        services.script("google", &json!({ "objects": objects }));
    };
    put(
        &["/../model.tar.gz", "//model.tar.gz", "/sub/model.tar.gz", "-other/model.tar.gz"],
        archive_text("evil", "evil"),
    );
    sandbox.run(&["fetch", "out", &job]).failure(4).one_error().says("left no model");
    assert!(!sandbox.path("out").exists());
    put(&["/model.tar.gz"], json!("no archive"));
    sandbox.run(&["fetch", "out", &job]).failure(1).one_error();
    put(&["/model.tar.gz"], archive_text("m", "good"));
    services.script("google", &json!({ "denied": { "bucket": ["ada"] } }));
    sandbox.run(&["fetch", "out", &job]).failure(3).one_error().says("Storage Object User");
    services.script("google", &json!({ "denied": {} }));
    sandbox.run(&["fetch", "out", &job]).success();
    assert_eq!(fs::read_to_string(sandbox.path("out/m")).unwrap(), "good");
}

/// The push itself is answered in the registry's place: nothing leaves this machine.
#[test]
fn a_repository_is_made_where_it_is_missing_and_the_login_is_the_hosts() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    let mut sandbox = user(&services);
    let refusal = sandbox.write(
        "../answer",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n\
         {\"errorDetail\":{\"message\":\"denied: Permission artifactregistry.repositories.uploadArtifacts denied\"},\"error\":\"denied: Permission\"}\r\n",
    );
    let record = sandbox.path("../record");
    let relay = Relay::start(&[
        "--answer",
        "/push?",
        refusal.to_str().unwrap(),
        "--record",
        record.to_str().unwrap(),
    ]);
    sandbox.set("DOCKER_HOST", relay.address());
    let options = [format!("--config.base_image={base}"), "--config.output_path=gs://bucket/jobs".to_owned()];
    let registry = |method: &str| {
        let all = services.asked("/v1/projects/my-project/locations/us-central1/").into_iter();
        all.filter(|asked| asked["host"] == "artifactregistry.googleapis.com" && asked["method"] == method)
            .count()
    };
    let (place, tag) = ("us-central1-docker.pkg.dev/my-project/alekseylearn", "work/train");
    let says = format!("It would be pushed to {place}/{tag}, a repository that would be created");
    let run = fit(&sandbox, &options, &["--dry-run", "--config.prices.n1-standard-4=0.25"]).success();
    assert!(run.stdout.contains(&says), "{}", run.stdout);
    // The four hours that a job may take.
    assert!(run.stdout.contains("1.00 USD"), "{}", run.stdout);
    assert_eq!((registry("GET"), registry("POST")), (1, 0), "a rehearsal makes none");
    let run = fit(&sandbox, &options, &[]).failure(3).one_error();
    run.says(&format!("Creating the repository {place}")).says(&format!("cannot push {place}/{tag}"));
    assert_eq!((registry("GET"), registry("POST")), (4, 1), "it was looked at until it was there");
    let known = services.state("google")["repositories"].clone();
    assert_eq!(
        known,
        json!({ "projects/my-project/locations/us-central1/repositories/alekseylearn": "DOCKER" })
    );
    let sent = String::from_utf8_lossy(&fs::read(&record).unwrap()).into_owned();
    let line = sent
        .lines()
        .find(|line| line.to_lowercase().starts_with("x-registry-auth: "))
        .expect("a login was sent");
    let login =
        base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE, line.split_once(' ').unwrap().1.trim())
            .unwrap();
    let login: Value = serde_json::from_slice(&login).unwrap();
    assert_eq!(login["username"], "oauth2accesstoken");
    assert!(login["password"].as_str().unwrap().starts_with("ya29.made-secret"));

    services.script("google", &json!({ "repositories": {}, "operation_error": "no more of them" }));
    fit(&sandbox, &options, &[]).failure(1).one_error().says("no more of them");
    let name = "projects/my-project/locations/us-central1/repositories/alekseylearn";
    services.script("google", &json!({ "repositories": { name: "MAVEN" } }));
    fit(&sandbox, &options, &[]).failure(2).one_error().says("holds MAVEN, not Docker images");
}

#[test]
fn an_image_goes_only_to_a_registry_that_was_granted() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    let (sandbox, options) = ready(&services, &base);
    let registry = format!("http://{}", services.state("google")["images"].as_str().unwrap());
    sandbox.run(&["plugin", "revoke", "ml-engine", &registry]).success();
    let run = fit(&sandbox, &options, &[]).failure(3).one_error();
    run.says("may not push the image to").says(&format!("plugin grant ml-engine {registry}=file:/PATH"));
    sandbox.run(&["plugin", "grant", "ml-engine", &registry]).success();
    fit(&sandbox, &options, &[]).failure(3).one_error().says(&format!("{registry}=file:/PATH"));
    sandbox.run(&["plugin", "grant", "ml-engine", &format!("{registry}=google")]).success();
    fit(&sandbox, &options, &[]).success();
    assert!(
        services.asked(CREATE).iter().all(|asked| asked["host"] == "us-central1-aiplatform.googleapis.com")
    );
    // Another region is of the same grant; another host is not.
    fit(&sandbox, &options, &["--config.region=europe-west4", "--dry-run"]).success();
    sandbox.run(&["plugin", "revoke", "ml-engine", "https://*-aiplatform.googleapis.com"]).success();
    fit(&sandbox, &options, &[])
        .failure(3)
        .one_error()
        .says("was not granted https://us-central1-aiplatform.googleapis.com");
}

#[test]
fn no_secret_is_told_or_kept() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    let (sandbox, options) = ready(&services, &base);
    services.script("google", &json!({ "run": true }));
    sandbox.write("train.py", "open('/opt/ml/model/m', 'w').write('x')\n");
    services.fault(&json!({ "path": "/download/", "status": 500, "times": 99 }));
    let secrets = ["client-secret", "refresh-secret", "ya29."];
    for more in
        [&["-v", "--json"][..], &["-v", "--dry-run"], &["-v", "--fetch", "out", "--config.timeout=600"]]
    {
        let run = fit(&sandbox, &options, more);
        for secret in secrets {
            assert!(!format!("{}{}", run.stdout, run.stderr).contains(secret), "{more:?}");
        }
    }
    sandbox.keeps_none_of(&secrets);
    assert!(!created(&services).to_string().contains("ya29."));
}

#[test]
fn no_secret_enters_a_plugins_memory() {
    let (services, guests) = (services_or_skip!(), guests_or_skip!());
    let mut sandbox = Sandbox::new();
    services.lead(&mut sandbox);
    log_in(&mut sandbox);
    sandbox.write("train.py", "");
    let file = guests.join("remembers.wasm");
    let install =
        ["plugin", "install", file.to_str().unwrap(), "--name", "remembers", "--yes", "--grant", GRANTS];
    sandbox.run(&install).success();
    let place = "--config.output_path=gs://bucket/own";
    let look = |needle: &str| {
        let backwards: String = needle.chars().rev().collect();
        let backwards = format!("--config.backwards={backwards}");
        let service = "--config.service=GET https://storage.googleapis.com/storage/v1/b/bucket";
        sandbox
            .run(&["fit", "train.py", "-v", "--train-driver", "remembers", service, place, &backwards])
            .failure(8)
    };
    for secret in ["ya29.made-secret-1", "refresh-secret", "client-secret"] {
        look(secret).says("bytes hold it 0 times");
    }
    // It finds what is there, such as a part of the answer.
    let found = look("storage#bucket");
    assert!(!found.stderr.contains("bytes hold it 0 times"), "{}", found.stderr);
    // Of all that the credential opens, only what the command line names.
    let before = services.asked("").len();
    for other in
        ["GET /storage/v1/b/other", "GET /storage/v1/b/bucket/o?prefix=", "POST /storage/v1/b/bucket"]
    {
        let service = other.replacen(' ', " https://storage.googleapis.com", 1);
        let service = format!("--config.service={service}");
        let run = sandbox.run(&["fit", "train.py", "--train-driver", "remembers", &service, place]);
        let run = run.failure(3).one_error();
        run.says("to https://storage.googleapis.com").says("locations that an option names, as gs://");
    }
    assert_eq!(services.asked("").len(), before, "no request was sent");
}
