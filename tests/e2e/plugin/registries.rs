//! Plugins from image registries: the rig's, and some that lie.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    slice::from_ref,
};

use alekseylearn_tests::{
    Repository, Sandbox, Site, WASM_CONFIG, WASM_LAYER, base_image_or_skip, manifest, rig_or_skip,
};
use serde_json::{Value, json};

use super::sources::{ALL, component, installed};

/// A user who has logged in.
fn user(repository: &Repository) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write_home(".docker/config.json", &repository.docker_config());
    sandbox
}

fn install(sandbox: &Sandbox, source: &str) -> alekseylearn_tests::Run {
    sandbox.run(&["plugin", "install", source, "--yes", "--grant", ALL])
}

#[test]
fn a_tag_moves_with_upgrades_and_a_digest_stays() {
    let rig = rig_or_skip!();
    let repository = Repository::of(&rig);
    let digest = repository.push("1", &component("sagemaker", "1.0.0"), &json!({}));
    let (moving, pinned) = (repository.reference(":1"), repository.reference(&format!("@{digest}")));
    let (by_tag, by_digest) = (user(&repository), user(&repository));
    let shown = by_tag.run(&["plugin", "show", &moving, "--json"]).success().data();
    assert_eq!((&shown["version"], &shown["from"]), (&json!("1.0.0"), &json!({ "oci": moving })));
    install(&by_tag, &moving).success();
    install(&by_digest, &pinned).success();
    by_tag.run(&["plugin", "lock"]).success();

    repository.push("1", &component("sagemaker", "1.1.0"), &json!({}));
    for (sandbox, version) in [(&by_tag, "1.1.0"), (&by_digest, "1.0.0")] {
        sandbox.run(&["plugin", "upgrade", "--all"]).success();
        assert_eq!(installed(sandbox)[0]["version"], version);
    }
    // A lock file brings what it names also when its tag stands for something else.
    let locked = ["plugin", "install", "--locked", "--yes"];
    by_tag.run(&locked).failure(3).one_error().says("--allow-downgrade");
    by_tag.run(&[&locked[..], &["--allow-downgrade"]].concat()).success();
    assert_eq!(installed(&by_tag)[0]["version"], "1.0.0");
    assert_eq!(installed(&by_tag)[0]["source"], json!({ "oci": moving }));
}

#[test]
fn an_index_may_name_references() {
    let rig = rig_or_skip!();
    let repository = Repository::of(&rig);
    let sandbox = user(&repository);
    repository.push("1.0.0", &component("sagemaker", "1.0.0"), &json!({}));
    let address = repository.reference(":1.0.0");
    let shown = sandbox.run(&["plugin", "show", &address, "--json"]).success().data();
    let release =
        json!({ "version": "1.0.0", "address": address, "digest": shown["digest"], "contract": "0.1.0" });
    sandbox.write("index.json", &json!({ "plugins": { "driver": [release] } }).to_string());
    let arguments = ["plugin", "install", "driver", "--index", "index.json", "--yes", "--grant", ALL];
    sandbox.run(&arguments).success();
    assert_eq!(installed(&sandbox)[0]["digest"], shown["digest"]);
}

#[test]
fn a_registry_that_refuses_is_said_with_what_to_do() {
    let rig = rig_or_skip!();
    let repository = Repository::of(&rig);
    repository.push("1", &component("sagemaker", "1.0.0"), &json!({}));
    let reference = repository.reference(":1");
    let stranger = Sandbox::new();
    install(&stranger, &reference)
        .failure(3)
        .one_error()
        .says("without credentials")
        .says("docker login 127.0.0.1:");
    let wrong = json!({ "auths": { rig.name("registry"): { "auth": "QVdTOndyb25n" } } }).to_string();
    stranger.write_home(".docker/config.json", &wrong);
    install(&stranger, &reference).failure(3).one_error().says("with Docker's stored credentials");
    stranger.write_home(".docker/config.json", r#"{"credsStore": "of-nobody"}"#);
    install(&stranger, &reference).failure(3).one_error().says("stored credentials cannot be used");

    let sandbox = user(&repository);
    install(&sandbox, &repository.reference(":2")).failure(4).one_error().says("not found");
    let nowhere = format!("oci://{}/nobody/made-this:1", rig.name("registry"));
    install(&sandbox, &nowhere).failure(4).one_error().says("not found");
    install(&sandbox, "oci://127.0.0.1:1/a:1")
        .failure(7)
        .one_error()
        .says("cannot download oci://127.0.0.1:1/a:1");
    install(&sandbox, "oci://just-a-name").failure(2).one_error().says("oci://REGISTRY/REPOSITORY:TAG");
    let with_password = install(&sandbox, "oci://me:secret@127.0.0.1/a:1").failure(2).one_error();
    assert!(!with_password.stderr.contains("secret"), "{}", with_password.stderr);
    for (operation, fault, code, says) in [
        ("GetManifest", "error-500", 7, "returned HTTP status 500"),
        ("GetManifest", "throttle", 7, "too many requests"),
        ("GetManifest", "expired-token", 3, "docker login"),
        ("GetManifest", "cut", 7, "cannot download oci://"),
        ("GetBlob", "cut", 7, "cannot download oci://"),
        ("GetBlob", "error-503", 7, "returned HTTP status 503"),
    ] {
        rig.fault(&json!({ "match": { "service": "registry", "operation": operation }, "fault": fault }));
        let run = install(&sandbox, &reference).failure(code).one_error().says(says);
        assert!(!run.stderr.contains(repository.login()), "{}", run.stderr);
        rig.clear_faults();
    }
    assert_eq!(installed(&sandbox), json!([]));
    install(&sandbox, &reference).success();
    let told = sandbox.run(&["plugin", "list", "--json"]).success().stdout;
    assert!(!told.contains(repository.login()), "{told}");
}

#[test]
fn what_is_no_component_is_named() {
    let rig = rig_or_skip!();
    let repository = Repository::of(&rig);
    let sandbox = user(&repository);
    let layer = repository.push_blob(WASM_LAYER, &component("sagemaker", "1.0.0"));
    let text = repository.push_blob("text/plain", b"hello");
    let wasm = repository.push_blob(WASM_CONFIG, b"{}");
    let image = repository.push_blob("application/vnd.oci.image.config.v1+json", b"{}");
    let mut large = layer.clone();
    large["size"] = json!(200 << 20);
    let entry =
        |of: &Value| json!({ "mediaType": of["mediaType"], "digest": of["digest"], "size": of["size"] });
    let plain = manifest(&wasm, &[entry(&layer)], &json!({}));
    let inner = repository.push_manifest("plain", &plain);
    let list = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{ "mediaType": plain["mediaType"], "digest": inner, "size": plain.to_string().len() }],
    });
    for (tag, manifest, code, says) in [
        ("list", list, 9, "is an image index"),
        ("image", manifest(&image, from_ref(&layer), &json!({})), 9, "is a container image"),
        ("config", manifest(&text, from_ref(&layer), &json!({})), 9, "is of type \"text/plain\""),
        ("layer", manifest(&wasm, from_ref(&text), &json!({})), 9, "holds \"text/plain\""),
        ("two", manifest(&wasm, &[layer.clone(), layer.clone()], &json!({})), 9, "has 2 layers"),
        ("large", manifest(&wasm, &[large], &json!({})), 1, "is larger than 128 MiB"),
    ] {
        repository.push_manifest(tag, &manifest);
        install(&sandbox, &repository.reference(&format!(":{tag}"))).failure(code).one_error().says(says);
    }
    repository.push("text", b"no wasm", &json!({}));
    install(&sandbox, &repository.reference(":text")).failure(9).one_error().says("is not WebAssembly");
    assert_eq!(installed(&sandbox), json!([]));
}

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The words as they stand in an image: its history, its configuration, and the files of all its layers.
fn image_holds(image: &str, words: &[&str]) -> bool {
    let mut save = Command::new("docker").args(["save", image]).stdout(Stdio::piped()).spawn().unwrap();
    let mut grep = Command::new("grep");
    grep.args(["--text", "--quiet", "--fixed-strings"]);
    grep.args(words.iter().flat_map(|word| ["-e", word])).stdin(save.stdout.take().unwrap());
    let found = grep.status().unwrap().code() == Some(0);
    // With its end of the pipe, that the other may end too.
    drop(grep);
    save.wait().unwrap();
    found
}

#[test]
fn a_base_image_behind_a_login() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let repository = Repository::of(&rig);
    let reference = repository.reference(":1");
    let private = reference.trim_start_matches("oci://");
    let mut sandbox = Sandbox::new();
    let config = sandbox.write("docker/config.json", &repository.docker_config());
    let config = config.parent().unwrap().to_str().unwrap().to_owned();
    docker(&["tag", &base, private]);
    docker(&["--config", &config, "push", private]);
    docker(&["rmi", private]);
    let password = repository.password();
    let secrets = [repository.login(), password.as_str()];
    let option = format!("--config.base_image={private}");
    for builder in ["1", "0"] {
        sandbox.set("DOCKER_BUILDKIT", builder).unset("DOCKER_CONFIG");
        sandbox.write("private/train.py", &format!("print('built with {builder}')\n"));
        let fit = ["fit", "private/train.py", option.as_str(), "-v"];
        sandbox.run(&fit).failure(3).one_error().says("its registry denied access").says("docker login");
        sandbox.set("DOCKER_CONFIG", &config);
        let run = sandbox.run(&fit).success();
        assert!(run.stdout.contains(&format!("built with {builder}")), "{}", run.stdout);
        let job = sandbox.newest_job();
        let image = job["image"].as_str().unwrap();
        // What the classic builder pulled stays under its name.
        let _ = Command::new("docker").args(["rmi", private]).output().unwrap();
        assert!(image_holds(image, &["built with"]), "what is looked for would be found");
        assert!(!image_holds(image, &secrets));
        let told = [run.stdout, run.stderr, job.to_string(), docker(&["history", "--no-trunc", image])];
        assert!(!told.iter().any(|text| secrets.iter().any(|secret| text.contains(secret))), "{told:?}");
        for path in files_below(&sandbox.data()) {
            let content = fs::read(&path).unwrap();
            let holds = |secret: &&str| content.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!secrets.iter().any(holds), "{}", path.display());
        }
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// No registry checks what it holds as well as its clients must.
#[test]
fn a_registry_that_lies_is_found_out() {
    let sandbox = Sandbox::new();
    let site = Site::of(&sandbox.path("site"));
    let address = site.address("").replace("http://", "oci://");
    let put = |path: &str, content: &[u8]| {
        let path = sandbox.path("site/v2/driver").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    let other = format!("sha256:{}", "0".repeat(64));
    let layer = json!({ "mediaType": WASM_LAYER, "digest": other, "size": 10 });
    let config = json!({ "mediaType": WASM_CONFIG, "digest": other, "size": 2 });
    let text = manifest(&config, &[layer], &json!({})).to_string();
    put("manifests/1", text.as_bytes());
    put(&format!("manifests/{other}"), text.as_bytes());
    put(&format!("blobs/{other}"), &component("sagemaker", "1.0.0"));
    for reference in ["driver:1", &format!("driver@{other}")] {
        install(&sandbox, &format!("{address}{reference}"))
            .failure(9)
            .one_error()
            .says("does not match its digest");
    }
    put("manifests/2", b"nothing");
    install(&sandbox, &format!("{address}driver:2")).failure(9).one_error().says("has an invalid manifest");
    assert_eq!(installed(&sandbox), json!([]));
}
