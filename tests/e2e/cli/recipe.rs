//! What a run would do, and a Dockerfile of the user's own: `fit --dry-run`, `init` and `copy`.

use std::fs;

use alekseylearn_tests::{Sandbox, base_image_or_skip, rig_or_skip};
use serde_json::Value;

fn plan(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    sandbox.run(&[&["fit", "--dry-run", "--json"][..], arguments].concat()).success().data()["image"].clone()
}

/// The instructions of a plan's layers that are new.
fn new_layers(image: &Value) -> Vec<&str> {
    let layers = image["layers"].as_array().unwrap().iter().filter(|layer| layer["same"] == false);
    layers.map(|layer| layer["instruction"].as_str().unwrap()).collect()
}

#[test]
fn a_dry_run_needs_no_docker() {
    let mut sandbox = Sandbox::new();
    sandbox.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
    sandbox.write("dry/train.py", "print(1)\n");
    sandbox.write("dry/.env", "SECRET=1");
    for number in 0..20 {
        sandbox.write(&format!("dry/data/{number:02}.csv"), "1,2,3\n");
    }
    let image = plan(&sandbox, &["dry/train.py"]);
    assert!(image["reference"].as_str().unwrap().starts_with("dry/train:"));
    assert!(image["dockerfile"].as_str().unwrap().starts_with("FROM python:3.11-slim"));
    assert_eq!((&image["in_engine"], &image["push"]), (&"unknown".into(), &"none".into()));
    assert!(image["reason"].as_str().unwrap().contains("unix:///nowhere/docker.sock"));
    let paths: Vec<&str> =
        image["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert!(paths.contains(&"code/data/07.csv") && paths.contains(&"runner/__main__.py"), "{paths:?}");
    assert!(!paths.contains(&"code/.env"));
    let total: u64 =
        image["files"].as_array().unwrap().iter().map(|file| file["bytes"].as_u64().unwrap()).sum();
    assert_eq!(image["bytes"], total);

    let short = sandbox.run(&["fit", "dry/train.py", "--dry-run"]).success().stdout;
    assert!(short.contains("smaller files: -v lists them"), "{short}");
    assert!(short.contains("unknown which would be reused: cannot connect to the Docker engine"), "{short}");
    let long = sandbox.run(&["fit", "dry/train.py", "--dry-run", "-v"]).success().stdout;
    assert!(paths.iter().all(|path| long.contains(path)), "{long}");
    assert_eq!(sandbox.run(&["jobs", "--json"]).success().data()["jobs"], serde_json::json!([]));
}

#[test]
fn a_dry_run_tells_the_truth_about_the_layers() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.write("foreseen/train.py", "print(1)\n");
    sandbox.write("foreseen/requirements.txt", "six\n");
    let fit = ["foreseen/train.py", base.as_str()];
    sandbox.run(&["fit", fit[0], fit[1]]).success();
    let built = sandbox.newest_job()["image"].clone();
    let image = plan(&sandbox, &fit);
    assert_eq!((&image["in_engine"], &image["reference"]), (&"ready".into(), &built));

    // Never built before, by any test.
    sandbox.write("foreseen/train.py", &format!("print('{}')\n", sandbox.path("").display()));
    let image = plan(&sandbox, &fit);
    assert_eq!(image["in_engine"], "missing");
    assert!(image["before"].as_str().unwrap().starts_with("foreseen/train:"), "{image}");
    assert_eq!(new_layers(&image), ["COPY code/ /opt/alekseylearn/code/"]);
    let text = sandbox.run(&["fit", "--dry-run", fit[0], fit[1]]).success().stdout;
    assert!(text.contains("same  COPY runner/") && text.contains("new   COPY code/"), "{text}");
    // The build does what the plan said: it runs none of the steps that were to be reused.
    let run = sandbox.run(&["fit", fit[0], fit[1], "-v"]).success();
    assert_eq!(sandbox.newest_job()["image"], image["reference"]);
    assert!(run.stderr.contains("COPY code/ /opt"), "{}", run.stderr);
    assert!(!run.stderr.contains("uv pip install"), "{}", run.stderr);

    sandbox.write("foreseen/requirements.txt", "six\nattrs\n");
    let image = plan(&sandbox, &fit);
    assert!(new_layers(&image).iter().any(|layer| layer.contains("uv pip install")), "{image}");
}

#[test]
fn a_dry_run_tells_whether_there_is_something_to_push() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let rig = rig_or_skip!();
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.write("sent/train.py", "print(1)\n");
    let role = format!("--config.role_name={}", rig.name("role"));
    let output = format!("--config.output_path=s3://{}/sent", rig.name("bucket"));
    let fit = ["sent/train.py", "--train-driver", "sagemaker", &role, &output, &base];
    let writes = || rig.calls("CreateRepository").len() + rig.calls("PutManifest").len();
    let before = writes();
    let image = plan(&sandbox, &fit);
    assert!(image["repository"].as_str().unwrap().ends_with("/sent/train"), "{image}");
    assert_eq!(writes(), before, "nothing was made");
    sandbox.run(&[&["fit"][..], &fit].concat()).success();
    assert_eq!(plan(&sandbox, &fit)["push"], "skipped");
    sandbox.write("sent/train.py", "print(2)\n");
    assert_eq!(plan(&sandbox, &fit)["push"], "needed");
}

#[test]
fn fit_builds_by_what_init_wrote() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.write("mine/train.py", "import os\nprint('colour', os.environ.get('COLOUR'), os.listdir('.'))\n");
    let before = plan(&sandbox, &["mine/train.py", &base]);
    let written = sandbox.run(&["init", "mine/train.py", &base, "--json"]).success().data()["files"].clone();
    let dockerfile = sandbox.path("mine/alekseylearn/Dockerfile");
    assert_eq!(
        written.as_array().unwrap().last().unwrap(),
        dockerfile.canonicalize().unwrap().to_str().unwrap()
    );
    // Unedited it is the same image.
    let own = plan(&sandbox, &["mine/train.py", &base]);
    assert_eq!(own["reference"], before["reference"]);
    assert_eq!(own["files"], before["files"], "the folder itself is no part of the code");

    let text = fs::read_to_string(&dockerfile).unwrap();
    fs::write(&dockerfile, text.replace("WORKDIR", "ENV COLOUR=blue\nWORKDIR")).unwrap();
    let runner = sandbox.path("mine/alekseylearn/runner/__main__.py");
    let main = fs::read_to_string(&runner).unwrap();
    fs::write(&runner, format!("print('my own runner', flush=True)\n{main}")).unwrap();
    let run = sandbox.run(&["fit", "mine/train.py"]).success();
    assert!(run.stdout.contains("my own runner\ncolour blue ['train.py']"), "{}", run.stdout);
    run.says("mine/alekseylearn/Dockerfile");

    // What was edited is not lost.
    sandbox
        .run(&["init", "mine/train.py", &base])
        .failure(5)
        .one_error()
        .says("already exists with other content");
    assert!(fs::read_to_string(&dockerfile).unwrap().contains("blue"));
    // Another experiment gets it.
    sandbox.write("next/train.py", "import os\nprint('colour', os.environ['COLOUR'])\n");
    sandbox.run(&["copy", "mine", "next/train.py"]).success();
    let run = sandbox.run(&["fit", "next/train.py"]).success();
    assert!(run.stdout.contains("my own runner\ncolour blue"), "{}", run.stdout);
    sandbox.run(&["copy", "mine", "next"]).success();
    fs::write(sandbox.path("next/alekseylearn/Dockerfile"), "FROM scratch\n").unwrap();
    sandbox.run(&["copy", "mine", "next"]).failure(5).one_error().says("next/alekseylearn/Dockerfile");
    sandbox.run(&["copy", "mine", "next", "--overwrite"]).success();
    sandbox.run(&["init", "mine/train.py", &base, "--overwrite"]).success();
    assert_eq!(plan(&sandbox, &["mine/train.py", &base])["reference"], before["reference"]);
}

#[test]
fn an_edited_dockerfile_that_fails_is_named_with_its_line() {
    let base = base_image_or_skip!();
    let sandbox = Sandbox::new();
    sandbox.write("broken/train.py", "");
    let dockerfile = |rest: &str| {
        sandbox.write("broken/alekseylearn/Dockerfile", &format!("# mine\nFROM {base}\n{rest}"));
    };
    dockerfile("RUN echo first && \\\n    echo why it fails && false\n");
    let run = sandbox.run(&["fit", "broken/train.py", "--trust"]).failure(1).one_error();
    run.says("why it fails").says("hint: fix line 3 of ").says("broken/alekseylearn/Dockerfile");
    dockerfile("RUNN echo\n");
    let run = sandbox.run(&["fit", "broken/train.py"]).one_error();
    assert!(matches!(run.code, Some(1 | 2)));
    run.says("unknown instruction: RUNN").says("line 3").says("broken/alekseylearn/Dockerfile");
}

#[test]
fn init_and_copy_refuse_what_makes_no_sense() {
    let mut sandbox = Sandbox::new();
    sandbox.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
    sandbox.run(&["init", "nothing.py"]).failure(4).one_error();
    sandbox.write("a/train.py", "");
    sandbox.run(&["init", "a/train.py", "--build-driver", "nothing"]).failure(4).one_error();
    sandbox.run(&["init", "a/train.py", "--config.base_imag=x"]).failure(2).one_error();
    sandbox.run(&["copy", "a", "b"]).failure(4).one_error().says("no folder b");
    sandbox.write("b/train.py", "");
    sandbox.run(&["copy", "a", "b"]).failure(4).one_error().says("no Dockerfile of its own");
    assert!(!sandbox.path("b/alekseylearn").exists());
    sandbox.run(&["init", "a/train.py"]).success();
    // Cut off in the middle, it means nothing yet, and can be done again.
    fs::remove_file(sandbox.path("a/alekseylearn/Dockerfile")).unwrap();
    assert_eq!(plan(&sandbox, &["a/train.py"])["dockerfile_path"], Value::Null);
    sandbox.run(&["init", "a/train.py"]).success();
    // A link out of the folder is not followed by what reads, and is replaced by what writes.
    sandbox.write("elsewhere", "precious");
    fs::remove_file(sandbox.path("a/alekseylearn/Dockerfile")).unwrap();
    std::os::unix::fs::symlink("../../elsewhere", sandbox.path("a/alekseylearn/Dockerfile")).unwrap();
    sandbox.run(&["init", "a/train.py"]).failure(5).one_error();
    sandbox.run(&["init", "a/train.py", "--overwrite"]).success();
    assert_eq!(fs::read_to_string(sandbox.path("elsewhere")).unwrap(), "precious");
}
