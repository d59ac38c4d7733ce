//! Instances of several kinds in one job.

use std::fs;

use alekseylearn_tests::{Sandbox, base_image_or_skip, rig_or_skip};
use serde_json::{Value, json};

use super::{fit, run};

const GROUPS: [&str; 2] =
    ["--config.instance_groups.fast=ml.g4dn.xlarge:1", "--config.instance_groups.many=ml.m5.xlarge:2"];

/// Keeps what each machine is told, and what it finds of its inputs.
const SCRIPT: &str = "\
import json, os, shutil
host = os.environ['SM_CURRENT_HOST']
print('I am', host, 'of', os.environ['WORLD_SIZE'])
shutil.copy('/opt/ml/input/config/resourceconfig.json', f'/opt/ml/model/{host}.json')
data = {name: sorted(os.listdir('/opt/ml/input/data/' + name)) for name in json.loads(os.environ['SM_CHANNELS'])}
json.dump(data, open(f'/opt/ml/model/{host}-data.json', 'w'))
";

#[test]
fn machines_of_several_kinds_train_as_one() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.write("p/train.py", SCRIPT);
    for name in ["1.csv", "2.csv"] {
        sandbox.write(&format!("data/{name}"), name);
    }
    let inputs = [
        "--config.input.all=data",
        "--config.input.some=data",
        "--config.input_groups.some=many",
        "--config.input_sharding.some=ShardedByS3Key",
    ];
    let more = [&["p/train.py", "--fetch", "out"], &GROUPS[..], &inputs].concat();
    let shown = run(&sandbox, &fit(&rig, &base, &more)).success();

    // The rig holds it to botocore's model.
    let request = rig.calls("CreateTrainingJob").pop().unwrap()["body"].clone();
    let group = |name: &str, kind: &str, count: u32| json!({ "InstanceGroupName": name, "InstanceType": kind, "InstanceCount": count });
    let groups = json!([group("fast", "ml.g4dn.xlarge", 1), group("many", "ml.m5.xlarge", 2)]);
    assert_eq!(request["ResourceConfig"], json!({ "InstanceGroups": groups, "VolumeSizeInGB": 30 }));
    let names = |channel: usize| &request["InputDataConfig"][channel]["DataSource"]["S3DataSource"]["InstanceGroupNames"];
    assert_eq!((names(0), names(1)), (&Value::Null, &json!(["many"])));

    let all = json!(["1.csv", "2.csv"]);
    for (host, group, kind, data) in [
        ("algo-1", "fast", "ml.g4dn.xlarge", json!({ "all": all })),
        ("algo-2", "many", "ml.m5.xlarge", json!({ "all": all, "some": ["1.csv"] })),
        ("algo-3", "many", "ml.m5.xlarge", json!({ "all": all, "some": ["2.csv"] })),
    ] {
        assert!(shown.stdout.contains(&format!("{host} I am {host} of 3")), "{}", shown.stdout);
        let kept = |name: &str| -> Value {
            serde_json::from_slice(&fs::read(sandbox.path(&format!("out/{name}.json"))).unwrap()).unwrap()
        };
        let config = kept(host);
        assert_eq!(
            (&config["current_group_name"], &config["current_instance_type"]),
            (&json!(group), &json!(kind))
        );
        assert_eq!(config["hosts"], json!(["algo-1", "algo-2", "algo-3"]));
        let member = |name: &str, kind: &str, hosts: Value| json!({ "instance_group_name": name, "instance_type": kind, "hosts": hosts });
        let groups = [
            member("fast", "ml.g4dn.xlarge", json!(["algo-1"])),
            member("many", "ml.m5.xlarge", json!(["algo-2", "algo-3"])),
        ];
        assert_eq!(config["instance_groups"], json!(groups));
        assert_eq!(kept(&format!("{host}-data")), data, "{host}");
    }
    let status = sandbox.run(&["status", "p/train", "--json"]).success().data();
    assert_eq!(status["nodes"], 3);
    let seconds = status["billable_seconds"].as_f64().unwrap();
    let cost = status["cost_usd"].as_f64().unwrap();
    assert!((cost - (0.7364 + 2.0 * 0.23) * seconds / 3600.0).abs() < 1e-6, "{status}");
}

#[test]
fn a_group_of_an_unknown_price_makes_the_whole_unknown() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.write("train.py", "");
    let check = |more: &[&str]| {
        let options = fit(&rig, &base, &[&["train.py", "--json"], more].concat());
        let arguments: Vec<String> =
            std::iter::once("check".to_owned()).chain(options.into_iter().skip(1)).collect();
        run(&sandbox, &arguments).success().data()
    };
    let most = check(&[&GROUPS[..], &["--config.max_runtime=3600"]].concat());
    let most = most["cost"]["max_usd"].as_f64().unwrap_or_else(|| panic!("{most}"));
    assert!((most - (0.7364 + 2.0 * 0.23)).abs() < 1e-9, "{most}");
    let unknown = check(&[GROUPS[0], "--config.instance_groups.old=ml.c4.2xlarge:1"]);
    assert_eq!(unknown["cost"]["max_usd"], Value::Null, "{unknown}");
    assert!(
        unknown["cost"]["basis"].as_str().unwrap().contains("--config.prices.ml.c4.2xlarge"),
        "{unknown}"
    );
}

#[test]
fn groups_take_the_place_of_what_the_defaults_name() {
    let rig = rig_or_skip!();
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.write("train.py", "");
    sandbox.write("alekseylearn.toml", "[train.sagemaker]\ntrain_instance_type = 'ml.m5.large'\n");
    let dry = |more: &[&str]| {
        run(&sandbox, &fit(&rig, "scratch", &[&["train.py", "--dry-run", "--trust"], more].concat()))
    };
    let one_kind = dry(&["--json"]).success().data()["request"]["ResourceConfig"].clone();
    assert_eq!(one_kind["InstanceType"], "ml.m5.large");
    let resources =
        dry(&[&GROUPS[..], &["--json"]].concat()).success().data()["request"]["ResourceConfig"].clone();
    assert!(resources.get("InstanceType").is_none(), "{resources}");
    assert_eq!(resources["InstanceGroups"].as_array().map(Vec::len), Some(2), "{resources}");
    dry(&GROUPS)
        .success()
        .says("--config.train_instance_type is ignored: --config.instance_groups replaces it");
}
