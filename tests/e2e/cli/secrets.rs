//! Secrets of the training: they reach the script, and nothing that is shown, recorded or sent holds them.

use std::{fs, process::Command};

use alekseylearn_tests::{Run, Sandbox, base_image_or_skip, guests_or_skip, rig_or_skip, services_or_skip};
use serde_json::{Value, json};

use crate::{kaggle, sagemaker, vertex};

const NAME: &str = "WANDB_API_KEY";
const VALUE: &str = "wandb-7f3a9c-hunter2";
const OTHER: &str = "other-5d1e-hunter3";
const THIRD: &str = "third-0b8c-hunter4";
const ALL: [&str; 3] = [VALUE, OTHER, THIRD];

/// Prints what it has, and leaves it as a hash. `FAIL` makes it end with it.
const SCRIPT: &str = "import hashlib, os, sys\n\
    values = [os.environ.get(name, '') for name in ('WANDB_API_KEY', 'OTHER_TOKEN', 'THIRD')]\n\
    print('values', *values, flush=True)\n\
    print('files', sorted(name for _, _, names in os.walk('.') for name in names if 'hidden' in name))\n\
    open('/opt/ml/model/hash', 'w').write(hashlib.sha256(' '.join(values).encode()).hexdigest())\n\
    if len(sys.argv) > 1: raise RuntimeError('cannot log in by ' + values[0])\n";

/// A user with a project that wants secrets.
fn user() -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.write("secret/train.py", SCRIPT);
    sandbox.set(NAME, VALUE);
    sandbox
}

#[track_caller]
fn hides(text: &str) {
    for value in ALL {
        assert!(!text.contains(value), "{value} in\n{text}");
    }
}

#[track_caller]
fn hidden(run: Run) -> Run {
    hides(&run.stdout);
    hides(&run.stderr);
    run
}

fn docker(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("docker").args(arguments).output().unwrap();
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn sha256(text: &str) -> String {
    let mut command = Command::new("sh");
    command.args(["-c", "printf %s \"$1\" | sha256sum | cut -d' ' -f1", "sh", text]);
    String::from_utf8(command.output().unwrap().stdout).unwrap().trim().to_owned()
}

#[test]
fn a_secret_reaches_the_script_and_nothing_that_is_shown_or_kept() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let mut sandbox = user();
    // In the project: as it is named, it stays at home.
    sandbox.write("secret/hidden.txt", &format!("{OTHER}\n"));
    sandbox.write("secret/more.hidden", &format!("# mine\nexport THIRD='{THIRD}'\n"));
    let file = "OTHER_TOKEN=file:secret/hidden.txt";
    let fit = ["fit", "secret/train.py", &base, "--secret", NAME, "--secret", file];
    let fit = [&fit[..], &["--secrets-file", "secret/more.hidden"]].concat();

    let plan = hidden(sandbox.run(&[&fit[..], &["--dry-run", "--json"]].concat()).success()).data();
    assert_eq!(plan["secrets"], json!(["OTHER_TOKEN", "THIRD", NAME]));
    assert_eq!(plan["request"]["environment"][NAME], "***");
    hidden(sandbox.run(&[&fit[..], &["--dry-run", "-v"]].concat()).success());

    let run = hidden(sandbox.run(&[&fit[..], &["--fetch", "out", "-v"]].concat()).success());
    assert!(run.stdout.contains("values *** *** ***\nfiles []"), "{}", run.stdout);
    let hash = sha256(&ALL.join(" "));
    assert_eq!(fs::read_to_string(sandbox.path("out/hash")).unwrap(), hash);

    // Another terminal knows no values.
    sandbox.unset(NAME);
    let job = sandbox.newest_job();
    assert_eq!(job["secrets"], json!(["OTHER_TOKEN", "THIRD", NAME]));
    let logs = hidden(sandbox.run(&["logs", "secret/train"]).success());
    assert!(logs.stdout.contains("values *** *** ***"), "{}", logs.stdout);
    hidden(sandbox.run(&["jobs", "--json"]).success());
    sandbox.run(&["report", "secret/train", "--output", "page.html"]).success();
    let page = fs::read_to_string(sandbox.path("page.html")).unwrap();
    hides(&page);
    assert!(page.contains("values *** *** ***") && page.contains(NAME), "{page}");
    sandbox.keeps_none_of(&ALL);
    let image = docker(&["save", job["image"].as_str().unwrap()]);
    for value in ALL {
        assert!(!image.windows(value.len()).any(|part| part == value.as_bytes()), "a layer holds {value}");
    }

    // Once more: by the same names.
    let again = [
        "reproduce",
        "secret/train",
        "--fetch",
        "again",
        "--secret",
        file,
        "--secrets-file",
        "secret/more.hidden",
    ];
    sandbox.run(&again).failure(2).one_error().says("the secret WANDB_API_KEY has no value");
    sandbox.set(NAME, VALUE);
    hidden(sandbox.run(&again).success());
    assert_eq!(fs::read_to_string(sandbox.path("again/hash")).unwrap(), hash);
}

#[test]
fn a_secret_is_masked_while_it_trains_and_when_it_fails() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let mut sandbox = user();
    let fit = ["fit", "secret/train.py", &base, "--secret", NAME];
    sandbox.run(&[&fit[..], &["--detach"]].concat()).success();
    sandbox.unset(NAME);
    let followed = hidden(sandbox.run(&["logs", "-f", "secret/train"]).success());
    assert!(followed.stdout.contains("values ***"), "{}", followed.stdout);

    sandbox.set(NAME, VALUE);
    let failed = hidden(sandbox.run(&[&fit[..], &["--", "fail"]].concat()).failure(10).one_error());
    failed.says("cannot log in by ***");
    let job = sandbox.newest_job();
    assert!(job["reason"].as_str().unwrap().contains("cannot log in by ***"), "{job}");
    hidden(sandbox.run(&["status", "secret/train", "--json"]).success());
    sandbox.keeps_none_of(&ALL);
    let image = job["image"].as_str().unwrap();
    hides(&String::from_utf8_lossy(&docker(&["history", "--no-trunc", image])));
}

#[test]
fn a_secret_that_is_missing_or_typed_is_an_error() {
    let sandbox = user();
    let fit = |secret: &str| sandbox.run(&["fit", "secret/train.py", "--dry-run", "--secret", secret]);
    let missing = fit("NOT_SET_TOKEN").failure(2).one_error();
    missing.says("the secret NOT_SET_TOKEN has no value").says("export NOT_SET_TOKEN");
    let typed = format!("{NAME}={VALUE}");
    hidden(fit(&typed).failure(2).one_error()).says("--secret WANDB_API_KEY accepts no value");
    hidden(fit(VALUE).failure(2).one_error()).says("is not a valid variable name");
    fit(&format!("{NAME}=file:nothing")).failure(4).one_error();
    sandbox.write("bad.env", VALUE);
    let bad = ["fit", "secret/train.py", "--dry-run", "--secrets-file", "bad.env"];
    hidden(sandbox.run(&bad).failure(2).one_error()).says("bad.env:1 is not NAME=VALUE");
    let twice =
        ["fit", "secret/train.py", "--dry-run", "--secret", NAME, "--config.environment.WANDB_API_KEY=x"];
    hidden(sandbox.run(&twice).failure(2).one_error()).says("is set twice");
}

/// The attack: a project from elsewhere names the user's variables.
#[test]
fn a_project_names_secrets_only_where_it_is_trusted() {
    let mut sandbox = user();
    sandbox.set("AWS_SECRET_ACCESS_KEY", OTHER);
    sandbox.write("secret/alekseylearn.toml", "[fit]\nsecrets = ['AWS_SECRET_ACCESS_KEY']\n");
    let plan = ["fit", "train.py", "--dry-run", "--json"];
    let refused = hidden(sandbox.run_in("secret", &plan[..3]).failure(3).one_error());
    refused.says("secret: AWS_SECRET_ACCESS_KEY, from your environment").says("--trust");
    let trusted = hidden(sandbox.run_in("secret", &[&plan[..], &["--trust"]].concat()).success());
    assert_eq!(trusted.data()["secrets"], json!(["AWS_SECRET_ACCESS_KEY"]));
    sandbox.run_in("secret", &plan).success();
}

#[test]
fn drivers_that_cannot_have_secrets_say_what_works_instead() {
    let guests = guests_or_skip!();
    let sandbox = user();
    let file = guests.join("plants.wasm");
    let install =
        ["plugin", "install", file.to_str().unwrap(), "--name", "plants", "--yes", "--grant", "docker"];
    sandbox.run(&install).success();
    let fit = ["fit", "secret/train.py", "--secret", NAME];
    let plants = [&fit[..], &["--build-driver", "plants", "--config.file=a.sh"]].concat();
    sandbox.run(&plants).failure(8).one_error().says("images of the driver plants cannot receive secrets");

    let file = guests.join("links.wasm");
    let install =
        ["plugin", "install", file.to_str().unwrap(), "--name", "links", "--yes", "--grant", "docker"];
    sandbox.run(&install).success();
    let links = [&fit[..], &["--train-driver", "links", "--dry-run"]].concat();
    sandbox.run(&links).failure(8).one_error().says("the driver links cannot receive secrets");

    let services = services_or_skip!();
    let mut user = kaggle::user(&services);
    user.set(NAME, VALUE);
    let refused = user.run(&kaggle::fit(&["--secret", NAME])).failure(8).one_error();
    hidden(refused).says("Kaggle's API does not accept secrets").says("UserSecretsClient");
    let mut user = vertex::user(&services);
    user.set(NAME, VALUE);
    let options = vertex::options(&services, "scratch");
    let refused = vertex::fit(&user, &options, &["--secret", NAME]).failure(8).one_error();
    hidden(refused).says("Vertex AI does not accept secrets").says("Secret Manager");
}

#[test]
fn sagemaker_gets_secrets_in_the_request_where_the_user_says_so() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let mut sandbox = Sandbox::with_rig(&rig);
    sandbox.write("secret/train.py", SCRIPT);
    sandbox.set(NAME, VALUE);
    let fit =
        |more: &[&str]| sagemaker::fit(&rig, &base, &[&["secret/train.py", "--secret", NAME], more].concat());
    let refused = sagemaker::run(&sandbox, &fit(&[])).failure(2).one_error();
    hidden(refused).says("everybody who may describe").says("--config.secrets_in_request=true");
    assert!(rig.calls("CreateTrainingJob").is_empty());

    let said = "--config.secrets_in_request=true";
    let plan = hidden(sagemaker::run(&sandbox, &fit(&[said, "--dry-run", "--json"])).success()).data();
    assert_eq!(plan["request"]["Environment"][NAME], "***");
    let failed = hidden(sagemaker::run(&sandbox, &fit(&[said, "--", "fail"])).failure(10));
    assert!(failed.stdout.contains("values ***"), "{}", failed.stdout);
    failed.says("cannot log in by ***");
    let request = rig.calls("CreateTrainingJob").pop().unwrap()["body"].clone();
    assert_eq!(request["Environment"][NAME], VALUE, "the job has it");

    // Another terminal hides it too.
    sandbox.unset(NAME);
    let logs = hidden(sandbox.run(&["logs", "secret/train"]).success());
    assert!(logs.stdout.contains("values ***"), "{}", logs.stdout);
    sandbox.keeps_none_of(&ALL);

    sandbox.set(NAME, &"x".repeat(600));
    sagemaker::run(&sandbox, &fit(&[said])).failure(2).one_error().says("longer than 512 characters");
}

#[test]
fn an_option_that_looks_like_a_secret_is_not_shown() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = user();
    let option = format!("--config.environment.OTHER_TOKEN={OTHER}");
    let fit = ["fit", "secret/train.py", &base, &option];
    let plan = sandbox.run(&[&fit[..], &["--dry-run"]].concat()).success();
    assert!(plan.stdout.contains("\"OTHER_TOKEN\": \"***\""), "{}", plan.stdout);
    hidden(plan).says("`--secret OTHER_TOKEN` records the name only");
    hidden(sandbox.run(&[&["check"], &fit[1..]].concat()).success());

    let run = sandbox.run(&[&fit[..], &["--fetch", "out"]].concat()).success();
    run.says("looks like a secret");
    let hash = sha256(&format!(" {OTHER} "));
    assert_eq!(fs::read_to_string(sandbox.path("out/hash")).unwrap(), hash, "the job has it");
    let shown =
        |job: &Value| job["options"].as_array().unwrap().contains(&json!(["environment.OTHER_TOKEN", "***"]));
    let listed = hidden(sandbox.run(&["jobs", "--json"]).success()).data();
    assert!(shown(&listed["jobs"][0]), "{listed}");

    sandbox.run(&["reproduce", "secret/train", "--fetch", "again"]).success();
    assert_eq!(fs::read_to_string(sandbox.path("again/hash")).unwrap(), hash);
    let other = "--config.environment.OTHER_TOKEN=another";
    sandbox.run(&["reproduce", "secret/train", other]).success();
    let jobs = sandbox.run(&["jobs", "--json"]).success().data();
    let names = [0, 2].map(|at| jobs["jobs"][at]["name"].as_str().unwrap().to_owned());
    let differ = hidden(sandbox.run(&["jobs", "diff", &names[0], &names[1], "--json"]).success()).data();
    let expected = json!({ "what": "option environment.OTHER_TOKEN", "a": "***", "b": "***" });
    assert!(differ["differences"].as_array().unwrap().contains(&expected), "{differ}");
    // The script printed its own variable, which is nobody's secret: the options of the page hide it.
    sandbox.run(&["report", &names[1], "--output", "page.html"]).success();
    let page = fs::read_to_string(sandbox.path("page.html")).unwrap();
    assert!(page.contains("<th>environment.OTHER_TOKEN</th><td><code>***</code>"), "{page}");
}
