//! Whom a plugin comes from: minisign's signatures on every road that a plugin takes, and the setting that requires
//! them.

use std::fs;

use alekseylearn_tests::{Repository, Run, Sandbox, Site, rig_or_skip};
use base64::{Engine, engine::general_purpose::STANDARD};
use cryptoxide::{ed25519, hashing::blake2b::Blake2b};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::sources::{ALL, component, installed};

pub const USERS: &str = ".config/alekseylearn/alekseylearn.toml";

/// Somebody who signs as `minisign -S` does. Its own crate would bring eight others, to encrypt keys.
pub struct Signer {
    id: [u8; 8],
    pair: [u8; 64],
    key: [u8; 32],
}

impl Signer {
    pub fn new(name: &str) -> Self {
        let seed: [u8; 32] = Sha256::digest(name).into();
        let (pair, key) = ed25519::keypair(&seed);
        Self { id: *seed.first_chunk().unwrap(), pair, key }
    }

    pub fn sign(&self, wasm: &[u8]) -> String {
        self.sign_as(wasm, "timestamp:1767225600\tfile:driver.wasm\thashed")
    }

    /// With a trusted comment of its own.
    pub fn sign_as(&self, wasm: &[u8], comment: &str) -> String {
        let signature = ed25519::signature(&Blake2b::<512>::new().update(wasm).finalize(), &self.pair);
        let both = ed25519::signature(&[&signature, comment.as_bytes()].concat(), &self.pair);
        let signature = STANDARD.encode([b"ED", self.id.as_slice(), &signature].concat());
        let both = STANDARD.encode(both);
        format!("untrusted comment: a signature\n{signature}\ntrusted comment: {comment}\n{both}\n")
    }

    /// A user's settings that trust this one.
    pub fn trusted(&self, require: bool) -> String {
        let key = STANDARD.encode([b"Ed", self.id.as_slice(), &self.key].concat());
        format!("[plugins]\nrequire-signatures = {require}\n[plugins.trusted-keys]\nAda = '{key}'\n")
    }
}

fn install(sandbox: &Sandbox, source: &str) -> Run {
    sandbox.run(&["plugin", "install", source, "--yes", "--grant", ALL])
}

fn put(sandbox: &Sandbox, file: &str, content: &[u8]) {
    let path = sandbox.path(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

#[test]
fn a_signature_beside_a_file_is_verified_and_shown() {
    let (sandbox, ada) = (Sandbox::new(), Signer::new("Ada"));
    let wasm = component("sagemaker", "1.0.0");
    let shown = || {
        let shown = sandbox.run(&["plugin", "show", "driver.wasm", "--json"]).success().data();
        shown["signature"].as_str().unwrap().to_owned()
    };
    put(&sandbox, "driver.wasm", &wasm);
    assert_eq!(shown(), "local");
    put(&sandbox, "driver.wasm.minisig", ada.sign(&wasm).as_bytes());
    assert_eq!(shown(), "signed by an unknown key");
    install(&sandbox, "driver.wasm").success();
    assert_eq!(installed(&sandbox)[0]["signature"], "signed by an unknown key");
    // A key that is trusted later counts for what was installed before.
    sandbox.write_home(USERS, &ada.trusted(false));
    assert_eq!(installed(&sandbox)[0]["signature"], "signed by Ada");
    assert!(sandbox.run(&["plugin", "list"]).success().stdout.contains("signed by Ada"));
    assert!(sandbox.run(&["plugin", "show", "driver"]).success().stdout.contains("signed by Ada"));
    sandbox.run(&["plugin", "verify"]).success();

    // What does not verify is an error, whatever the settings.
    put(&sandbox, "driver.wasm.minisig", ada.sign(b"another file").as_bytes());
    install(&sandbox, "driver.wasm").failure(9).one_error().says("is not what Ada signed");
    put(&sandbox, "driver.wasm.minisig", b"<html>");
    sandbox
        .run(&["plugin", "show", "driver.wasm"])
        .failure(9)
        .one_error()
        .says("the signature of ")
        .says("is malformed");
    sandbox.write_home(USERS, "plugins.trusted-keys.Ada = 'RW'\n");
    install(&sandbox, "driver.wasm").failure(2).one_error().says("the trusted key Ada");
}

#[test]
fn where_signatures_are_required_nothing_else_is_installed_or_run() {
    let (sandbox, ada, eve) = (Sandbox::new(), Signer::new("Ada"), Signer::new("Eve"));
    let (signed, unsigned) = (component("sagemaker", "1.0.0"), component("sagemaker", "1.1.0"));
    put(&sandbox, "driver.wasm", &unsigned);
    sandbox.run(&["plugin", "install", "driver.wasm", "--name", "old", "--yes", "--grant", ALL]).success();
    sandbox.run(&["plugin", "export", "plugins.tar"]).success();
    sandbox.write_home(USERS, &ada.trusted(true));

    let refuses = |arguments: &[&str], says: &str| {
        sandbox.run(arguments).failure(3).one_error().says(says).says("require");
    };
    let setting = "remove `require-signatures = true` from";
    refuses(&["plugin", "install", "driver.wasm", "--yes"], setting);
    refuses(&["plugin", "import", "plugins.tar", "--yes"], setting);
    refuses(&["plugin", "run", "driver.wasm", "--", "driver", "list"], setting);
    refuses(&["driver", "show", "old"], "old is unsigned");
    sandbox.run(&["driver", "list"]).success().says("old is unsigned");
    // The shipped ones came with the program.
    sandbox.run(&["driver", "show", "local"]).success();
    put(&sandbox, "driver.wasm.minisig", eve.sign(&unsigned).as_bytes());
    refuses(&["plugin", "install", "driver.wasm", "--yes"], "[plugins.trusted-keys]");

    put(&sandbox, "driver.wasm", &signed);
    put(&sandbox, "driver.wasm.minisig", ada.sign(&signed).as_bytes());
    sandbox.run(&["plugin", "install", "driver.wasm", "--name", "new", "--yes", "--grant", ALL]).success();
    sandbox.run(&["driver", "show", "new"]).success();
    put(&sandbox, "driver.wasm", &unsigned);
    fs::remove_file(sandbox.path("driver.wasm.minisig")).unwrap();
    refuses(&["plugin", "upgrade", "new"], "new is unsigned");
    assert_eq!(installed(&sandbox)[0]["version"], "1.0.0");
}

#[test]
fn a_project_can_ask_for_signatures_and_vouch_for_none() {
    let (sandbox, eve) = (Sandbox::new(), Signer::new("Eve"));
    let wasm = component("sagemaker", "1.0.0");
    put(&sandbox, "driver.wasm", &wasm);
    put(&sandbox, "driver.wasm.minisig", eve.sign(&wasm).as_bytes());
    sandbox.write("alekseylearn.toml", &eve.trusted(false));
    install(&sandbox, "driver.wasm").failure(2).one_error().says("sets [plugins.trusted-keys]");
    sandbox.write("alekseylearn.toml", "plugins.require-signatures = true\n");
    install(&sandbox, "driver.wasm").failure(3).one_error().says("is signed by an unknown key");
    sandbox.write_home(USERS, "plugins.require-signatures = true\n");
    sandbox.write("alekseylearn.toml", "plugins.require-signatures = false\n");
    install(&sandbox, "driver.wasm").failure(3).one_error().says(USERS);
    assert_eq!(installed(&sandbox), json!([]));
}

#[test]
fn a_signature_travels_with_its_plugin() {
    let (sandbox, ada) = (Sandbox::new(), Signer::new("Ada"));
    let wasm = component("sagemaker", "1.0.0");
    let site = Site::of(&sandbox.path("site"));
    put(&sandbox, "site/driver.wasm", &wasm);
    sandbox.write_home(USERS, &ada.trusted(false));
    install(&sandbox, &site.address("driver.wasm")).success();
    assert_eq!(installed(&sandbox)[0]["signature"], "unsigned");
    put(&sandbox, "site/driver.wasm.minisig", ada.sign(&wasm).as_bytes());
    sandbox.write_home(USERS, &ada.trusted(true));
    // Another address is another source.
    let other = site.address("driver.wasm?for=us");
    install(&sandbox, &other).failure(3).one_error().says("--allow-source-change");
    sandbox.run(&["plugin", "uninstall", "driver"]).success();
    install(&sandbox, &other).success();
    assert_eq!(installed(&sandbox)[0]["signature"], "signed by Ada");
    sandbox.run(&["plugin", "lock"]).success();
    sandbox.run(&["plugin", "export", "plugins.tar"]).success();

    fs::remove_file(sandbox.path("site/driver.wasm.minisig")).unwrap();
    let lock = fs::read_to_string(sandbox.path("alekseylearn.lock")).unwrap();
    let other = Sandbox::new();
    other.write_home(USERS, &ada.trusted(true));
    other.write("alekseylearn.lock", &lock);
    other.run(&["plugin", "install", "--locked", "--yes"]).success();
    assert_eq!(installed(&other)[0]["signature"], "signed by Ada");
    other.run(&["plugin", "uninstall", "driver"]).success();
    fs::copy(sandbox.path("plugins.tar"), other.path("plugins.tar")).unwrap();
    other.run(&["plugin", "import", "plugins.tar", "--yes"]).success();
    assert_eq!(installed(&other)[0]["signature"], "signed by Ada");
    // A lock file is a project's, and is believed no more than others.
    other.write("alekseylearn.lock", &lock.replace("timestamp:", "timestamp:1"));
    other
        .run(&["plugin", "install", "--locked", "--yes"])
        .failure(9)
        .one_error()
        .says("is not what Ada signed");
}

#[test]
fn an_index_and_a_registry_carry_signatures() {
    let rig = rig_or_skip!();
    let (ada, repository) = (Signer::new("Ada"), Repository::of(&rig));
    let sandbox = Sandbox::new();
    sandbox.write_home(USERS, &ada.trusted(true));
    sandbox.write_home(".docker/config.json", &repository.docker_config());
    let wasm = component("sagemaker", "1.0.0");
    let unsigned = repository.reference(":unsigned");
    repository.push("unsigned", &wasm, &json!({}));
    repository.push("signed", &wasm, &json!({ "alekseylearn.minisig": ada.sign(&wasm) }));
    install(&sandbox, &unsigned).failure(3).one_error();
    install(&sandbox, &repository.reference(":signed")).success();
    assert_eq!(installed(&sandbox)[0]["signature"], "signed by Ada");

    let digest = installed(&sandbox)[0]["digest"].clone();
    put(&sandbox, "far/driver.minisig", ada.sign(&wasm).as_bytes());
    for signature in [ada.sign(&wasm), "far/driver.minisig".to_owned()] {
        sandbox.run(&["plugin", "uninstall", "driver"]).success();
        let release = json!({
            "version": "1.0.0", "address": unsigned, "digest": digest, "contract": "0.1.0", "signature": signature,
        });
        sandbox.write("index.json", &json!({ "plugins": { "driver": [release] } }).to_string());
        let arguments = ["plugin", "install", "driver", "--index", "index.json", "--yes", "--grant", ALL];
        sandbox.run(&arguments).success();
        assert_eq!(installed(&sandbox)[0]["signature"], "signed by Ada");
    }
}
