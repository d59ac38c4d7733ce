//! Jobs of several nodes on this machine: containers on a network of their own, which rehearse a cluster.

use std::{fs, process::Command};

use alekseylearn_tests::{Sandbox, base_image_or_skip, skipped};

const TWO: &str = "--config.train_instance_count=2";

/// Neither a container nor a network of the job is left.
fn assert_nothing_left(job: &str) {
    for what in [&["ps", "-aq"][..], &["network", "ls", "-q"]] {
        let filter = format!("label=io.alekseylearn.job={job}");
        let output =
            Command::new("docker").args(what).args(["--filter", &filter]).output().expect("docker starts");
        assert!(output.status.success());
        assert!(output.stdout.is_empty(), "{what:?} of {job}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

fn newest(sandbox: &Sandbox) -> (String, String) {
    let job = sandbox.newest_job();
    let text = |key: &str| job[key].as_str().unwrap_or_default().to_owned();
    (text("name"), text("reason"))
}

#[test]
fn distributed_torch_trains_on_two_nodes() {
    let Ok(torch) = std::env::var("ALEKSEYLEARN_TORCH_IMAGE") else {
        return skipped("ALEKSEYLEARN_TORCH_IMAGE is not set: run `cargo xtask test`");
    };
    let base = format!("--config.base_image={torch}");
    let sandbox = Sandbox::new();
    sandbox.project("tests/projects/distributed");
    let run = sandbox.run(&["fit", "distributed/train.py", &base, TWO, "--fetch", "out"]).success();
    for rank in [0, 1] {
        let line = format!("algo-{} rank {rank} of 2: weight 3.0", rank + 1);
        assert!(run.stdout.lines().any(|shown| shown == line), "{}", run.stdout);
        let weight = fs::read_to_string(sandbox.path(&format!("out/rank-{rank}.txt"))).unwrap();
        assert!((weight.trim().parse::<f64>().unwrap() - 3.0).abs() < 0.1, "{weight}");
    }
    // Both wrote it: the first node's is taken.
    assert_eq!(fs::read_to_string(sandbox.path("out/line.txt")).unwrap(), "of rank 0\n");
    let (name, _) = newest(&sandbox);
    assert_nothing_left(&name);
    let kept = sandbox.run(&["logs", &name]).success();
    for node in ["algo-1 rank 0", "algo-2 rank 1"] {
        assert!(kept.stdout.contains(node), "{}", kept.stdout);
    }
}

#[test]
fn distributed_nodes_see_each_other_and_one_failure_stops_all() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.write(
        "cluster/train.py",
        "import json, os, signal, socket, sys, time\n\
         resources = json.loads(os.environ['SM_RESOURCE_CONFIG'])\n\
         assert resources['hosts'] == ['algo-1', 'algo-2', 'algo-3'], resources\n\
         assert os.environ['WORLD_SIZE'] == '3' and os.environ['MASTER_ADDR'] == 'algo-1'\n\
         assert len({socket.gethostbyname(host) for host in resources['hosts']}) == 3\n\
         assert socket.gethostname() == resources['current_host']\n\
         rank = int(os.environ['RANK'])\n\
         def reach(host):\n    \
             while True:\n        \
                 try:\n            \
                     return socket.create_connection((host, 5000))\n        \
                 except OSError:\n            \
                     time.sleep(0.1)\n\
         if rank == 1:\n    \
             # No sooner than the others can be stopped.\n    \
             for host in ['algo-1', 'algo-3']:\n        \
                 reach(host)\n    \
             raise ValueError('this node has had enough')\n\
         def stop(*_):\n    \
             open(f'/opt/ml/model/saved-{rank}', 'w').write('x')\n    \
             sys.exit(0)\n\
         signal.signal(signal.SIGTERM, stop)\n\
         ready = socket.create_server(('', 5000))\n\
         time.sleep(300)\n",
    );
    let run = sandbox.run(&["fit", "cluster/train.py", &base, "--config.train_instance_count=3"]);
    run.failure(10).one_error().says("algo-2: ValueError: this node has had enough");
    let (name, reason) = newest(&sandbox);
    assert!(reason.starts_with("algo-2: ValueError"), "{reason}");
    assert_nothing_left(&name);
    sandbox.run(&["fetch", "out", &name]).success();
    for saved in ["saved-0", "saved-2"] {
        assert!(sandbox.path("out").join(saved).is_file(), "{saved} was saved by SIGTERM");
    }
}

#[test]
fn distributed_nodes_are_all_stopped() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.project("tests/projects/until-sigterm");
    sandbox.run(&["fit", "until-sigterm/train.py", &base, TWO, "--detach"]).success();
    let (name, _) = newest(&sandbox);
    let mut logs = sandbox.start(&["logs", "-f", &name]);
    logs.wait_for("algo-1 training");
    sandbox.run(&["stop", &name]).success();
    let logs = logs.end().success();
    for node in ["algo-1", "algo-2"] {
        assert!(logs.stdout.contains(&format!("{node} saved checkpoint.txt")), "{}", logs.stdout);
    }
    assert_eq!(sandbox.newest_job()["state"], "stopped");
    assert_nothing_left(&name);
}
