//! The same training by other hands: the local mode of SageMaker's own SDK.

use std::{collections::BTreeMap, env, fs::File, io::Read, path::Path, process::Command};

use alekseylearn_tests::{Rig, Sandbox, base_image_or_skip, rig_or_skip, skipped, workspace};

use super::{fit, run};

/// Its model is all that a script can see: a dependency, the data beside it, its arguments; and files of all sorts.
const SCRIPT: &str = "\
import csv, json, os, pathlib, random, sys, helper, six
rows = list(csv.reader(open('data/points.csv')))
model = pathlib.Path(os.environ['SM_MODEL_DIR'])
seen = {'six': six.__version__, 'helper': helper.NAME, 'arguments': sys.argv[1:], 'here': os.getcwd(),
        'points': rows, 'hyperparameters': os.environ['SM_HPS'], 'output': os.environ['SM_OUTPUT_DATA_DIR']}
(model / 'seen.json').write_text(json.dumps(seen, sort_keys=True, indent=1))
deep = model / 'export' / '1' / 'variables'
deep.mkdir(parents=True)
weights = random.Random(len(rows)).randbytes(3_000_000)
(deep / 'weights.bin').write_bytes(weights)
(model / 'weights größe.bin').write_bytes(weights[::2])
(model / 'nothing').touch()
(model / 'empty').mkdir()
(model / 'predict.sh').write_text('#!/bin/sh\\necho 1\\n')
(model / 'predict.sh').chmod(0o755)
(model / 'key').write_text('x')
(model / 'key').chmod(0o600)
(model / ('long' * 40)).write_text('a name of more than a hundred letters')
";

/// What a member of an archive is: its mode, and its content where it is a file.
type Members = BTreeMap<String, (u32, Option<Vec<u8>>)>;

fn members(archive: &Path) -> Members {
    let file = File::open(archive).unwrap_or_else(|error| panic!("{}: {error}", archive.display()));
    let mut members = BTreeMap::new();
    for entry in tar::Archive::new(flate2::read::GzDecoder::new(file)).entries().unwrap() {
        let mut entry = entry.unwrap();
        let kind = entry.header().entry_type();
        assert!(kind.is_file() || kind.is_dir(), "{kind:?}");
        let name =
            entry.path().unwrap().to_str().unwrap().trim_start_matches("./").trim_end_matches('/').to_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let mode = entry.header().mode().unwrap() & 0o777;
        members.insert(name, (mode, kind.is_file().then_some(content)));
    }
    members
}

/// Without the contents, to be read where they are not the same.
fn outline(members: &Members) -> String {
    let line = |(name, (mode, content)): (&String, &(u32, Option<Vec<u8>>))| {
        format!("{mode:o} {:?} {name}\n", content.as_ref().map(Vec::len))
    };
    members.iter().map(line).collect()
}

/// Trains the image as users of the SDK do, and tells the model's archive.
fn by_the_sdk(rig: &Rig, sandbox: &Sandbox, python: &str, image: &str, hyperparameters: &[&str]) -> Members {
    let folder = sandbox.path("by-the-sdk");
    std::fs::create_dir(&folder).unwrap();
    // It would tell its makers.
    let quiet = "SchemaVersion: '1.0'\nSageMaker: {PythonSDK: {Modules: {TelemetryOptOut: true}}}\n";
    let config = sandbox.write("sagemaker.yaml", quiet);
    let mut sdk = Command::new(python);
    sdk.arg(workspace().join("tests/bench/local_mode.py")).args([image, folder.to_str().unwrap()]);
    sdk.args(hyperparameters).envs(rig.environment()).env("SAGEMAKER_USER_CONFIG_OVERRIDE", config);
    sdk.env("PATH", env::var_os("ALEKSEYLEARN_SDK_PATH").expect("it is told with the Python"));
    let output = sdk.env("HOME", sandbox.home("")).current_dir(&folder).output().expect("Python starts");
    tidy(image);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    members(&folder.join("model.tar.gz"))
}

/// The SDK leaves its containers and a network, which Docker keeps where others are on it.
fn tidy(image: &str) {
    let docker = |arguments: &[&str]| Command::new("docker").args(arguments).output().expect("docker starts");
    let left = docker(&["ps", "--all", "--quiet", "--filter", &format!("ancestor={image}")]);
    for id in String::from_utf8_lossy(&left.stdout).lines() {
        docker(&["rm", "--force", id]);
    }
    docker(&["network", "rm", "sagemaker-local"]);
}

#[test]
fn local_mode_of_sagemakers_sdk_makes_the_same_model() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let Ok(python) = env::var("ALEKSEYLEARN_SDK_PYTHON") else {
        return skipped("ALEKSEYLEARN_SDK_PYTHON is not set: docker-compose cannot be had here");
    };
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.write("same/train.py", SCRIPT);
    sandbox.write("same/helper.py", "NAME = 'a module beside it'\n");
    sandbox.write("same/requirements.txt", "six==1.17.0\n");
    sandbox.write("same/data/points.csv", "1,2\n3,4\n5,6\n");
    let hyperparameters = ["epochs=3", "rate=0.5", "C=1", "name=two words"];
    let options = hyperparameters.map(|given| format!("--config.hyperparameters.{given}"));
    let options: Vec<&str> = options.iter().map(String::as_str).collect();

    let base_option = format!("--config.base_image={base}");
    let local = [&["fit", "same/train.py", "--train-driver", "local", &base_option], &*options].concat();
    sandbox.run(&local).success();
    let job = sandbox.newest_job();
    sandbox.run(&["fetch", "here", job["name"].as_str().unwrap(), "--no-extract"]).success();
    let here = members(&sandbox.path("here/model.tar.gz"));
    assert_eq!(here["seen.json"].1.as_ref().map(|seen| seen.starts_with(b"{")), Some(true));

    run(&sandbox, &fit(&rig, &base, &[&["same/train.py"], &*options].concat())).success();
    let name = sandbox.newest_job()["name"].as_str().unwrap().to_owned();
    sandbox.run(&["fetch", "there", &name, "--no-extract"]).success();
    let there = members(&sandbox.path("there/model.tar.gz"));

    let image = job["image"].as_str().unwrap();
    let sdk = by_the_sdk(&rig, &sandbox, &python, image, &hyperparameters);
    for (who, theirs) in [("SageMaker", &there), ("the SDK", &sdk)] {
        assert_eq!(outline(&here), outline(theirs), "here, and by {who}");
        for (name, (_, content)) in &here {
            let text = |content: &Option<Vec<u8>>| {
                content
                    .as_deref()
                    .map(String::from_utf8_lossy)
                    .map(|text| text.chars().take(2000).collect::<String>())
            };
            assert!(
                *content == theirs[name].1,
                "{name} by {who}:\n{:?}\n{:?}",
                text(content),
                text(&theirs[name].1)
            );
        }
    }
}
