//! Podman by its compatible socket.

use std::fs;

use alekseylearn_tests::{Podman, Sandbox, base_image_or_skip, skipped};

#[test]
fn podman_builds_runs_logs_stops_and_fetches() {
    let image = base_image_or_skip!();
    let podman = match Podman::start(&image) {
        Ok(podman) => podman,
        Err(why) => return skipped(&why),
    };
    // A name without a registry is none of its own.
    let base = if image.contains('/') || image.starts_with("python:") {
        format!("--config.base_image={image}")
    } else {
        format!("--config.base_image=localhost/{image}")
    };
    let mut sandbox = Sandbox::new();
    sandbox.set("DOCKER_HOST", &podman.address());
    let script = "import six, time\nprint('trained by', six.__name__, flush=True)\n\
                  open('/opt/ml/model/m', 'w').write('x')\n";
    sandbox.write("pod/train.py", script);
    sandbox.write("pod/requirements.txt", "six\n");
    let run = sandbox.run(&["fit", "pod/train.py", &base, "--fetch", "out", "-v"]).success().says("Podman ");
    assert!(run.stdout.contains("trained by six"), "{}", run.stdout);
    assert_eq!(fs::read_to_string(sandbox.path("out/m")).unwrap(), "x");
    assert!(sandbox.run(&["logs", "pod/train"]).success().stdout.contains("trained by six"));
    assert_eq!(podman.docker(&["ps", "-aq"]).unwrap(), "", "no container is left");

    sandbox.write("pod/train.py", &format!("{script}time.sleep(600)\n"));
    let mut run = sandbox.start(&["fit", "pod/train.py", &base]);
    run.wait_for("trained by six");
    // Asked by way of another engine, it is not lost: nothing is recorded, and it says where the job runs.
    let elsewhere = std::env::var("DOCKER_HOST").ok();
    match &elsewhere {
        Some(host) => sandbox.set("DOCKER_HOST", host),
        None => sandbox.unset("DOCKER_HOST"),
    };
    for command in ["status", "logs", "stop"] {
        let run = sandbox.run(&[command, "pod/train"]).failure(4).one_error();
        run.says("runs on the Docker engine at").says(&podman.address());
    }
    assert_eq!(sandbox.newest_job()["state"], "running");
    sandbox.set("DOCKER_HOST", &podman.address());
    sandbox.run(&["stop", "pod/train"]).success();
    run.end().failure(11);

    // It would drop the wish without a word.
    let gpu = ["fit", "pod/train.py", base.as_str(), "--train-driver", "local-gpu"];
    let run = sandbox.run(&gpu).failure(8).one_error().says("cannot give GPUs to containers").says("Podman");
    assert!(!run.stderr.contains("Building"), "{}", run.stderr);
    // Nor has it a way to hand on a login.
    sandbox.write_home(".config/pip/pip.conf", "[global]\nindex-url = https://a:secret@b.example/simple\n");
    let run = sandbox.run(&["fit", "pod/train.py", &base]).failure(8).one_error();
    run.says("Podman's builder does not support secrets");
}
