//! Bad days of images that are assembled without a Docker engine: one error each, or it goes on, and never half an image.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Command, time::Duration};

use alekseylearn_tests::{Rig, Sandbox, Site, base_image_or_skip, rig_or_skip};
use serde_json::json;

use super::{Base, fit_without_engine, uploads};

/// A user whose cache of layers is empty.
fn user(base: &Base, rig: &Rig) -> Sandbox {
    let mut sandbox = base.user(rig);
    let cache = sandbox.path("cache").display().to_string();
    // The compiled drivers of all tests.
    let drivers = std::env::temp_dir().join("alekseylearn-tests-cache/alekseylearn");
    fs::create_dir_all(sandbox.path("cache/alekseylearn")).unwrap();
    for entry in fs::read_dir(&drivers).into_iter().flatten().flatten() {
        if entry.file_name() != "oci" {
            let _ = std::os::unix::fs::symlink(
                entry.path(),
                sandbox.path("cache/alekseylearn").join(entry.file_name()),
            );
        }
    }
    sandbox.set("XDG_CACHE_HOME", &cache);
    sandbox.write("p/train.py", "open('/opt/ml/model/m', 'w').write('x')\n");
    sandbox
}

fn layers(sandbox: &Sandbox) -> Vec<PathBuf> {
    let folder = sandbox.path("cache/alekseylearn/oci/layers");
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn what_cannot_be_assembled_is_named_before_anything_is_pushed() {
    let (rig, image) = (rig_or_skip!(), base_image_or_skip!());
    let base = Base::of(&rig, &image);
    let sandbox = user(&base, &rig);
    let before = uploads(&rig);
    let daemonless = "--build-driver=daemonless";
    let fit = |base: &str, more: &[&str]| {
        fit_without_engine(&sandbox, &rig, base, &[&["p/train.py", "--detach", daemonless], more].concat())
    };
    let missing = base.name.replace(":1", ":2");
    fit(&missing, &[]).failure(4).one_error().says("not found in its registry");
    fit("127.0.0.1:1/a:1", &[]).failure(7).one_error().says("cannot download the base image 127.0.0.1:1/a:1");
    fit("Not A Name", &[]).failure(2).one_error().says("is not the name of an image");
    fit(&base.name, &["--config.platform=linux/arm64"])
        .failure(2)
        .one_error()
        .says("is for linux/amd64, but the image is for linux/arm64");
    sandbox.write("p/requirements.txt", "sgmllib3k==1.0.0\n");
    fit(&base.name, &[])
        .failure(2)
        .one_error()
        .says("`sgmllib3k` has no wheel for linux/amd64 and Python 3.11")
        .says("--build-driver local");
    sandbox.write("p/requirements.txt", "x @ git+https://127.0.0.1:1/x.git\n");
    fit(&base.name, &[]).failure(8).one_error().says("git").says("--build-driver local");
    fs::remove_file(sandbox.path("p/requirements.txt")).unwrap();
    sandbox.write("p/pyproject.toml", "[project]\nname = 'p'\nversion = '1'\nrequires-python = '>=3.13'\n");
    fit(&base.name, &[]).failure(2).one_error().says("has Python 3.11, but the project requires");
    fs::remove_file(sandbox.path("p/pyproject.toml")).unwrap();
    sandbox.write("p/alekseylearn/Dockerfile", "FROM x\n");
    fit(&base.name, &["--trust"]).failure(8).one_error().says("Dockerfile needs a Docker engine");
    // With a Dockerfile of its own, the engine is needed, and its absence is said.
    fit_without_engine(&sandbox, &rig, &base.name, &["p/train.py", "--trust"])
        .failure(7)
        .one_error()
        .says("cannot connect to the Docker engine");
    assert_eq!(uploads(&rig), before);
}

#[test]
fn a_registry_that_fails_leaves_no_half_image() {
    let (rig, image) = (rig_or_skip!(), base_image_or_skip!());
    let base = Base::of(&rig, &image);
    let sandbox = user(&base, &rig);
    let fit = |base: &str| fit_without_engine(&sandbox, &rig, base, &["p/train.py", "--detach"]);
    let fault = |operation: &str, fault: &str| {
        let matched = json!({ "service": "registry", "operation": operation });
        rig.fault(&json!({ "match": matched, "fault": fault, "times": null }));
    };
    for (operation, kind, code) in [
        ("PutBlobUpload", "error-503", 7),
        ("PostBlobUpload", "access-denied", 3),
        ("PutBlobUpload", "cut", 7),
        ("HeadBlob", "error-500", 7),
        ("PutManifest", "error-500", 7),
    ] {
        fault(operation, kind);
        fit(&base.elsewhere()).failure(code).one_error();
        rig.clear_faults();
        assert!(rig.calls("CreateTrainingJob").is_empty(), "{operation} {kind}");
    }
    // What fails once is done again.
    let matched = json!({ "service": "registry", "operation": "PutBlobUpload" });
    rig.fault(&json!({ "match": matched, "fault": "error-503", "times": 1 }));
    fit(&base.elsewhere()).success();
    assert_eq!(rig.calls("CreateTrainingJob").len(), 1);
}

#[test]
fn a_damaged_layer_is_made_again() {
    let (rig, image) = (rig_or_skip!(), base_image_or_skip!());
    let base = Base::of(&rig, &image);
    let sandbox = user(&base, &rig);
    let fit = || fit_without_engine(&sandbox, &rig, &base.name, &["p/train.py", "--detach"]);
    fit().success();
    let damaged = layers(&sandbox);
    assert_eq!(damaged.len(), 3, "packages, driver and project");
    for layer in &damaged {
        let mut bytes = fs::read(layer).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(layer, bytes).unwrap();
    }
    // The same image, by its digest: the registry has it.
    fit().success().says("is already in the registry");
    for layer in &damaged {
        let name = layer.file_name().unwrap().to_str().unwrap().to_owned();
        use sha2::Digest;
        assert_eq!(hex::encode(sha2::Sha256::digest(fs::read(layer).unwrap())), name);
    }
    let records = fs::read_dir(sandbox.path("cache/alekseylearn/oci/records")).unwrap();
    for record in records {
        fs::write(record.unwrap().path(), "damaged").unwrap();
    }
    fit().success().says("is already in the registry");
}

#[test]
fn a_killed_run_goes_on() {
    let (rig, image) = (rig_or_skip!(), base_image_or_skip!());
    let base = Base::of(&rig, &image);
    let sandbox = user(&base, &rig);
    sandbox.write("p/requirements.txt", "tqdm==4.67.1\n");
    let arguments = crate::sagemaker::fit(&rig, &base.elsewhere(), &["p/train.py", "--detach"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    for delay in [500, 1_500, 3_000, 6_000, 9_000, 12_000] {
        let running = sandbox.start(&arguments);
        std::thread::sleep(Duration::from_millis(delay));
        running.signal_if_running("KILL");
        drop(running.end());
    }
    sandbox.run(&arguments).success();
    let left = layers(&sandbox).into_iter().filter(|path| path.to_str().unwrap().ends_with(".part"));
    assert_eq!(left.count(), 0);
    assert_eq!(fs::read_dir(sandbox.path("cache/alekseylearn/oci/work")).unwrap().count(), 0);
}

/// The attacks: a package that runs code when it is built, an interpreter of the project's own, and programs on its path.
#[test]
fn nothing_of_a_project_runs_on_this_machine() {
    let (rig, image) = (rig_or_skip!(), base_image_or_skip!());
    let base = Base::of(&rig, &image);
    let sandbox = user(&base, &rig);
    let mark = sandbox.path("it-ran");
    let program = format!("#!/bin/sh\ntouch {}\nexec python3 \"$@\"\n", mark.display());
    for path in ["p/evil", "p/python3", "p/.venv/bin/python", "p/git"] {
        let path = sandbox.write(path, &program);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    sandbox.write("p/sitecustomize.py", &format!("open({mark:?}, 'w')\n"));
    sandbox.write(
        "evil-1.0/setup.py",
        &format!("open({mark:?}, 'w')\nimport setuptools\nsetuptools.setup(name='evil')\n"),
    );
    sandbox.write("evil-1.0/PKG-INFO", "Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n");
    let packed = Command::new("tar")
        .args(["-czf", "evil-1.0.tar.gz", "evil-1.0"])
        .current_dir(sandbox.path(""))
        .status();
    assert!(packed.unwrap().success());
    let site = Site::of(&sandbox.path(""));
    let settings = "[tool.uv]\ncache-dir = '/tmp/x'\nno-binary = true\n[tool.uv.pip]\npython = './evil'\ntarget = '..'\n";
    let project = "[project]\nname = 'p'\nversion = '1'\n";
    let fit = || fit_without_engine(&sandbox, &rig, &base.name, &["p/train.py", "--detach", "--trust"]);
    let url = site.address("evil-1.0.tar.gz");
    sandbox.write("p/pyproject.toml", &format!("{project}dependencies = ['evil @ {url}']\n{settings}"));
    fit().failure(2).one_error().says("`evil` has no wheel");
    sandbox.write("p/pyproject.toml", &format!("{project}dependencies = ['tqdm==4.67.1']\n{settings}"));
    fit().success();
    sandbox.write("p/pyproject.toml", &format!("{project}dynamic = ['dependencies']\n"));
    sandbox.write("p/setup.py", &format!("open({mark:?}, 'w')\nimport setuptools\nsetuptools.setup()\n"));
    fit().failure(8).one_error();
    assert!(!mark.exists());
}
