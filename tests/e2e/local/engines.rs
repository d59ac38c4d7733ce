//! Every engine that people have, however it is reached and whatever happens to it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use alekseylearn_tests::{Relay, Sandbox, base_image_or_skip, engine_socket, skipped};

const SCRIPT: &str = "print('trained')\nopen('/opt/ml/model/m', 'w').write('x')\n";

/// A whole run by way of the sandbox's engine; `origin` is what `-v` says of the choice.
fn trains(sandbox: &Sandbox, base: &str, origin: &str) {
    sandbox.write("tiny/train.py", SCRIPT);
    let run = sandbox.run(&["fit", "tiny/train.py", base, "--fetch", "out", "-v"]).success().says(origin);
    assert!(run.stdout.contains("trained"), "{}", run.stdout);
    assert_eq!(fs::read_to_string(sandbox.path("out/m")).unwrap(), "x");
}

fn base() -> Option<String> {
    alekseylearn_tests::base_image().map(|image| format!("--config.base_image={image}"))
}

#[test]
fn the_classic_builder_builds() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let mut sandbox = Sandbox::new();
    sandbox.set("DOCKER_BUILDKIT", "0");
    sandbox.write("classic/requirements.txt", "six\n");
    sandbox.write("classic/train.py", "import six\nopen('/opt/ml/model/m', 'w').write('x')\n");
    let fit = ["fit", "classic/train.py", base.as_str(), "--fetch", "out", "--overwrite", "-v"];
    sandbox.run(&fit).success().says("Step 1/");
    assert_eq!(fs::read_to_string(sandbox.path("out/m")).unwrap(), "x");

    sandbox.write("classic/requirements.txt", "scikit-learn==0.0.0.1\n");
    let run = sandbox.run(&["fit", "classic/train.py", &base]).failure(2).one_error();
    run.says("cannot install the dependencies").says("scikit-learn==0.0.0.1");
    sandbox
        .run(&["fit", "classic/train.py", "--config.base_image=127.0.0.1:9/nothing:1"])
        .failure(4)
        .one_error()
        .says("cannot pull the base image");
}

#[test]
fn an_engine_behind_tls() {
    let Some(base) = base() else { return skipped("no base image: run `cargo xtask test`") };
    let mut sandbox = Sandbox::new();
    let folder = sandbox.path("certificates");
    if !certificates(&folder) {
        return skipped("there is no `openssl` to make certificates with");
    }
    let folder = folder.to_str().unwrap().to_owned();
    let relay = Relay::start(&["--tls", &folder]);
    sandbox.set("DOCKER_HOST", relay.address());
    sandbox.write("train.py", SCRIPT);
    // Without TLS the engine does not understand.
    let run = sandbox.run(&["fit", "train.py", &base]).failure(7).one_error();
    run.says(relay.address()).says("(DOCKER_HOST)");
    sandbox.set("DOCKER_TLS_VERIFY", "1").set("DOCKER_CERT_PATH", &folder);
    trains(&sandbox, &base, relay.address());
    // An engine that somebody else vouches for is not ours.
    certificates(&sandbox.path("others"));
    sandbox.set("DOCKER_CERT_PATH", sandbox.path("others").to_str().unwrap());
    sandbox.run(&["fit", "train.py", &base]).failure(7).one_error().says("ca.pem");
}

/// `ca.pem`, `cert.pem` and `key.pem` for a client, and `server.pem` for 127.0.0.1.
fn certificates(folder: &Path) -> bool {
    fs::create_dir_all(folder).unwrap();
    let script = "set -e
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca -keyout ca-key.pem -out ca.pem
        for who in server client; do
            openssl req -newkey rsa:2048 -nodes -subj /CN=$who -keyout $who-key.pem -out $who.csr
            echo subjectAltName=IP:127.0.0.1 > $who.ext
            openssl x509 -req -in $who.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile $who.ext -out $who.pem
        done
        cp client.pem cert.pem; cp client-key.pem key.pem";
    let mut sh = Command::new("sh");
    sh.args(["-c", script]).current_dir(folder).stderr(Stdio::null());
    sh.status().is_ok_and(|status| status.success())
}

#[test]
fn an_engine_behind_ssh() {
    let Some(base) = base() else { return skipped("no base image: run `cargo xtask test`") };
    let mut sandbox = Sandbox::new();
    let asked = sandbox.path("asked");
    let ssh = format!(
        "#!/bin/sh\necho \"$@\" >> {}\nexec python3 {} {} --stdio\n",
        asked.display(),
        Relay::program().display(),
        engine_socket()
    );
    program(&sandbox, "ssh", &ssh);
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", sandbox.path("bin").display());
    sandbox.set("PATH", &path).set("DOCKER_HOST", "ssh://me@far:2222");
    trains(&sandbox, &base, "at ssh://me@far:2222, by DOCKER_HOST");
    let asked = fs::read_to_string(asked).unwrap();
    let line = "-T -o ConnectTimeout=30 -l me -p 2222 -- far docker system dial-stdio";
    assert!(asked.lines().all(|asked| asked == line), "{asked}");

    program(&sandbox, "ssh", "#!/bin/sh\necho 'me@far: Permission denied (publickey).' >&2\nexit 255\n");
    let run = sandbox.run(&["fit", "tiny/train.py", &base]).failure(7).one_error();
    run.says("cannot connect to the Docker engine at ssh://me@far:2222")
        .says("Permission denied (publickey)");
}

/// Puts a program in front of all others.
fn program(sandbox: &Sandbox, name: &str, text: &str) {
    let path = sandbox.write(&format!("bin/{name}"), text);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn an_engine_by_a_docker_context() {
    let Some(base) = base() else { return skipped("no base image: run `cargo xtask test`") };
    let mut sandbox = Sandbox::new();
    sandbox.set("DOCKER_HOST", "");
    let socket = sandbox.path("engine.sock");
    let relay = Relay::start(&["--unix", socket.to_str().unwrap()]);
    let made = Command::new("docker")
        .args(["context", "create", "lab", "--docker", &format!("host={}", relay.address())])
        .env("DOCKER_CONFIG", sandbox.path("docker"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    sandbox.set("DOCKER_CONFIG", sandbox.path("docker").to_str().unwrap());
    sandbox.set("DOCKER_CONTEXT", "lab");
    trains(&sandbox, &base, "by the Docker context lab, by DOCKER_CONTEXT");
    sandbox.set("DOCKER_CONTEXT", "none");
    let run = sandbox.run(&["fit", "tiny/train.py", &base]).failure(4).one_error();
    run.says("no Docker context none");
}

/// The engine shows who it is, and lets everybody in who comes to it.
#[test]
fn an_engine_by_a_docker_context_with_nothing_but_its_certificate() {
    let Some(base) = base() else { return skipped("no base image: run `cargo xtask test`") };
    let mut sandbox = Sandbox::new();
    let folder = sandbox.path("certificates");
    if !certificates(&folder) {
        return skipped("there is no `openssl` to make certificates with");
    }
    let relay = Relay::start(&["--tls", folder.to_str().unwrap(), "--anyone"]);
    let endpoint = format!("host={},ca={}", relay.address(), folder.join("ca.pem").display());
    let made = Command::new("docker")
        .args(["context", "create", "open", "--docker", &endpoint])
        .env("DOCKER_CONFIG", sandbox.path("docker"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let config = sandbox.path("docker");
    sandbox.set("DOCKER_HOST", "").set("DOCKER_CONFIG", config.to_str().unwrap());
    sandbox.set("DOCKER_CONTEXT", "open");
    trains(&sandbox, &base, "by the Docker context open, by DOCKER_CONTEXT");
}

#[test]
fn an_engine_that_goes_away_while_a_job_runs() {
    let Some(base) = base() else { return skipped("no base image: run `cargo xtask test`") };
    let mut sandbox = Sandbox::new();
    let socket = sandbox.path("engine.sock");
    let arguments = ["--unix", socket.to_str().unwrap()];
    let relay = Relay::start(&arguments);
    sandbox.set("DOCKER_HOST", relay.address()).set("TERM", "xterm");
    let script = "import os, time\nprint('training', flush=True)\nwhile not os.path.exists('/tmp/go'):\n    time.sleep(0.1)\nprint('went on')\nopen('/opt/ml/model/m', 'w').write('x')\n";
    sandbox.write("goes/train.py", script);
    let mut fit = sandbox.on_terminal(120, &["fit", "goes/train.py", &base, "--fetch", "out"]);
    fit.wait_for("training");
    drop(relay);
    fit.wait_for("retrying");
    fs::remove_file(&socket).unwrap();
    let _relay = Relay::start(&arguments);
    let name = docker(&["ps", "--format", "{{.Names}}", "--filter", "name=alekseylearn-goes-train-"]);
    docker(&["exec", name.trim(), "touch", "/tmp/go"]);
    fit.wait_for("went on");
    assert_eq!(fit.end(), Some(0), "{}", fit.screen());
    let screen = fit.screen();
    assert_eq!(screen.matches("went on").count(), 1, "each line once:\n{screen}");
    assert_eq!(fs::read_to_string(sandbox.path("out/m")).unwrap(), "x");
}

#[test]
fn an_engine_that_is_too_old() {
    let mut sandbox = Sandbox::new();
    let body = r#"{"Version":"19.03.15","ApiVersion":"1.40","MinAPIVersion":"1.12"}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let file = sandbox.write("version", &answer);
    let relay = Relay::start(&["--answer", "/version", file.to_str().unwrap()]);
    sandbox.set("DOCKER_HOST", relay.address());
    sandbox.write("train.py", SCRIPT);
    let run = sandbox.run(&["fit", "train.py"]).failure(8).one_error();
    run.says("Docker Engine 19.03.15").says("is too old").says("20.10 or newer");
}

#[test]
fn a_disk_that_is_full_while_building() {
    let Some(base) = base() else { return skipped("no base image: run `cargo xtask test`") };
    let mut sandbox = Sandbox::new();
    let error = "write /var/lib/docker/tmp/docker-builder1/code/a: no space left on device";
    let body = format!(r#"{{"errorDetail":{{"message":"{error}"}},"error":"{error}"}}"#);
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}\n",
        body.len() + 1
    );
    let file = sandbox.write("full", &answer);
    let relay = Relay::start(&["--answer", "/build?", file.to_str().unwrap()]);
    sandbox.set("DOCKER_HOST", relay.address());
    sandbox.write("disk/train.py", SCRIPT);
    let run = sandbox.run(&["fit", "disk/train.py", &base, "--overwrite"]).failure(1).one_error();
    run.says("the engine's disk is full").says("docker system prune");
}

#[test]
fn an_engine_that_stops_in_the_middle_of_a_build() {
    let Some(base) = base() else { return skipped("no base image: run `cargo xtask test`") };
    let mut sandbox = Sandbox::new();
    sandbox.write("stops/train.py", SCRIPT);
    sandbox.write("stops/requirements.txt", "six\n");
    for builder in ["0", "1"] {
        let relay = Relay::start(&["--cut", "/build?"]);
        sandbox.set("DOCKER_HOST", relay.address()).set("DOCKER_BUILDKIT", builder);
        sandbox.run(&["fit", "stops/train.py", &base, "--overwrite"]).failure(7).one_error();
    }
}

#[test]
fn a_socket_that_this_user_may_not_use() {
    let id = Command::new("id").arg("-u").output().unwrap().stdout;
    if String::from_utf8_lossy(&id).trim() != "0" {
        return skipped("only root can be somebody else");
    }
    let sandbox = Sandbox::new();
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let program = folder.path().join("alekseylearn");
    fs::copy(sandbox.program(), &program).unwrap();
    // A home folder is never sent.
    let project = folder.path().join("project");
    fs::create_dir(&project).unwrap();
    fs::write(project.join("train.py"), SCRIPT).unwrap();
    let socket = folder.path().join("engine.sock");
    let relay = Relay::start(&["--unix", socket.to_str().unwrap()]);
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).unwrap();
    let run = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .args(["fit", "train.py"])
        .current_dir(&project)
        .env_clear()
        .env("HOME", folder.path())
        .env("DOCKER_HOST", relay.address())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(3), "{said}");
    assert!(said.contains("add this user to the group `docker`"), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{said}");
}

#[test]
fn an_engine_without_gpus_says_what_to_install() {
    let Some(base) = base() else { return skipped("no base image: run `cargo xtask test`") };
    if docker_info().contains("nvidia") {
        return skipped("this engine has GPUs");
    }
    let sandbox = Sandbox::new();
    sandbox.write("gpu/train.py", SCRIPT);
    let run =
        sandbox.run(&["fit", "gpu/train.py", &base, "--train-driver", "local-gpu"]).failure(8).one_error();
    let run = run.says("cannot give GPUs to containers").says("NVIDIA Container Toolkit");
    assert!(!run.stderr.contains("Building"), "nothing was built: {}", run.stderr);
}

fn docker_info() -> String {
    docker(&["info", "--format", "{{json .Runtimes}}"])
}

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Real GPUs are nowhere in these tests: an engine that says it had some shows what it is asked for.
#[test]
fn gpus_are_asked_for() {
    let Some(base) = base() else { return skipped("no base image: run `cargo xtask test`") };
    let mut sandbox = Sandbox::new();
    let body = r#"{"Runtimes":{"runc":{"path":"runc"},"nvidia":{"path":"nvidia-container-runtime"}}}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let (file, record) = (sandbox.write("info", &answer), sandbox.path("record"));
    let relay =
        Relay::start(&["--answer", "/info", file.to_str().unwrap(), "--record", record.to_str().unwrap()]);
    sandbox.set("DOCKER_HOST", relay.address());
    sandbox.write("engine-gpus/train.py", SCRIPT);
    let drivers = ["--build-driver", "local-gpu", "--train-driver", "local-gpu"];
    let fit = [&["fit", "engine-gpus/train.py", base.as_str(), "--overwrite"][..], &drivers].concat();
    // The real engine has no such device.
    let ended = sandbox.run(&[&fit[..], &["--config.gpus=device=0,GPU-1a"]].concat());
    if !docker_info().contains("nvidia") {
        ended.failure(8).one_error().says("could not select device driver");
    }
    let record = String::from_utf8_lossy(&fs::read(record).unwrap()).into_owned();
    assert!(
        record.contains(r#""DeviceIDs":["0","GPU-1a"]"#) && record.contains(r#""Capabilities":[["gpu"]]"#)
    );
    assert!(record.contains("NVIDIA_VISIBLE_DEVICES=all"), "the image says so too");
    assert_eq!(docker(&["ps", "-aq", "--filter", "name=alekseylearn-engine-gpus-"]), "", "nothing is left");
    sandbox
        .run(&[&fit[..], &["--config.gpus=some"]].concat())
        .failure(2)
        .one_error()
        .says("`some` is not a list of GPUs");
}
