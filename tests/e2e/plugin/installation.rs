//! Installing plugins: what they are is said, what they may do is asked for, and nothing half-done is left.

use std::{fs, path::PathBuf};

use alekseylearn_tests::{Sandbox, workspace};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const ALL: &str = "aws-identity,ecr,s3,sagemaker,cloudwatch-logs";

/// A component that a stranger might send: the shipped driver's own file.
fn component(sandbox: &Sandbox) -> PathBuf {
    let file = sandbox.path("driver.wasm");
    fs::copy(workspace().join("target/plugins/sagemaker.wasm"), &file)
        .expect("`cargo xtask plugins` made it");
    file
}

#[test]
fn a_plugin_is_shown_installed_used_and_removed() {
    let sandbox = Sandbox::new();
    component(&sandbox);
    let shown = sandbox.run(&["plugin", "show", "driver.wasm", "--json"]).success().data();
    assert_eq!(shown["name"], "sagemaker");
    assert_eq!(shown["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(shown["drivers"], json!(["train"]));
    assert_eq!(shown["wants"].as_array().unwrap().len(), 5);
    assert_eq!(sandbox.run(&["plugin", "list", "--json"]).success().data()["plugins"], json!([]));

    let install = ["plugin", "install", "driver.wasm", "--yes", "--grant", ALL];
    sandbox.run(&install).failure(3).one_error().says("sagemaker is the name of a shipped driver");
    sandbox.run(&[&install[..], &["--replace-shipped"]].concat()).success();
    let drivers = sandbox.run(&["driver", "list", "--json"]).success().data();
    let train =
        drivers["drivers"].as_array().unwrap().iter().find(|driver| driver["name"] == "sagemaker").unwrap();
    assert!(
        train["from"].as_str().unwrap().starts_with("installed sha256:"),
        "it answers for the shipped one"
    );
    sandbox.run(&["driver", "show", "sagemaker"]).success();
    sandbox.run(&["plugin", "verify"]).success();
    sandbox.run(&["plugin", "uninstall", "sagemaker"]).success();
    sandbox.run(&["plugin", "uninstall", "sagemaker"]).failure(4).one_error();
    let drivers = sandbox.run(&["driver", "list", "--json"]).success().data();
    assert!(drivers["drivers"].as_array().unwrap().iter().all(|driver| driver["from"] == "shipped"));
}

#[test]
fn nothing_is_granted_that_was_not_spelled_out() {
    let sandbox = Sandbox::new();
    component(&sandbox);
    // Nobody is there to ask.
    let refused = sandbox.run(&["plugin", "install", "driver.wasm", "--name", "mine"]).failure(3).one_error();
    refused.says("start training jobs that cost money").says(&format!("--yes --grant {ALL}"));
    assert_eq!(sandbox.run(&["plugin", "list", "--json"]).success().data()["plugins"], json!([]));
    // What it does not want it does not get either.
    sandbox
        .run(&["plugin", "install", "driver.wasm", "--name", "mine", "--yes", "--grant", "s3,docker"])
        .success()
        .says("also wants");
    let granted =
        || sandbox.run(&["plugin", "list", "--json"]).success().data()["plugins"][0]["granted"].clone();
    assert_eq!(granted(), json!(["s3"]));
    sandbox.write("train.py", "");
    let fit = [
        "fit",
        "train.py",
        "--train-driver",
        "mine",
        "--config.output_path=s3://bucket",
        "--config.role_name=r",
    ];
    sandbox.run(&fit).failure(3).one_error().says("alekseylearn plugin grant mine aws-identity");
    sandbox.run(&["plugin", "grant", "mine", "aws-identity", "ecr"]).success();
    assert_eq!(granted(), json!(["aws-identity", "ecr", "s3"]));
    sandbox.run(&["plugin", "revoke", "mine", "s3"]).success();
    assert_eq!(granted(), json!(["aws-identity", "ecr"]));
    // The same again keeps what it was granted, and widens nothing.
    sandbox.run(&["plugin", "install", "driver.wasm", "--name", "mine", "--yes"]).success();
    assert_eq!(granted(), json!(["aws-identity", "ecr"]));
    sandbox.run(&["plugin", "grant", "mine", "everything"]).failure(2);
}

#[test]
fn files_that_are_no_plugins_are_refused_by_name() {
    let sandbox = Sandbox::new();
    let whole = fs::read(component(&sandbox)).unwrap();
    fs::remove_file(sandbox.path("driver.wasm")).unwrap();
    let middle = whole.len() / 2;
    let mut changed = whole.clone();
    changed[middle..middle + 64].fill(0xff);
    for (content, says) in [
        (&b"not wasm"[..], "is not WebAssembly"),
        (b"", "is not WebAssembly"),
        (b"\0asm\x01\0\0\0", "is a core module"),
        (b"\0asm\x0d\0\x01\0", "does not use the driver contract"),
        (&whole[..middle], "is damaged"),
        (&changed, "damaged"),
    ] {
        fs::write(sandbox.path("bad.wasm"), content).unwrap();
        // Its own name may be in the part that is not damaged, and is reserved.
        let install = ["plugin", "install", "bad.wasm", "--name", "mine", "--yes", "--grant", ALL];
        let run = sandbox.run(&install).failure(9).one_error();
        if says != "damaged" {
            run.says(says);
        }
        assert_eq!(sandbox.run(&["plugin", "list", "--json"]).success().data()["plugins"], json!([]));
    }
    sandbox.run(&["plugin", "install", "none.wasm"]).failure(4).one_error();
    fs::create_dir(sandbox.path("empty")).unwrap();
    sandbox.run(&["plugin", "install", "empty"]).failure(2).one_error().says("contains 0 .wasm files");
}

/// The same component, but for the contract that it says to speak.
fn of_contract(wasm: &[u8], version: &str) -> Vec<u8> {
    let (from, to) = (b"@0.1.1".as_slice(), version.as_bytes());
    let mut out = wasm.to_vec();
    let mut at = 0;
    while let Some(found) = out[at..].windows(from.len()).position(|window| window == from) {
        out[at + found..at + found + from.len()].copy_from_slice(to);
        at += found + from.len();
    }
    out
}

/// What a newer alekseylearn has left to an older one.
#[test]
fn an_installed_plugin_of_another_contract_is_named_with_what_to_do() {
    let sandbox = Sandbox::new();
    let file = component(&sandbox);
    sandbox.run(&["plugin", "install", "driver.wasm", "--name", "mine", "--yes", "--grant", ALL]).success();
    let newer = of_contract(&fs::read(&file).unwrap(), "@0.2.0");
    let digest = hex::encode(Sha256::digest(&newer));
    let plugins = sandbox.data().join("plugins");
    fs::write(plugins.join(format!("{digest}.wasm")), newer).unwrap();
    let list = fs::read_to_string(plugins.join("plugins.json")).unwrap();
    let old = installed_digest(&list);
    fs::write(plugins.join("plugins.json"), list.replace(&old, &format!("sha256:{digest}"))).unwrap();

    let says = "was built for contract 0.2.0";
    let run = sandbox.run(&["doctor", "--json"]).failure(1);
    let checks = run.data()["checks"].clone();
    let check = checks.as_array().unwrap().iter().find(|check| check["name"] == "plugins").unwrap();
    assert_eq!(check["state"], "problem");
    assert!(check["what"].as_str().unwrap().contains(says), "{check}");
    assert!(check["fix"].as_str().unwrap().contains("upgrade alekseylearn"), "{check}");
    sandbox.run(&["driver", "show", "mine"]).failure(9).one_error().says(says);
    sandbox.run(&["driver", "show", "local"]).success();
}

fn installed_digest(list: &str) -> String {
    let list: Value = serde_json::from_str(list).unwrap();
    list["plugins"][0]["digest"].as_str().unwrap().to_owned()
}

#[test]
fn a_component_of_another_contract_is_refused_before_it_is_compiled() {
    let sandbox = Sandbox::new();
    let file = component(&sandbox);
    let wasm = fs::read(&file).unwrap();
    for (version, says) in [("@0.2.0", "upgrade alekseylearn"), ("@0.0.9", "upgrade the plugin")] {
        fs::write(&file, of_contract(&wasm, version)).unwrap();
        let run = sandbox
            .run(&["plugin", "install", "driver.wasm", "--yes", "--grant", ALL])
            .failure(9)
            .one_error();
        run.says(&format!("was built for contract {}", &version[1..])).says(says);
    }
}

#[test]
fn a_component_that_was_changed_after_its_installation_is_not_run() {
    let mut sandbox = Sandbox::new();
    // Its compiled form would answer first.
    let cache = sandbox.path("cache");
    sandbox.set("XDG_CACHE_HOME", cache.to_str().unwrap());
    component(&sandbox);
    sandbox.run(&["plugin", "install", "driver.wasm", "--name", "mine", "--yes", "--grant", ALL]).success();
    let plugins = sandbox.data().join("plugins");
    let stored = fs::read_dir(&plugins).unwrap().map(|entry| entry.unwrap().path());
    let stored = stored
        .into_iter()
        .find(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .unwrap();
    fs::write(&stored, b"\0asm").unwrap();
    sandbox.run(&["plugin", "verify"]).failure(9).one_error().says("is not what was installed");
    fs::remove_dir_all(&cache).unwrap();
    sandbox.run(&["driver", "show", "mine"]).failure(9).one_error().says("is not what was installed");
    // The others go on.
    sandbox.run(&["driver", "list"]).success().says("is not what was installed");
    sandbox.run(&["driver", "show", "local"]).success();
}

#[test]
fn a_driver_that_comes_with_the_program_is_installed_by_its_name() {
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    // A folder of the project is not taken for it.
    sandbox.write("kaggle/evil.wasm", "");
    let fit = ["fit", "train.py", "--train-driver", "kaggle"];
    sandbox.run(&fit).failure(4).one_error().says("`alekseylearn plugin install kaggle`");
    let refused = sandbox.run(&["plugin", "install", "kaggle"]).failure(3);
    assert!(refused.stderr.contains("https://"), "what it wants is shown: {}", refused.stderr);
    sandbox.run(&["plugin", "install", "kaggle", "--yes"]).success();
    let listed = sandbox.run(&["plugin", "list", "--json"]).success().data()["plugins"][0].clone();
    assert_eq!((&listed["name"], &listed["granted"]), (&json!("kaggle"), &json!([])));
    sandbox.run(&["plugin", "upgrade", "kaggle"]).success();
    sandbox.run(&["plugin", "verify"]).success();
    sandbox.run(&["plugin", "lock"]).success();
    sandbox.run(&["plugin", "uninstall", "kaggle"]).success();
    sandbox.run(&["plugin", "install", "--locked", "--yes"]).success();
    sandbox.run(&["driver", "show", "kaggle"]).success();
}
