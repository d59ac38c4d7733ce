//! Bad days of the disk and of the record: each is waited out or is one clear error, and nothing half-done is left.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use alekseylearn_tests::{Sandbox, base_image_or_skip, skipped};

/// A small disk of its own, as only root may make one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(path: PathBuf, size: &str) -> Option<Self> {
        fs::create_dir_all(&path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "alekseylearn-test"]).arg(&path);
        match mount.output() {
            Ok(output) if output.status.success() => Some(Self(path)),
            _ => None,
        }
    }

    fn remount(&self, options: &str) {
        let status = Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.0).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A job whose model takes eight megabytes.
fn trained(sandbox: &Sandbox, base: &str) {
    let script = "import os\nopen('/opt/ml/model/m', 'wb').write(os.urandom(8 << 20))\n";
    sandbox.write("large/train.py", script);
    sandbox.run(&["fit", "large/train.py", &format!("--config.base_image={base}")]).success();
}

fn listing(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_model_that_does_not_fit_on_the_disk() {
    let base = base_image_or_skip!();
    let sandbox = Sandbox::new();
    trained(&sandbox, &base);
    let Some(disk) = SmallDisk::at(sandbox.path("small"), "4m") else {
        return skipped("only root may mount a small disk");
    };
    for more in [&[][..], &["--no-extract"]] {
        let fetch = [&["fetch", "small", "large/train"], more].concat();
        sandbox.run(&fetch).failure(1).one_error().says("is full").says("bytes needed");
        assert_eq!(listing(&disk.0), [""; 0], "nothing half-done is left");
    }
}

#[test]
fn a_record_on_a_full_or_read_only_disk() {
    let base = base_image_or_skip!();
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "print('hello')\n");
    let Some(disk) = SmallDisk::at(sandbox.data(), "1m") else {
        return skipped("only root may mount a small disk");
    };
    let filler = disk.0.join("filler");
    // All that there is.
    fs::write(&filler, vec![0; 2 << 20]).unwrap_err();
    let fit = ["fit", "train.py", &format!("--config.base_image={base}")];
    sandbox.run(&fit).failure(1).one_error();
    fs::remove_file(&filler).unwrap();
    sandbox.run(&fit).success();
    disk.remount("ro");
    sandbox.run(&fit).failure(1).one_error();
    disk.remount("rw");
    assert_eq!(sandbox.run(&["jobs", "--json"]).success().data()["jobs"].as_array().unwrap().len(), 1);
}

#[test]
fn a_log_that_does_not_fit_on_the_disk() {
    let base = base_image_or_skip!();
    let sandbox = Sandbox::new();
    let script =
        "for n in range(100_000):\n    print(n, 'x' * 80)\nopen('/opt/ml/model/m', 'w').write('x')\n";
    sandbox.write("long/train.py", script);
    let Some(disk) = SmallDisk::at(sandbox.data(), "4m") else {
        return skipped("only root may mount a small disk");
    };
    let fit =
        ["fit", "long/train.py", &format!("--config.base_image={base}"), "--fetch", "out", "--overwrite"];
    let run = sandbox.run(&fit).failure(1).one_error();
    run.says("cannot save the log of").says("the container is kept");
    disk.remount("size=64m");
    let run = sandbox.run(&fit).success().says("resuming");
    assert!(run.stdout.contains("\n99999 x"), "the whole log");
    assert_eq!(listing(&sandbox.path("out")), ["m"]);
    assert_eq!(sandbox.run(&["logs", "long/train"]).success().stdout.lines().count(), 100_000);
}

#[test]
fn a_record_that_another_program_holds() {
    let sandbox = Sandbox::new();
    sandbox.run(&["jobs"]).success();
    let program = "import sqlite3, sys\n\
                   record = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
                   record.execute('PRAGMA locking_mode = EXCLUSIVE')\n\
                   record.execute('PRAGMA journal_mode = DELETE')\n\
                   record.execute('BEGIN EXCLUSIVE')\n\
                   print('held', flush=True)\n\
                   sys.stdin.read()\n";
    let mut holder = Command::new("python3")
        .args(["-c", program])
        .arg(sandbox.data().join("jobs.sqlite"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    let mut line = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), "held");
    sandbox.run(&["jobs"]).failure(5).one_error().says("another program has locked");
    drop(holder.stdin.take());
    holder.wait().unwrap();
    sandbox.run(&["jobs"]).success();
}

#[test]
fn two_fits_of_one_folder_are_two_jobs() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.write("both/train.py", "print('hello')\nopen('/opt/ml/model/m', 'w').write('x')\n");
    let runs = [0, 1].map(|n| sandbox.start(&["fit", "both/train.py", &base, "--fetch", &format!("out{n}")]));
    for run in runs {
        run.end().success();
    }
    for folder in ["out0", "out1"] {
        assert_eq!(listing(&sandbox.path(folder)), ["m"]);
    }
    assert_eq!(sandbox.run(&["jobs", "--json"]).success().data()["jobs"].as_array().unwrap().len(), 2);
}
