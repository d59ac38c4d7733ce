//! Plugins that misbehave: each costs at most its limits, ends in one clear error with its last words, and leaves the
//! job record and the other plugins as they were.

use std::{fs, path::Path, time::Duration, time::Instant};

use alekseylearn_tests::{Run, Sandbox, guests_or_skip, workspace};
use serde_json::json;

/// The name of each, what its error says, and its exit code.
const GUESTS: &[(&str, i32, &str)] = &[
    ("allocates", 9, "the driver allocates failed"),
    ("asks", 9, "it exceeded its time limit of 10 seconds"),
    ("dumps", 8, "this is the end of it"),
    ("dumps-python", 8, "this is the end of it"),
    ("escapes", 8, "this is the end of it"),
    ("floods", 9, "it exceeded its time limit of 10 seconds"),
    ("misreads", 9, "it reads the option servise, which it does not declare"),
    ("overreaches", 8, "this is the end of it"),
    ("panics", 9, "the last words about work/train"),
    // Without a grant; tests/e2e/plugin/requests.rs gives them some.
    ("reaches", 2, "cannot send a request to "),
    ("recurses", 9, "call stack exhausted"),
    ("rehearses", 2, "cannot send a request to "),
    ("remembers", 2, "cannot send a request to "),
    ("requests", 2, "cannot send a request to "),
    ("shouts", 9, "the driver shouts failed"),
    ("sleeps", 9, "it exceeded its time limit of 10 seconds"),
    ("spins", 9, "it exceeded its time limit of 10 seconds"),
    ("traps", 9, "unreachable"),
];

/// They have tests of their own: here, in tests/e2e/plugin/contained.rs, and in tests/e2e/plugin/identity.rs.
const ELSEWHERE: [&str; 7] = ["hashes", "links", "loots", "misdeclares", "paints", "plants", "writes"];

fn run(sandbox: &Sandbox, guests: &Path, guest: &str) -> Run {
    let file = guests.join(format!("{guest}.wasm"));
    let install = ["plugin", "install", file.to_str().unwrap(), "--name", guest, "--yes"];
    sandbox.run(&[&install[..], &["--grant", "aws-identity,s3"]].concat()).success();
    let place = "--config.output_path=s3://bucket/pre";
    sandbox.run(&["fit", "train.py", "--train-driver", guest, place, "--config.role_name=trainer"])
}

#[test]
fn each_ends_in_one_clear_error_within_its_limits() {
    let guests = guests_or_skip!();
    for (guest, code, says) in GUESTS {
        let mut sandbox = Sandbox::new();
        sandbox.write("train.py", "");
        // What none of them may see.
        sandbox.set("AWS_ACCESS_KEY_ID", "SECRETKEYID").set("AWS_SECRET_ACCESS_KEY", "SECRETKEY");
        sandbox.set("AWS_REGION", "us-east-1").set("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
        sandbox.write(".env", "SECRET=1");
        let start = Instant::now();
        let run = run(&sandbox, &guests, guest).failure(*code).one_error().says(says);
        assert!(start.elapsed() < Duration::from_secs(60), "{guest} took {:?}", start.elapsed());
        assert!(run.stderr.len() < 200_000, "{guest} said {} bytes", run.stderr.len());
        assert!(!format!("{}{}", run.stdout, run.stderr).contains("SECRET"), "{guest}:\n{}", run.stderr);
        if *guest == "sleeps" {
            assert!(run.stderr.contains("good night") && !run.stderr.contains("line 0\n"), "{}", run.stderr);
        }
        // Nothing is harmed.
        assert_eq!(sandbox.run(&["jobs", "--json"]).success().data()["jobs"], json!([]));
        sandbox.run(&["driver", "show", "local"]).success();
        sandbox.run(&["plugin", "verify"]).success();
        assert!(!sandbox.path("evil").exists() && !sandbox.data().join("jobs/evil").exists());
    }
}

/// What is asked of the guest `writes`, and what its error says.
const WAYS: &[(&str, &str)] = &[
    ("one file", "it wrote more than 128 MiB to /job"),
    ("the same place", "it wrote more than 128 MiB to /job"),
    ("a size", "it wrote more than 128 MiB to /job"),
    ("renaming", "it wrote more than 128 MiB to /job"),
    ("many files", "it created more than 10000 files in /job"),
    ("many folders", "it created more than 10000 files in /job"),
    ("folders in folders", "it created more than 10000 files in /job"),
];

#[test]
fn what_is_written_without_an_end_ends_and_leaves_nothing() {
    let guest = guests_or_skip!().join("writes.wasm");
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    sandbox.run(&["plugin", "install", guest.to_str().unwrap(), "--name", "writes", "--yes"]).success();
    for (way, says) in WAYS {
        let service = format!("--config.service={way}");
        let run = sandbox.run(&["fit", "train.py", "--train-driver", "writes", &service]);
        run.failure(9).one_error().says(&format!("error: the driver writes failed: {says}"));
        let job = sandbox.newest_job();
        let folder = sandbox.data().join("jobs").join(job["name"].as_str().unwrap());
        let left: Vec<_> = fs::read_dir(&folder).into_iter().flatten().collect();
        assert!(left.is_empty(), "{way}: {left:?}");
        sandbox.run(&["driver", "show", "local"]).success();
        sandbox.run(&["plugin", "verify"]).success();
    }
    // What a driver may.
    sandbox
        .run(&["fit", "train.py", "--train-driver", "writes", "--config.service=no", "--detach"])
        .success();
}

#[test]
fn none_is_forgotten() {
    let folder = guests_or_skip!();
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<String> =
        entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    found.sort();
    let released = found.extract_if(.., |name| name.starts_with("released_")).count();
    assert_eq!(released, fs::read_dir(workspace().join("tests/contract")).unwrap().count());
    // Its jobs misbehave, and not its check: tests/e2e/jobs/lingering.rs.
    assert_eq!(found.extract_if(.., |name| name == "lingers").count(), 1);
    // The examples for authors, which behave: tests/e2e/plugin/examples.rs.
    assert_eq!(
        found.extract_if(.., |name| ["local-python", "local-rust"].contains(&name.as_str())).count(),
        2
    );
    let mut tested: Vec<&str> = GUESTS.iter().map(|(name, ..)| *name).chain(ELSEWHERE).collect();
    tested.sort_unstable();
    assert_eq!(found, tested);
}

#[test]
fn plugins_of_released_contracts_keep_working() {
    let folder = guests_or_skip!();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let plugin = name.replace('_', "-");
        let Some(version) = name.strip_prefix("released_").map(|version| version.replace('_', ".")) else {
            continue;
        };
        let sandbox = Sandbox::new();
        sandbox.write("train.py", "");
        let file = path.to_str().unwrap();
        let shown = sandbox.run(&["plugin", "show", file, "--json"]).success().data();
        assert_eq!(shown["contract"], version);
        let fit = ["fit", "train.py", "--train-driver", &plugin, "--config.count=7"];
        let run =
            sandbox.run(&[&["plugin", "run", file, "-v", "--"][..], &fit].concat()).failure(8).one_error();
        run.says(&format!("{version} works")).says("work/train has count 7");
    }
}
