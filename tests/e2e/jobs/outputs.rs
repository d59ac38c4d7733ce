//! Results that are no archive: a prefix of objects in S3, and checkpoints.

use std::{collections::BTreeMap, fs, path::Path};

use alekseylearn_tests::{Rig, Sandbox, base_image_or_skip, rig_or_skip};
use serde_json::{Value, json};

use crate::sagemaker::{fit, run};

/// A model of many small objects and one of several parts, output data and a checkpoint.
const SCRIPT: &str = "\
import os, random
def write(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as file:
        file.write(content)
bytes_ = random.Random(7).randbytes
for n in range(40):
    write(f'/opt/ml/model/deep/{n % 4}/weights-{n}.bin', bytes_(n * 100))
write('/opt/ml/model/large.bin', bytes_(20_000_000))
write('/opt/ml/model/größe und leer.txt', b'')
write('/opt/ml/output/data/curve.csv', b'1,2')
write('/opt/ml/checkpoints/step-1/state', b'state')
";

/// All files below a folder, by their paths in it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

/// A user with a job whose results are objects, and the job's name.
fn trained(rig: &Rig, base: &str) -> (Sandbox, String) {
    let sandbox = Sandbox::with_rig(rig);
    sandbox.write("many/train.py", SCRIPT);
    let options = ["many/train.py", "--config.output_compression=NONE", "--config.spot=true"];
    run(&sandbox, &fit(rig, base, &options)).success();
    let request = rig.calls("CreateTrainingJob").pop().unwrap()["body"].clone();
    assert_eq!(request["OutputDataConfig"]["CompressionType"], "NONE");
    let name = sandbox.newest_job()["name"].as_str().unwrap().to_owned();
    (sandbox, name)
}

#[test]
fn results_that_are_objects_come_home_as_files() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let (sandbox, name) = trained(&rig, &base);
    let data = sandbox.run(&["fetch", "model", "many/train", "--json"]).success().data();
    assert_eq!(data["files"].as_array().unwrap().len(), 42);
    let model = files(&sandbox.path("model"));
    assert_eq!(model.len(), 42);
    assert_eq!(model["large.bin"].len(), 20_000_000);
    assert_eq!(model["größe und leer.txt"].len(), 0);
    assert_eq!(model["deep/3/weights-39.bin"].len(), 3_900);
    assert_eq!(data["bytes"], json!(model.values().map(Vec::len).sum::<usize>()));

    let all = ["fetch", "all", "many/train", "--output-data", "--checkpoints", "--no-extract"];
    sandbox.run(&all).success();
    let mut all = files(&sandbox.path("all"));
    assert_eq!(all.remove("output-data/curve.csv").unwrap(), b"1,2");
    assert_eq!(all.remove("checkpoints/step-1/state").unwrap(), b"state");
    assert!(all == model, "the same model both times");

    // What is in the way stays.
    let before = rig.calls("GetObject").len();
    sandbox.run(&["fetch", "model", &name]).failure(5).one_error().says("already exists");
    assert_eq!(rig.calls("GetObject").len(), before, "nothing was brought for it");
    sandbox.run(&["fetch", "model", &name, "--overwrite"]).success();
    // Another machine finds it by its place.
    let elsewhere = Sandbox::with_rig(&rig);
    let place = format!("s3://{}/jobs", rig.name("bucket"));
    elsewhere.run(&["fetch", "out", "many/train", &place, "--checkpoints"]).success();
    assert!(elsewhere.path("out/large.bin").is_file());
    assert!(elsewhere.path("out/checkpoints/step-1/state").is_file());
}

#[test]
fn objects_that_do_not_all_come_are_gone_on_with() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let (sandbox, name) = trained(&rig, &base);
    rig.fault(&json!({ "match": { "operation": "GetObject" }, "fault": "cut", "times": 3 }));
    rig.fault(&json!({ "match": { "operation": "HeadObject" }, "fault": "throttle", "times": 3 }));
    sandbox.run(&["fetch", "first", &name]).success();
    assert_eq!(files(&sandbox.path("first")).len(), 42);
    rig.clear_faults();

    let object = |call: &Value| call["path"].as_str().unwrap_or_default().to_owned();
    let broken = json!({ "operation": "GetObject", "path": "weights-39" });
    rig.fault(&json!({ "match": broken, "fault": "cut", "after_bytes": 0, "times": null }));
    sandbox.run(&["fetch", "second", &name]).failure(7).one_error();
    assert_eq!(
        fs::read_dir(sandbox.path("second"))
            .unwrap()
            .flatten()
            .filter(|entry| entry.file_name() != *format!(".alekseylearn-{name}"))
            .count(),
        0,
        "nothing half-done is seen"
    );
    rig.clear_faults();
    let before = rig.calls("GetObject").len();
    sandbox.run(&["fetch", "second", &name]).success();
    let asked: Vec<String> = rig.calls("GetObject")[before..].iter().map(object).collect();
    assert!(asked.len() < 42, "what was there is not asked for again: {asked:?}");
    assert!(asked.iter().any(|path| path.ends_with("weights-39.bin")), "{asked:?}");
    assert!(files(&sandbox.path("second")) == files(&sandbox.path("first")));
}

#[test]
fn objects_whose_names_are_no_files_leave_nothing() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.write("one/train.py", "open('/opt/ml/model/weights', 'w').write('x')\n");
    run(&sandbox, &fit(&rig, &base, &["one/train.py", "--config.output_compression=NONE"])).success();
    let name = sandbox.newest_job()["name"].as_str().unwrap().to_owned();
    let model = format!("{}/jobs/{name}/output/model", rig.name("bucket"));
    rig.put_object(&format!("{model}/weights/part-1"), b"y");
    let refused = sandbox.run(&["fetch", "out", &name]).failure(1).one_error();
    refused.says("is unsafe: weights is both a file and a folder in it");
    assert!(!sandbox.path("out").exists());
}

#[test]
fn checkpoints_of_a_rehearsal_come_home_too() {
    let base = base_image_or_skip!();
    let sandbox = Sandbox::new();
    sandbox.write("many/train.py", SCRIPT);
    sandbox.run(&["fit", "many/train.py", &format!("--config.base_image={base}")]).success();
    sandbox.run(&["fetch", "out", "many/train", "--checkpoints"]).success();
    assert_eq!(fs::read(sandbox.path("out/checkpoints/step-1/state")).unwrap(), b"state");
    sandbox.write("none/train.py", "open('/opt/ml/model/m', 'w').write('x')\n");
    sandbox.run(&["fit", "none/train.py", &format!("--config.base_image={base}")]).success();
    sandbox
        .run(&["fetch", "none-out", "none/train", "--checkpoints"])
        .success()
        .says("there are no checkpoints");
}
