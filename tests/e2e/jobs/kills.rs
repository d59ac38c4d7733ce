//! The program killed without warning, at every stage of `fit` and `fetch`, and the same command again: no second job,
//! no half file, no container left.

use std::{collections::BTreeSet, fs, path::Path, process::Command, time::Duration};

use alekseylearn_tests::{Rig, Sandbox, base_image_or_skip, rig_or_skip};

use crate::sagemaker::fit;

/// Kills of each kind of run. The moments are an event of the run, each in its turn, and some milliseconds of chance.
const KILLS: usize = 34;
const LONGEST_DELAY: u64 = 40;

const SCRIPT: &str = "\
import os
print('training', flush=True)
for name in ('a', 'b', 'c'):
    os.makedirs(f'/opt/ml/model/{name}')
    open(f'/opt/ml/model/{name}/weights', 'wb').write(os.urandom(300_000))
print('done')
";

/// The same numbers in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Runs the command `KILLS` times, kills it, and runs it again to its end; `check` gets the folder of each, and tells
/// the number of jobs: one more for each command.
fn kill_often(sandbox: &Sandbox, command: &[&str], more: usize, mut check: impl FnMut(&Path) -> usize) {
    let with = |folder: &str| -> Vec<String> {
        let arguments = command.iter().map(|text| text.replace("FOLDER", folder));
        arguments.chain(["--json".to_owned(), "-v".to_owned()]).collect()
    };
    // The first one builds the image, and says more than those after it.
    sandbox.run(&texts(&with("first"))).success();
    let whole = sandbox.run(&texts(&with("whole"))).success();
    let stages = whole.events().len() as u64;
    let mut jobs = check(&sandbox.path("whole"));
    // A run that was hit between its last word and its end may have left its job to the next one.
    let mut doubtful = 0;
    let mut chance = Chance(0x5eed);
    let mut kills = 0;
    let mut ended = 0;
    while kills < KILLS {
        let folder = format!("out-{}", kills + ended);
        let arguments = with(&folder);
        let mut run = sandbox.start(&texts(&arguments));
        // As many events as it has said when it is hit; none at all is a stage too.
        for _ in 0..((kills + ended) as u64 % stages) {
            if run.line().is_none() {
                break;
            }
        }
        std::thread::sleep(Duration::from_micros(chance.below(LONGEST_DELAY * 1000)));
        run.signal_if_running("KILL");
        let killed = run.end();
        if killed.stdout.contains(r#"{"event":"result""#) {
            // Too late: all was done and told.
            ended += 1;
            assert!(ended < 10 * KILLS, "it is never hit in time");
            jobs += more;
            doubtful = more;
            continue;
        }
        kills += 1;
        let again = sandbox.run(&texts(&arguments));
        assert_eq!(
            again.code,
            Some(0),
            "after\n{}\nit says\n{}{}",
            killed.stdout,
            again.stdout,
            again.stderr
        );
        // Shown if the check fails.
        println!("after\n{}\nit says\n{}{}", killed.stdout, again.stdout, again.stderr);
        let now = check(&sandbox.path(&folder));
        assert!((jobs + more - doubtful..=jobs + more).contains(&now), "{jobs} jobs, and then {now}");
        (jobs, doubtful) = (now, 0);
    }
}

fn texts(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// The model is there, all of it, and nothing else.
fn assert_whole(folder: &Path) {
    let names: BTreeSet<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, ["a", "b", "c"].map(String::from).into(), "{}", folder.display());
    for name in names {
        assert_eq!(fs::metadata(folder.join(name).join("weights")).unwrap().len(), 300_000);
    }
}

/// All jobs completed, and no temporary file beside them. How many there are.
fn assert_jobs(sandbox: &Sandbox) -> usize {
    let data = sandbox.run(&["jobs", "--json", "--most", "1000"]).success().data();
    let jobs = data["jobs"].as_array().unwrap();
    for job in jobs {
        assert_eq!((&job["state"], job["reference"].is_string()), (&"completed".into(), true), "{job:#}");
        let folder = sandbox.data().join("jobs").join(job["name"].as_str().unwrap());
        let logs = fs::read_dir(folder.join("logs")).into_iter().flatten();
        for entry in fs::read_dir(&folder).into_iter().flatten().chain(logs) {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(!name.contains("part") && !name.contains("tmp"), "{name} is left of {job:#}");
        }
    }
    jobs.len()
}

fn containers(of: &str) -> String {
    let filter = format!("name=alekseylearn-{of}");
    let output = Command::new("docker").args(["ps", "-aq", "--filter", &filter]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn fit_on_this_machine_survives_kills_at_every_stage() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    // A name of its own, so that its containers are known.
    let project = format!("kills{}", std::process::id());
    let script = format!("{project}/train.py");
    sandbox.write(&script, SCRIPT);
    kill_often(&sandbox, &["fit", &script, &base, "--fetch", "FOLDER"], 1, |folder| {
        assert_whole(folder);
        assert_eq!(containers(&project), "");
        assert_jobs(&sandbox)
    });
}

#[test]
fn fit_on_sagemaker_survives_kills_at_every_stage() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.write("kills/train.py", SCRIPT);
    let arguments = fit(&rig, &base, &["kills/train.py", "--fetch", "FOLDER"]);
    kill_often(&sandbox, &texts(&arguments), 1, |folder| {
        assert_whole(folder);
        let jobs = assert_jobs(&sandbox);
        assert_eq!(jobs_asked_for(&rig), jobs, "jobs at the service");
        jobs
    });
}

fn jobs_asked_for(rig: &Rig) -> usize {
    let calls = rig.calls("CreateTrainingJob");
    calls.iter().map(|call| call["body"]["TrainingJobName"].to_string()).collect::<BTreeSet<_>>().len()
}

#[test]
fn fetch_survives_kills_at_every_stage() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.write("kills/train.py", SCRIPT);
    sandbox.run(&texts(&fit(&rig, &base, &["kills/train.py"]))).success();
    kill_often(&sandbox, &["fetch", "FOLDER", "kills/train"], 0, |folder| {
        assert_whole(folder);
        0
    });
}
