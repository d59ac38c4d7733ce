//! Data for the script: folders of this machine and places in S3.

use std::fs;

use alekseylearn_tests::{Rig, Sandbox, base_image_or_skip, rig_or_skip};
use serde_json::{Value, json};

use crate::sagemaker::{fit, run};

/// Writes down all files of its channels.
const SCRIPT: &str = "\
import json, os
found = {}
for name in json.loads(os.environ['SM_CHANNELS']):
    top = os.environ['SM_CHANNEL_' + name.upper()]
    for folder, _, names in os.walk(top):
        for file in names:
            path = os.path.join(folder, file)
            found[name + '/' + os.path.relpath(path, top)] = open(path).read()
json.dump(found, open('/opt/ml/model/found.json', 'w'))
";

fn found(sandbox: &Sandbox, folder: &str) -> Value {
    serde_json::from_slice(&fs::read(sandbox.path(&format!("{folder}/found.json"))).unwrap()).unwrap()
}

/// What was put since, but for the models of jobs; and what was copied.
fn sent(rig: &Rig, before: usize) -> Vec<String> {
    let puts = rig.calls("PutObject");
    let path = |call: &Value| call["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let mut names: Vec<String> =
        puts[before..].iter().map(path).filter(|name| !name.ends_with(".json")).collect();
    names.sort();
    names
}

#[test]
fn a_folder_goes_to_the_cloud_once_and_later_only_what_changed() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.write("p/train.py", SCRIPT);
    sandbox.write("data/deep/größe 1.csv", "1,2");
    sandbox.write("data/b.csv", "b");
    sandbox.write("data/.env", "SECRET=1");
    let train = |out: &str, folder: &str| {
        let input = format!("--config.input.train={folder}");
        let place = format!("--config.output_path=s3://{}/inputs-test", rig.name("bucket"));
        let more = ["p/train.py", "--fetch", out, &input, &place, "--config.input_modes.train=FastFile"];
        let before = rig.calls("PutObject").len();
        run(&sandbox, &fit(&rig, &base, &more)).success();
        (found(&sandbox, out), sent(&rig, before))
    };
    let (seen, first) = train("one", "./data");
    assert_eq!(seen, json!({ "train/deep/größe 1.csv": "1,2", "train/b.csv": "b" }));
    assert_eq!(first.len(), 2, "{first:?}");
    let request = rig.calls("CreateTrainingJob").pop().unwrap()["body"].clone();
    let channel = &request["InputDataConfig"][0];
    assert_eq!(channel["InputMode"], "FastFile");
    let uri = channel["DataSource"]["S3DataSource"]["S3Uri"].as_str().unwrap().to_owned();
    assert!(uri.starts_with(&format!("s3://{}/inputs-test/inputs/", rig.name("bucket"))), "{uri}");

    // The same again, by another name of it: nothing is sent.
    let (_, again) = train("two", sandbox.path("data").to_str().unwrap());
    assert_eq!(again, Vec::<String>::new());
    let copies = rig.calls("CopyObject").len();
    sandbox.write("data/c.csv", "c");
    let (seen, changed) = train("three", "data");
    assert_eq!(changed, ["c.csv"]);
    assert_eq!(rig.calls("CopyObject").len(), copies + 2, "the rest S3 copies by itself");
    assert_eq!(seen["train/c.csv"], "c");
    assert_eq!(seen["train/deep/größe 1.csv"], "1,2");

    // A later command finds its options from anywhere, also without the folder.
    fs::remove_dir_all(sandbox.path("data")).unwrap();
    sandbox.run(&["status", "p/train"]).success();
    let gone = run(&sandbox, &fit(&rig, &base, &["p/train.py", "--config.input.train=./data"]));
    gone.failure(4).one_error().says("there is no folder");
}

#[test]
fn a_dry_run_sends_nothing_and_names_the_same_place() {
    let rig = rig_or_skip!();
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.write("p/train.py", "");
    sandbox.write("data/b.csv", "b");
    let more = ["p/train.py", "--config.input.train=data", "--dry-run", "--json"];
    let place = |_| {
        let data = run(&sandbox, &fit(&rig, "scratch", &more)).success().data();
        data["request"]["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"].clone()
    };
    assert_eq!(place(1), place(2));
    assert_eq!(rig.calls("PutObject"), Vec::<Value>::new());
}

#[test]
fn inputs_that_make_no_sense_are_one_error_each() {
    let rig = rig_or_skip!();
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.write("p/train.py", "");
    sandbox.write("data/b.csv", "b");
    sandbox.write("secret/.env", "b");
    let foreign = format!("--config.input.train=s3://{}/x", rig.name("foreign_bucket"));
    let missing = format!("--config.input.train=s3://{}/nothing-here", rig.name("bucket"));
    for (options, code, says) in [
        (&["--config.input.a=data", "--config.input.A=data"][..], 2, "are both SM_CHANNEL_A"),
        (&["--config.input.a=data", "--config.input.a=p"], 2, "given twice, also as"),
        (&["--config.input.a=nowhere"], 4, "there is no folder"),
        (&["--config.input.a=secret"], 4, "no files to upload"),
        (&[&foreign], 2, "is in eu-west-1, but the job runs in us-east-1"),
        (&[&missing], 2, "nothing found at"),
        (
            &["--config.input.a=data", "--config.input_modes.a=Slow"],
            2,
            "--config.input_modes.a: unknown value `Slow`",
        ),
        (
            &["--config.input.a=data", "--config.input_sharding.a=Some"],
            2,
            "--config.input_sharding.a: unknown value `Some`",
        ),
        (
            &["--config.input.a=data", "--config.input_compression.a=Zip"],
            2,
            "--config.input_compression.a: unknown value `Zip`",
        ),
        (&["--config.input_modes.b=File"], 2, "--config.input_modes.b matches no input"),
    ] {
        let refused = run(&sandbox, &fit(&rig, "scratch", &[&["p/train.py"], options].concat()));
        refused.failure(code).one_error().says(says);
    }
    assert_eq!(rig.calls("PutObject"), Vec::<Value>::new());
}

#[test]
fn a_rehearsal_reads_the_folder_as_it_is() {
    let base = base_image_or_skip!();
    let sandbox = Sandbox::new();
    let base = format!("--config.base_image={base}");
    sandbox.write("p/train.py", &format!("{SCRIPT}try:\n    open('/opt/ml/input/data/train/new', 'w')\nexcept OSError as error:\n    print('refused:', error)\n"));
    sandbox.write("data/deep/a.csv", "1,2");
    let run =
        sandbox.run(&["fit", "p/train.py", &base, "--config.input.train=./data", "--fetch", "out"]).success();
    assert_eq!(found(&sandbox, "out"), json!({ "train/deep/a.csv": "1,2" }));
    assert!(run.stdout.contains("refused:"), "it can only be read\n{}", run.stdout);
    assert!(sandbox.path("data/deep/a.csv").is_file(), "the user's folder stays");
    let cloud = sandbox.run(&["fit", "p/train.py", &base, "--config.input.train=s3://bucket/x"]);
    cloud.failure(8).one_error().says("cannot read s3://bucket/x");
    let gone = sandbox.run(&["fit", "p/train.py", &base, "--config.input.train=nowhere"]);
    gone.failure(4).one_error().says("there is no folder");
}
