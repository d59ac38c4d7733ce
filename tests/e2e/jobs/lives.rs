//! The life of a job, the same with every train driver: one table of drivers, each with only its declared grants, and
//! one suite that all of them go through. A new driver is a new line of `drivers`.

use alekseylearn_tests::{Rig, Run, Sandbox, Services, base_image, skipped};
use serde_json::{Value, json};

use crate::{kaggle::GRANTS, vertex};

/// One train driver, and what stands in for its service.
pub(crate) struct Driver {
    pub(crate) name: &'static str,
    /// What a `fit` takes, beside the artifact.
    pub(crate) options: Vec<String>,
    pub(crate) sandbox: Sandbox,
    /// It has the service lose its next answer to a submission, after the job was begun.
    lose_answer: Option<Box<dyn Fn()>>,
    /// How many jobs its service has ever had.
    jobs: Option<Box<dyn Fn() -> usize>>,
    /// What `stop` comes to.
    stop: Stop,
    /// What takes its credentials or its engine away, and the exit code of that.
    without: (&'static [(&'static str, &'static str)], i32),
}

#[derive(Clone, Copy, PartialEq)]
enum Stop {
    /// The job ends, with what it has.
    Stops,
    /// The service lets nobody, and that is said.
    Unsupported,
}

/// All drivers; with each what it holds on to.
pub(crate) fn drivers(each: impl Fn(&mut Driver)) {
    let (Some(base), Some(rig)) = (base_image(), Rig::running()) else {
        return skipped("there is no base image, or no rig: run `cargo xtask test`");
    };
    let base_option = format!("--config.base_image={base}");
    each(&mut Driver {
        name: "local",
        options: vec![base_option.clone()],
        sandbox: Sandbox::new(),
        lose_answer: None,
        jobs: None,
        stop: Stop::Stops,
        without: (&[("DOCKER_HOST", "unix:///nowhere")], 7),
    });

    let rig = std::rc::Rc::new(rig);
    let (losing, counting) = (rig.clone(), rig.clone());
    each(&mut Driver {
        name: "sagemaker",
        options: vec![
            base_option,
            format!("--config.output_path=s3://{}/jobs", rig.name("bucket")),
            format!("--config.role_name={}", rig.name("role")),
        ],
        sandbox: Sandbox::with_rig(&rig),
        lose_answer: Some(Box::new(move || {
            let drop = json!({
                "match": { "operation": "CreateTrainingJob" }, "fault": "cut", "after_bytes": 0, "times": 1,
            });
            losing.fault(&drop);
        })),
        jobs: Some(Box::new(move || {
            let calls = counting.calls("CreateTrainingJob").into_iter();
            let names = calls.map(|call| call["body"]["TrainingJobName"].to_string());
            names.collect::<std::collections::BTreeSet<_>>().len()
        })),
        stop: Stop::Stops,
        without: (&[("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")], 3),
    });

    let Some(services) = Services::start() else {
        return skipped("ALEKSEYLEARN_PYTHON is not set: run `cargo xtask test`");
    };
    let services = std::rc::Rc::new(services);
    services.script("kaggle", &json!({ "image": base }));
    services.script("google", &json!({ "run": true }));
    let (losing, counting) = (services.clone(), services.clone());
    each(&mut Driver {
        name: "ml-engine",
        options: vertex::options(&services, &base),
        sandbox: vertex::user(&services),
        lose_answer: Some(Box::new(move || {
            losing.fault(&json!({ "path": "/customJobs", "method": "POST", "status": 0 }));
        })),
        jobs: Some(Box::new(move || vertex::jobs(&counting))),
        stop: Stop::Stops,
        without: (&[("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere")], 3),
    });

    let mut sandbox = Sandbox::new();
    services.lead(&mut sandbox);
    sandbox.set("KAGGLE_API_TOKEN", "KGAT_secret");
    sandbox.run(&["plugin", "install", "kaggle", "--yes", "--grant", GRANTS]).success();
    let (losing, counting) = (services.clone(), services.clone());
    each(&mut Driver {
        name: "kaggle",
        options: Vec::new(),
        sandbox,
        lose_answer: Some(Box::new(move || losing.fault(&json!({ "path": "SaveKernel", "status": 0 })))),
        jobs: Some(Box::new(move || {
            let kernels = counting.state("kaggle")["kernels"].clone();
            kernels
                .as_object()
                .into_iter()
                .flatten()
                .map(|(_, versions)| versions.as_array().map_or(0, Vec::len))
                .sum()
        })),
        stop: Stop::Unsupported,
        without: (&[("KAGGLE_API_TOKEN", "")], 3),
    });
}

impl Driver {
    fn fit(&self, more: &[&str]) -> Vec<String> {
        let mut arguments: Vec<String> =
            ["fit", "train.py", "--train-driver", self.name].map(String::from).into();
        arguments.extend(self.options.iter().cloned());
        arguments.extend(more.iter().map(|text| (*text).to_owned()));
        arguments
    }

    fn run(&self, arguments: &[String]) -> Run {
        self.sandbox.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn status(&self, job: &str) -> Value {
        self.sandbox.run(&["status", job, "--json"]).success().data()
    }
}

#[test]
fn a_job_is_submitted_runs_and_completes() {
    drivers(|driver| {
        driver.sandbox.write(
            "train.py",
            "print('one', flush=True)\nprint('two')\nopen('/opt/ml/model/m', 'w').write('x')\n",
        );
        let events = driver.run(&driver.fit(&["--json", "--fetch", "../home/out"])).success().events();
        let named =
            |event: &str| events.iter().filter(move |known| known["event"] == event).collect::<Vec<_>>();
        assert_eq!(named("submitted").len(), 1, "{}", driver.name);
        for status in named("status") {
            let state = status["state"].as_str().unwrap();
            assert!(["queued", "running"].contains(&state), "{}: {status}", driver.name);
        }
        let lines: Vec<&str> = named("log").iter().map(|line| line["text"].as_str().unwrap()).collect();
        assert_eq!(lines, ["one", "two"], "{}", driver.name);
        assert_eq!(std::fs::read_to_string(driver.sandbox.path("../home/out/m")).unwrap(), "x");
        let job = driver.sandbox.newest_job();
        assert_eq!(driver.status(job["name"].as_str().unwrap())["state"], "completed", "{}", driver.name);
    });
}

#[test]
fn a_job_that_fails_says_why() {
    drivers(|driver| {
        driver.sandbox.write("train.py", "import sys\nprint('before')\nraise ValueError('no such column')\n");
        let run = driver.run(&driver.fit(&[])).failure(10).one_error().says("ValueError: no such column");
        assert!(run.stdout.contains("before"), "{}", driver.name);
        let status = driver.status("work/train");
        assert_eq!(
            (&status["state"], &status["exit_code"]),
            (&json!("failed"), &json!(1)),
            "{}: {status}",
            driver.name
        );
        // It left no model, and that is no other failure.
        driver.sandbox.run(&["fetch", "../home/out", "work/train"]).failure(4).one_error();
    });
}

#[test]
fn a_model_that_was_written_anywhere_comes_home() {
    drivers(|driver| {
        driver.sandbox.write(
            "train.py",
            "import os\nfor name in ('models/deep/m.txt', '__pycache__/x.pyc', 'run.log'):\n    \
             os.makedirs(os.path.dirname(name) or '.', exist_ok=True)\n    open(name, 'w').write('made')\n",
        );
        let run = driver.run(&driver.fit(&["--fetch", "../home/anywhere"])).success();
        let said = "the model is what the script wrote: 1 file, 4 B: models/deep/m.txt";
        assert!(run.stdout.contains(said), "{}: {}", driver.name, run.stdout);
        let folder = driver.sandbox.path("../home/anywhere");
        assert_eq!(std::fs::read_to_string(folder.join("models/deep/m.txt")).unwrap(), "made");
        assert_eq!(folder.read_dir().unwrap().count(), 1, "{}", driver.name);
        let status = driver.status("work/train");
        let model = json!({ "files": 1, "bytes": 4, "first": [["models/deep/m.txt", 4]] });
        assert_eq!(status["results"]["model"], model, "{}: {status}", driver.name);
        let page = driver.sandbox.run(&["report", "work/train", "-o", "../home/page.html"]);
        page.success();
        let page = std::fs::read_to_string(driver.sandbox.path("../home/page.html")).unwrap();
        assert!(page.contains("models/deep/m.txt"), "{}", driver.name);
    });
}

#[test]
fn a_job_that_leaves_nothing_is_a_success() {
    drivers(|driver| {
        driver.sandbox.write("train.py", "print('trained')\n");
        for more in [&[][..], &["--fetch", "../home/nothing"]] {
            let run = driver.run(&driver.fit(more)).success();
            assert_eq!(run.stdout.matches("left no model").count(), 1, "{}: {}", driver.name, run.stdout);
            assert!(!run.stdout.contains("alekseylearn fetch"), "{}: {}", driver.name, run.stdout);
        }
        let status = driver.sandbox.run(&["status", "work/train"]).success().stdout;
        assert!(status.contains("it left no files"), "{}: {status}", driver.name);
    });
}

#[test]
fn a_job_that_nobody_followed_tells_what_it_left() {
    drivers(|driver| {
        driver.sandbox.write("train.py", "open('m.txt', 'w').write('made')\n");
        driver.run(&driver.fit(&["--detach"])).success();
        let mut status = driver.status("work/train");
        for _ in 0..600 {
            if ["completed", "failed"].contains(&status["state"].as_str().unwrap()) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(200));
            status = driver.status("work/train");
        }
        assert_eq!(status["results"]["model"]["first"], json!([["m.txt", 4]]), "{}: {status}", driver.name);
    });
}

#[test]
fn a_job_is_stopped_where_the_service_can() {
    drivers(|driver| {
        driver.sandbox.write(
            "train.py",
            "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n\
             print('ready', flush=True)\nfor _ in range(200):\n    time.sleep(0.05)\n",
        );
        driver.run(&driver.fit(&["--detach"])).success();
        match driver.stop {
            Stop::Stops => {
                let mut following = driver.sandbox.start(&["logs", "-f", "work/train"]);
                following.wait_for("ready");
                driver.sandbox.run(&["stop", "work/train"]).success();
                following.end();
                assert_eq!(driver.status("work/train")["state"], "stopped", "{}", driver.name);
            }
            Stop::Unsupported => {
                driver.sandbox.run(&["stop", "work/train"]).failure(8).one_error().says("https://");
            }
        }
    });
}

/// What JSON, a shell, Python or a service could make something else of.
const HYPERPARAMETERS: [(&str, &str); 20] = [
    ("a-text", "it's \"quoted\""),
    ("b-lines", "one\ntwo\ttabbed"),
    ("c-json", "\"a JSON string\""),
    ("d-number", "0.1"),
    ("e-list", "[1, 2]"),
    ("f-unicode", "größe 🚀"),
    ("g-empty", ""),
    ("h-boolean", "true"),
    ("i-null", "null"),
    ("j-object", "{\"b\": [true, null], \"a\": 1.50}"),
    ("k-backslash", "C:\\new\\t"),
    ("l-shell", "$(id) `id` ; && | > * ~ ! ${HOME}"),
    ("m-dash", "--flag=-1"),
    ("n-spaces", "  both ends  "),
    ("o-exponent", "1e5"),
    ("p-zeros", "0.10"),
    ("q-long", "123456789012345678901234567890.123"),
    ("r-python", "False"),
    ("s-texts", "[\"a\", \"b\"]"),
    ("x", "-1"),
];

#[test]
fn hyperparameters_arrive_as_they_were_written() {
    drivers(|driver| {
        driver.sandbox.write(
            "train.py",
            "import json, os, sys\n\
             seen = {'arguments': sys.argv[1:], 'values': json.loads(os.environ['SM_HPS'])}\n\
             json.dump(seen, open('/opt/ml/model/seen.json', 'w'))\n",
        );
        let options = HYPERPARAMETERS.map(|(name, value)| format!("--config.hyperparameters.{name}={value}"));
        let mut more = vec!["--fetch", "../home/seen"];
        more.extend(options.iter().map(String::as_str));
        driver.run(&driver.fit(&more)).success();
        let seen = std::fs::read(driver.sandbox.path("../home/seen/seen.json")).unwrap();
        let seen: Value = serde_json::from_slice(&seen).unwrap();
        let flag = |name: &str| format!("{}{name}", if name.len() > 1 { "--" } else { "-" });
        let expected: Vec<String> =
            HYPERPARAMETERS.iter().flat_map(|(name, value)| [flag(name), (*value).to_owned()]).collect();
        assert_eq!(seen["arguments"], json!(expected), "{}", driver.name);
        // As values they have the types that they have in JSON.
        let values = &seen["values"];
        assert_eq!(
            (&values["h-boolean"], &values["i-null"], &values["o-exponent"], &values["c-json"]),
            (&json!(true), &json!(null), &json!(1e5), &json!("\"a JSON string\"")),
            "{}",
            driver.name
        );
    });
}

#[test]
fn a_job_that_nobody_knows_is_said() {
    drivers(|driver| {
        for command in [
            vec!["status", "nobody"],
            vec!["logs", "nobody"],
            vec!["stop", "nobody"],
            vec!["fetch", "out", "nobody"],
        ] {
            driver.sandbox.run(&command).failure(4).one_error();
        }
    });
}

#[test]
fn a_submission_whose_answer_is_lost_makes_no_second_job() {
    drivers(|driver| {
        let (Some(lose_answer), Some(jobs)) = (&driver.lose_answer, &driver.jobs) else { return };
        driver.sandbox.write("train.py", "print('once')\n");
        let before = jobs();
        lose_answer();
        // Some ask again by themselves; else the same command does.
        if driver.run(&driver.fit(&[])).code != Some(0) {
            driver.run(&driver.fit(&[])).success();
        }
        assert_eq!(jobs(), before + 1, "{}", driver.name);
    });
}

#[test]
fn a_job_is_attached_to_again_from_its_reference_alone() {
    drivers(|driver| {
        driver.sandbox.write(
            "train.py",
            "import time\nprint('early', flush=True)\ntime.sleep(2)\nprint('late')\nopen('/opt/ml/model/m', 'w').write('x')\n",
        );
        driver.run(&driver.fit(&["--detach"])).success();
        let name = driver.sandbox.newest_job()["name"].as_str().unwrap().to_owned();
        // What the submission left beside the record.
        let folder = driver.sandbox.data().join("jobs").join(&name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).unwrap();
        }
        let followed = driver.sandbox.run(&["logs", "-f", &name]).success();
        let lines: Vec<&str> =
            followed.stdout.lines().filter(|line| ["early", "late"].contains(line)).collect();
        assert_eq!(lines, ["early", "late"], "{}", driver.name);
        driver.sandbox.run(&["fetch", "../home/out-again", &name]).success();
        assert!(driver.sandbox.path("../home/out-again/m").is_file(), "{}", driver.name);
    });
}

#[test]
fn a_long_log_comes_whole_and_in_order() {
    const LINES: usize = 25_000;
    drivers(|driver| {
        driver
            .sandbox
            .write("train.py", &format!("for number in range({LINES}):\n    print('line', number)\n"));
        let is_line = |line: &&str| line.starts_with("line ");
        let expected: Vec<String> = (0..LINES).map(|number| format!("line {number}")).collect();
        let run = driver.run(&driver.fit(&[])).success();
        assert!(
            run.stdout.lines().filter(is_line).eq(expected.iter().map(String::as_str)),
            "{}",
            driver.name
        );
        let again = driver.sandbox.run(&["logs", "work/train"]).success();
        assert!(
            again.stdout.lines().filter(is_line).eq(expected.iter().map(String::as_str)),
            "{}",
            driver.name
        );
    });
}

#[test]
fn what_is_amiss_has_the_contracts_kinds() {
    drivers(|driver| {
        driver.sandbox.write("train.py", "");
        driver.run(&driver.fit(&["--config.nonsense=1"])).failure(2).one_error().says("nonsense");
        let (variables, code) = driver.without;
        for (name, value) in variables {
            driver.sandbox.set(name, value);
        }
        driver.run(&driver.fit(&[])).failure(code).one_error();
    });
}
