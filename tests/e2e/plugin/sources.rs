//! Where plugins come from: addresses, indexes and lock files, each held to what it promised.

use std::{fs, path::Path};

use alekseylearn_tests::{Sandbox, Site, workspace};
use serde_json::{Value, json};

use super::identity::with_section;

pub const ALL: &str = "aws-identity,ecr,s3,sagemaker,cloudwatch-logs";

/// The shipped component of that name, as a given version of a plugin `driver`.
pub fn component(name: &str, version: &str) -> Vec<u8> {
    let wasm = fs::read(workspace().join(format!("target/plugins/{name}.wasm")))
        .expect("`cargo xtask plugins` made it");
    called(&with_section(&wasm, "version", version.as_bytes()), "driver")
}

/// The same component by another name of its own.
pub fn called(wasm: &[u8], name: &str) -> Vec<u8> {
    with_section(wasm, "alekseylearn", json!({ "name": name }).to_string().as_bytes())
}

/// Writes a component, and tells its digest.
pub fn put(folder: &Path, file: &str, content: &[u8]) -> String {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join(file), content).unwrap();
    let sandbox = Sandbox::new();
    let shown = sandbox.run(&["plugin", "show", folder.join(file).to_str().unwrap(), "--json"]).success();
    shown.data()["digest"].as_str().unwrap().to_owned()
}

pub fn installed(sandbox: &Sandbox) -> Value {
    sandbox.run(&["plugin", "list", "--json"]).success().data()["plugins"].clone()
}

#[test]
fn a_plugin_comes_from_an_address() {
    let sandbox = Sandbox::new();
    let site = Site::of(&sandbox.path("site"));
    let digest = put(&sandbox.path("site"), "driver.wasm", &component("sagemaker", "1.0.0"));
    let install = |address: &str, more: &[&str]| {
        let arguments = ["plugin", "install", address, "--yes", "--grant", ALL];
        sandbox.run(&[&arguments[..], more].concat())
    };
    install(&site.address("driver.wasm"), &["--digest", "sha256:00"]).failure(9).one_error();
    install(&site.address("none.wasm"), &[]).failure(4).one_error().says("404");
    install("http://example.org/driver.wasm", &[]).failure(2).one_error().says("is not secure");
    install(&site.address("to/http://example.org/driver.wasm"), &[])
        .failure(7)
        .one_error()
        .says("without TLS");
    let itself = site.address("driver.wasm");
    install(&itself.replace("http", "https"), &[]).failure(7).one_error();
    assert_eq!(installed(&sandbox), json!([]));
    install(&site.address(&format!("to/{itself}")), &["--digest", &digest]).success();
    assert_eq!(installed(&sandbox)[0]["version"], "1.0.0");
    assert_eq!(installed(&sandbox)[0]["digest"], digest);
}

#[test]
fn an_index_gives_the_newest_version_that_runs_here_and_upgrades() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("site");
    let site = Site::of(&folder);
    let release = |version: &str, contract: &str, digest: &str| json!({ "version": version, "address": format!("{version}.wasm"), "digest": digest, "contract": contract });
    let one = put(&folder, "0.9.0.wasm", &component("sagemaker", "0.9.0"));
    let two = put(&folder, "0.10.0.wasm", &component("sagemaker", "0.10.0"));
    let write = |releases: &[Value]| {
        let index = json!({ "plugins": { "driver": releases } });
        fs::write(folder.join("index.json"), index.to_string()).unwrap();
    };
    let place = site.address("index.json");
    let install = |name: &str| {
        sandbox
            .run(&["plugin", "install", name, "--index", &place, "--name", "driver", "--yes", "--grant", ALL])
    };
    write(&[release("0.9.0", "0.1.0", &one)]);
    install("driver").success();
    assert_eq!(installed(&sandbox)[0]["version"], "0.9.0");
    sandbox.run(&["plugin", "upgrade", "driver"]).success();
    assert_eq!(installed(&sandbox)[0]["version"], "0.9.0");

    let newer = release("1.0.0", "0.2.0", &two);
    write(&[release("0.9.0", "0.1.0", &one), release("0.10.0", "0.1.0", &two), newer.clone()]);
    let upgraded = sandbox.run(&["plugin", "upgrade", "--all"]).success();
    assert!(upgraded.stdout.contains("Upgraded driver 0.9.0 to driver 0.10.0"), "{}", upgraded.stdout);
    install("driver@1").failure(8).one_error().says("needs contract 0.2.0").says("upgrade alekseylearn");
    install("driver@3").failure(4).one_error().says("0.9.0, 0.10.0, 1.0.0");
    install("nothing").failure(4).one_error().says("it lists driver");

    write(&[release("0.11.0", "0.1.0", &one)]);
    fs::copy(folder.join("0.10.0.wasm"), folder.join("0.11.0.wasm")).unwrap();
    sandbox.run(&["plugin", "upgrade", "driver"]).failure(9).one_error().says("digest mismatch for ");
    assert_eq!(installed(&sandbox)[0]["version"], "0.10.0");
    // The index may be a file as well.
    fs::write(folder.join("bad.json"), "[]").unwrap();
    let bad = folder.join("bad.json");
    sandbox.run(&["plugin", "install", "driver", "--index", bad.to_str().unwrap()]).failure(2).one_error();
}

#[test]
fn an_upgrade_that_wants_more_asks_again() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("site");
    put(&folder, "driver.wasm", &component("local", "1.0.0"));
    let file = folder.join("driver.wasm");
    let file = file.to_str().unwrap();
    sandbox.run(&["plugin", "install", file, "--name", "driver", "--yes", "--grant", "docker"]).success();
    put(&folder, "driver.wasm", &component("sagemaker", "2.0.0"));
    let refused = sandbox.run(&["plugin", "upgrade", "driver"]).failure(3).one_error();
    refused.says("start training jobs that cost money");
    assert_eq!(installed(&sandbox)[0]["version"], "1.0.0");
    sandbox.run(&["plugin", "upgrade", "driver", "--yes"]).success().says("also wants");
    assert_eq!(installed(&sandbox)[0]["version"], "2.0.0");
    assert_eq!(installed(&sandbox)[0]["granted"], json!([]), "--yes never widens");
}

#[test]
fn a_team_installs_what_its_lock_file_says() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("site");
    put(&folder, "driver.wasm", &component("sagemaker", "1.0.0"));
    let file = folder.join("driver.wasm");
    sandbox
        .run(&["plugin", "install", "--locked"])
        .failure(4)
        .one_error()
        .says("no alekseylearn.lock in this folder");
    sandbox.run(&["plugin", "install", file.to_str().unwrap(), "--yes", "--grant", "s3,ecr"]).success();
    sandbox.run(&["plugin", "lock"]).success();
    let text = fs::read_to_string(sandbox.path("alekseylearn.lock")).unwrap();

    let other = Sandbox::new();
    other.write("alekseylearn.lock", &text);
    other.run(&["plugin", "install", "--locked"]).failure(3).one_error();
    other.run(&["plugin", "install", "--locked", "--yes"]).success();
    assert_eq!(installed(&other)[0]["granted"], json!([]), "a file grants nothing");
    assert_eq!(installed(&other)[0]["digest"], installed(&sandbox)[0]["digest"]);

    put(&folder, "driver.wasm", &component("sagemaker", "1.0.1"));
    let third = Sandbox::new();
    third.write("alekseylearn.lock", &text);
    third
        .run(&["plugin", "install", "--locked", "--yes"])
        .failure(9)
        .one_error()
        .says("does not match alekseylearn.lock");
    assert_eq!(installed(&third), json!([]));
}

#[test]
fn plugins_travel_in_one_file_to_a_machine_without_a_network() {
    let sandbox = Sandbox::new();
    put(&sandbox.path("site"), "driver.wasm", &component("sagemaker", "1.0.0"));
    let file = sandbox.path("site/driver.wasm");
    sandbox.run(&["plugin", "install", file.to_str().unwrap(), "--yes", "--grant", "s3"]).success();
    sandbox.run(&["plugin", "export", "plugins.tar"]).success();

    let other = Sandbox::new();
    fs::copy(sandbox.path("plugins.tar"), other.path("plugins.tar")).unwrap();
    other.run(&["plugin", "import", "plugins.tar"]).failure(3).one_error();
    other.run(&["plugin", "import", "plugins.tar", "--yes"]).success();
    for key in ["name", "version", "digest", "source"] {
        assert_eq!(installed(&other)[0][key], installed(&sandbox)[0][key]);
    }
    assert_eq!(installed(&other)[0]["granted"], json!([]), "a file grants nothing");
    other.run(&["plugin", "verify"]).success();

    let mut bytes = fs::read(sandbox.path("plugins.tar")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(other.path("changed.tar"), &bytes).unwrap();
    let other = Sandbox::new();
    for (name, content) in
        [("changed.tar", &bytes[..]), ("cut.tar", &bytes[..middle]), ("none.tar", b"nothing")]
    {
        fs::write(other.path(name), content).unwrap();
        other
            .run(&["plugin", "import", name, "--yes"])
            .failure(9)
            .one_error()
            .says("is not a valid plugin bundle");
    }
    other.run(&["plugin", "import", "missing.tar"]).failure(4).one_error();
    assert_eq!(installed(&other), json!([]));
}

#[test]
fn an_author_tries_a_driver_without_installing_it() {
    let sandbox = Sandbox::new();
    put(&sandbox.path("site"), "driver.wasm", &component("sagemaker", "9.9.9"));
    let file = sandbox.path("site/driver.wasm");
    let file = file.to_str().unwrap();
    let run = |arguments: &[&str]| sandbox.run(&[&["plugin", "run", file][..], arguments].concat());
    let drivers = run(&["--grant", "s3", "--", "driver", "list", "--json"]).success();
    assert!(drivers.stdout.contains("not installed sha256:"), "{}", drivers.stdout);
    sandbox.write("train.py", "");
    let fit = ["--", "fit", "train.py", "--train-driver", "driver", "--config.output_path=s3://bucket"];
    run(&[&fit[..], &["--config.role_name=r"]].concat()).failure(3).says("was not granted aws-identity");
    run(&["--", "nonsense"]).failure(2).one_error();
    assert_eq!(installed(&sandbox), json!([]));
    assert!(sandbox.run(&["driver", "list", "--json"]).success().stdout.contains("shipped"));
}
