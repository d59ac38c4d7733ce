//! What is kept of a job, told and used: its metrics, its page, and the job once more.

use std::{env, fs, path::Path, process::Command};

use alekseylearn_tests::{Sandbox, base_image_or_skip, python, rig_or_skip, skipped};
use serde_json::Value;

use crate::sagemaker::{fit, run};

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

/// The page as a browser shows it: see `tests/browser`. Screenshots go to the folder that is named by the variable
/// ALEKSEYLEARN_SCREENSHOTS, if there is one.
fn seen(chromium: &str, page: &Path) -> Value {
    let mut browser: Command = python("browser").expect("where there is a browser, there is Python");
    browser.arg(chromium).arg(page).args(env::var_os("ALEKSEYLEARN_SCREENSHOTS"));
    let output = browser.output().expect("Python starts");
    let words = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&words).unwrap_or_else(|error| panic!("{error}: {words}"))
}

/// What holds of any page: it asks nobody for anything, and all of it can be read, on any screen.
#[track_caller]
fn readable(seen: &Value) {
    assert_eq!((&seen["asked"], &seen["complaints"]), (&Value::from([""; 0]), &Value::from([""; 0])));
    let looks = seen["looks"].as_object().unwrap();
    assert_eq!(looks.len(), 4);
    for (name, look) in looks {
        assert_eq!(look["scrolls"], false, "{name}: {look}");
        assert_eq!(look["leaves"], Value::from([""; 0]), "{name}");
        assert_eq!(look["squeezed"], Value::from([""; 0]), "{name}");
        assert!(look["faintest"]["contrast"].as_f64().unwrap() >= 4.5, "{name}: {}", look["faintest"]);
    }
    assert_ne!(looks["wide"]["background"], looks["dark"]["background"]);
}

#[test]
fn a_browser_shows_all_of_a_page() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let Ok(chromium) = env::var("ALEKSEYLEARN_CHROMIUM") else {
        return skipped(
            "ALEKSEYLEARN_CHROMIUM is not set: `cargo xtask test` sets it, whole or with `browser` in a filter, where Debian's Chromium can be had",
        );
    };
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.write("page/train.py", &format!("{SCRIPT}print('wide ' + 'x' * 400)\n"));
    sandbox.write("page/requirements.txt", "six==1.17.0\n");
    let long = "--config.hyperparameters.a-name-that-is-rather-long=/opt/ml/input/data/train/a/path/that/goes/on/for/ever";
    let options = [
        "page/train.py",
        "--config.hyperparameters.seed=7",
        long,
        "--config.train_instance_type=ml.m5.xlarge",
    ];
    run(&sandbox, &fit(&rig, &base, &[&options[..], &["--config.prices.ml.m5.xlarge=3600"]].concat()))
        .success();
    let job = sandbox.newest_job();
    let name = job["name"].as_str().unwrap();
    sandbox.run(&["report", name, "--output", "page.html"]).success();
    let seen_page = seen(&chromium, &sandbox.path("page.html"));
    readable(&seen_page);
    let page = &seen_page["looks"]["narrow"];
    assert_eq!(page["title"], name);
    let headings =
        ["Outcome: completed", "Timeline", "Metrics", "Plots", "Results", "Options", "Installed", "Log"];
    assert_eq!(page["headings"], Value::from([&[name][..], &headings].concat()));
    let facts = &page["facts"];
    assert_eq!(facts["image"], job["image"]);
    assert!(facts["image"].as_str().unwrap().contains("@sha256:"), "{facts}");
    assert!(facts["cost"].as_str().unwrap().ends_with(" USD"), "{facts}");
    assert!(facts["billed"].is_string() && facts["train driver"] == "sagemaker", "{facts}");
    assert_eq!(facts["hyperparameters.seed"], "7");
    let metrics: Vec<&Value> = page["metrics"].as_array().unwrap().iter().map(|row| &row[0]).collect();
    assert_eq!(metrics, ["accuracy", "loss"]);
    let phases = page["phases"].as_array().unwrap();
    assert!(phases.iter().any(|phase| phase["name"] == "Training") && phases.len() > 3, "{phases:?}");
    for phase in phases {
        let edge = |part: &Value| part["x"].as_f64().unwrap() + part["width"].as_f64().unwrap();
        assert!(phase["width"].as_f64().unwrap() >= 3.0, "{phase}");
        assert!(phase["x"].as_f64() >= phase["timeline"]["x"].as_f64(), "{phase}");
        assert!(edge(phase) <= edge(&phase["timeline"]) + 0.5, "{phase}");
    }
    let plots = page["plots"].as_array().unwrap();
    assert_eq!(plots.iter().map(|plot| &plot["name"]).collect::<Vec<_>>(), ["accuracy", "loss"]);
    for plot in plots {
        assert!(plot["line"]["width"].as_f64().unwrap() > 150.0, "{plot}");
        assert!(plot["line"]["height"].as_f64().unwrap() > 50.0, "{plot}");
    }
    let texts = page["preformatted"].to_string();
    assert!(texts.contains("six==1.17.0") && texts.contains("<script>alert(1)</script>"), "{texts}");
    assert!(texts.contains("epoch: 40 loss=0.0250"), "{texts}");

    sandbox.write("bad/train.py", "print('loss: 3')\nraise ValueError('too <small> ' + 'x' * 300)\n");
    sandbox.run(&["fit", "bad/train.py", &format!("--config.base_image={base}")]).failure(10);
    sandbox.run(&["report", "bad/train", "--output", "failed.html"]).success();
    let failed = seen(&chromium, &sandbox.path("failed.html"));
    readable(&failed);
    let page = &failed["looks"]["narrow-dark"];
    assert_eq!(page["headings"][1], "Outcome: failed");
    assert!(page["preformatted"][0].as_str().unwrap().contains("ValueError: too <small>"), "{page}");
}
