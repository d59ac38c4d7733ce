//! What is kept of a job, told and used: its metrics, its page, and the job once more.

use std::fs;

use alekseylearn_tests::{Sandbox, base_image_or_skip};

const SCRIPT: &str = "import sys\n\
    print('seed', sys.argv[1:], '<script>alert(1)</script>')\n\
    for epoch in range(1, 41):\n    \
        print(f'epoch: {epoch} loss={1 / epoch:.4f} accuracy: {1 - 1 / epoch:.4f} quality is {epoch}')\n\
    open('/opt/ml/model/m', 'w').write(' '.join(sys.argv[1:]))\n";

#[test]
fn metrics_are_found_told_and_kept() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.write("metrics/train.py", SCRIPT);
    let run = sandbox.run(&["fit", "metrics/train.py", &base, "--json"]).success();
    let told = run.events().into_iter().rfind(|event| event["event"] == "metrics").expect("metrics are told");
    assert_eq!(told["metrics"].as_array().unwrap().len(), 2, "epoch is a counter: {told}");
    let metrics = &run.data()["metrics"];
    for (index, name, last, best) in [(0, "accuracy", 0.975, 0.975), (1, "loss", 0.025, 0.025)] {
        let metric = &metrics[index];
        assert_eq!((&metric["name"], &metric["count"]), (&name.into(), &40.into()), "{metrics}");
        assert_eq!((metric["last"].as_f64(), metric["best"].as_f64()), (Some(last), Some(best)), "{metrics}");
    }
    let status = sandbox.run(&["status", "metrics/train", "--json"]).success().data();
    assert_eq!(status["metrics"]["loss"]["points"].as_array().unwrap().len(), 40);
    let shown = sandbox.run(&["status", "metrics/train"]).success().stdout;
    assert!(shown.lines().any(|line| line.starts_with("loss") && line.contains("0.025")), "{shown}");

    // What the user defines is all that counts.
    let defined = "--config.metrics.quality=quality is ([0-9]+)";
    let run = sandbox.run(&["fit", "metrics/train.py", &base, defined, "--json"]).success();
    let metrics = &run.data()["metrics"];
    assert_eq!(metrics.as_array().unwrap().len(), 1, "{metrics}");
    assert_eq!((&metrics[0]["name"], metrics[0]["last"].as_f64()), (&"quality".into(), Some(40.0)));
}

#[test]
fn a_job_is_reproduced_though_its_folder_is_gone() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.write("again/train.py", SCRIPT);
    let fit = ["fit", "again/train.py", &base, "--config.hyperparameters.seed=1"];
    sandbox.run(&fit).success();
    let first = sandbox.newest_job();
    fs::remove_dir_all(sandbox.path("again")).unwrap();

    sandbox.run(&["reproduce", "again/train", "--fetch", "same"]).success();
    assert_eq!(fs::read_to_string(sandbox.path("same/m")).unwrap(), "--seed 1");
    let second = sandbox.newest_job();
    assert_ne!(second["name"], first["name"]);
    assert_eq!(second["image"], first["image"]);
    assert_eq!(second["options"], first["options"]);

    let name = first["name"].as_str().unwrap();
    let other = ["reproduce", name, "--config.hyperparameters.seed=2", "--fetch", "other"];
    sandbox.run(&other).success();
    assert_eq!(fs::read_to_string(sandbox.path("other/m")).unwrap(), "--seed 2");
    sandbox.run(&["reproduce", "unknown/train"]).failure(4).one_error();
}

#[test]
fn a_page_tells_all_of_a_job() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.write("page/train.py", SCRIPT);
    sandbox.run(&["fit", "page/train.py", &base, "--config.hyperparameters.seed=7"]).success();
    let name = sandbox.newest_job()["name"].as_str().unwrap().to_owned();
    sandbox.run(&["report", "page/train", "--output", "page.html"]).success();
    let page = fs::read_to_string(sandbox.path("page.html")).unwrap();
    for part in
        [&*name, "completed", "<h2>Metrics</h2>", "<polyline", "hyperparameters.seed", "sha256:", "Training"]
    {
        assert!(page.contains(part), "{part} is missing");
    }
    assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script"), "the log is text");
    assert!(!page.contains("src=") && !page.contains("href="), "it needs nothing else");
    sandbox
        .run(&["report", "page/train", "--output", "page.html"])
        .failure(5)
        .one_error()
        .says("--overwrite");
    sandbox.run(&["report", "page/train", "--output", "page.html", "--overwrite"]).success();

    sandbox.write("bad/train.py", "print('loss: 3')\nraise ValueError('too <small>')\n");
    sandbox.run(&["fit", "bad/train.py", &base]).failure(10);
    sandbox.run(&["report", "bad/train"]).success();
    let name = sandbox.newest_job()["name"].as_str().unwrap().to_owned();
    let page = fs::read_to_string(sandbox.path(&format!("{name}.html"))).unwrap();
    assert!(page.contains("failed") && page.contains("ValueError: too &lt;small&gt;"), "{page}");
}
