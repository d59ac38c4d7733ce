//! Which files of a project are sent, which stay at home, and what is said of them, then and when a script misses one.

use std::{
    fs,
    io::Write,
    os::unix::fs::{FileExt, symlink},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use alekseylearn_tests::{Sandbox, base_image_or_skip};

/// Prints all that there is in its folder, with the content of small files.
const SHOW: &str = "\
import os
for folder, folders, files in os.walk('.'):
    for name in sorted(folders):
        print('there is', os.path.join(folder, name) + '/')
    for name in sorted(files):
        path = os.path.join(folder, name)
        print('there is', path, open(path, 'rb').read(300))
";

/// Goes on until it is dropped.
struct Meanwhile(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Meanwhile {
    fn run(mut step: impl FnMut(usize) + Send + 'static) -> Self {
        let goes_on = Arc::new(AtomicBool::new(true));
        let flag = goes_on.clone();
        let thread = thread::spawn(move || {
            let mut count = 0;
            while flag.load(Ordering::Relaxed) {
                count += 1;
                step(count);
            }
        });
        Self(goes_on, Some(thread))
    }
}

impl Drop for Meanwhile {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
        if let Some(thread) = self.1.take() {
            thread.join().expect("it ends");
        }
    }
}

#[test]
fn equal_runs_have_one_image_whatever_they_brought() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.write("requirements.txt", "");
    sandbox.write(
        "train.py",
        "import os, time\nopen('/opt/ml/model/m', 'w').write(str(time.time()))\nprint(sorted(os.listdir()))\n",
    );
    sandbox.write("alekseylearn.toml", "[fit]\nfetch = 'out'\n");
    let mut images = Vec::new();
    // The last one by the defaults, and what the first one brought is not in its way.
    for fetch in [&["--fetch", "out"][..], &["--fetch", "deep/out"], &["--fetch", "."], &[]] {
        let run = sandbox.run(&[&["fit", "train.py", &base], fetch].concat()).success();
        assert!(run.stdout.contains("['requirements.txt', 'train.py']"), "{}", run.stdout);
        let job = sandbox.newest_job();
        images.push(job["image"].as_str().unwrap().to_owned());
        sandbox.run(&["report", job["name"].as_str().unwrap()]).success();
    }
    assert!(
        sandbox.path("out/m").exists() && sandbox.path("deep/out/m").exists() && sandbox.path("m").exists()
    );
    images.dedup();
    assert_eq!(images.len(), 1, "{images:?}");
    // What the user made of it is the user's.
    sandbox.write("out/m", "mine");
    let run = sandbox.run(&["fit", "train.py", &base, "--fetch", "other"]).success();
    assert!(run.stdout.contains("['out', 'requirements.txt', 'train.py']"), "{}", run.stdout);
}

#[test]
fn what_is_kept_back_is_one_line_and_its_rule_is_named_when_it_is_missed() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.write("requirements.txt", "");
    sandbox.write(".gitignore", "data/\n");
    sandbox.write("data/train.csv", "1,2\n");
    sandbox.write("data/raw/big.csv", &"x".repeat(3000));
    sandbox.write("certs/rds-ca.pem", "CA");
    sandbox.write(".env.example", "A=1\n");
    fs::create_dir_all(sandbox.path("output/deep")).unwrap();
    symlink("/etc", sandbox.path("elsewhere")).unwrap();
    let script = "import os, sys\nassert os.path.isdir('output/deep') and os.path.isfile('.env.example')\n\
                  print(len(open(os.environ['WANTED']).read()), 'bytes')\n";
    sandbox.write("train.py", script);
    let fit = |wanted: &str, more: &[&str]| {
        let wanted = format!("--config.environment.WANTED={wanted}");
        sandbox.run(&[&["fit", "train.py", &base, &wanted], more].concat())
    };
    fit("data/train.csv", &[])
        .failure(10)
        .one_error()
        .says("Not sent: 2 files (2.93 KiB) by .gitignore, largest data/raw/big.csv (2.93 KiB)")
        .says("certs/rds-ca.pem by the list of secrets")
        .says("hint: data/ was not sent because of .gitignore (data/): add `--include data/` to send it");
    // As the hint has it.
    let run = fit("data/train.csv", &["--include", "data/"]).success();
    assert!(run.stdout.contains("4 bytes"), "{}", run.stdout);
    fit("certs/rds-ca.pem", &[])
        .failure(10)
        .says("certs/rds-ca.pem was not sent because of the list of secrets (*.pem): add `--include certs/rds-ca.pem` to send it");
    fit("certs/rds-ca.pem", &["--include", "certs/rds-ca.pem"]).success();
    fit("elsewhere/hosts", &[])
        .failure(10)
        .says("elsewhere: links out of the project are not followed")
        .says("`--config.input.elsewhere=FOLDER`");
    // In the defaults, too, if the user trusts the project with that.
    sandbox.write("alekseylearn.toml", "[fit]\ninclude = ['*.pem', 'certs/rds-ca.pem']\n");
    fit("certs/rds-ca.pem", &[]).failure(3).one_error().says("send to the job: certs/rds-ca.pem");
    fit("certs/rds-ca.pem", &["--trust"]).success();
}

#[test]
fn a_tracked_file_travels_though_it_is_ignored() {
    let mut sandbox = Sandbox::new();
    sandbox.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
    sandbox.write("train.py", "");
    sandbox.write("requirements.txt", "");
    sandbox.write(".gitignore", "*.csv\n");
    sandbox.write("data/kept.csv", "1");
    sandbox.write("data/other.csv", "1");
    let git = |arguments: &[&str]| {
        assert!(
            Command::new("git").args(arguments).current_dir(sandbox.path("")).status().unwrap().success()
        );
    };
    git(&["init", "-q"]);
    // Of no use elsewhere, whoever tracks it.
    sandbox.write("env/pyvenv.cfg", "");
    sandbox.write("env/lib/module.py", "");
    sandbox.write("pkg/__pycache__/a.pyc", "");
    git(&["add", "-f", "data/kept.csv", "env", "pkg"]);
    // Neither is ever run.
    git(&["config", "core.fsmonitor", "touch fsmonitor-ran"]);
    git(&["config", "core.excludesFile", "~/mine"]);
    sandbox.write_home("mine", "secret-notes\n");
    sandbox.write("secret-notes", "");
    let run = sandbox.run(&["fit", "train.py", "--dry-run", "--json"]).success();
    let files = run.data()["image"]["files"].to_string();
    assert!(files.contains("data/kept.csv"), "{files}");
    assert!(!files.contains("data/other.csv") && !files.contains("secret-notes"), "{files}");
    assert!(!files.contains("module.py") && !files.contains("a.pyc"), "{files}");
    assert!(!sandbox.path("fsmonitor-ran").exists());
}

#[test]
fn no_password_and_no_key_goes_into_the_image() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    let line = "--extra-index-url https://someone:hunter2hunter2@example.invalid/simple\n";
    sandbox.write("train.py", SHOW);
    sandbox.write("requirements.txt", "");
    for name in
        ["dev-requirements.txt", "reqs.txt", "Pipfile.lock", "tox.ini", "gpu/env", "pip-requirements.in"]
    {
        sandbox.write(name, line);
    }
    let utf16: Vec<u8> = format!("\u{feff}{line}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(sandbox.path("requirements-gpu.txt"), &utf16).unwrap();
    fs::write(sandbox.path("requirements-odd.txt"), &utf16[..utf16.len() - 1]).unwrap();
    fs::write(sandbox.path("requirements-latin.txt"), [b"# f\xfcr\n", line.as_bytes()].concat()).unwrap();
    let key = format!("-----BEGIN PRIVATE {}-----\n{}\n", "KEY", "MIIEpAIBAAKCAQEA".repeat(4));
    sandbox.write("deploy", &key);
    for name in [
        "secrets.env",
        "prod.env",
        ".envrc",
        "credentials.json",
        "service-account-1.json",
        "client_secret_1.json",
        "gha-creds-1.json",
        "token.json",
        ".streamlit/secrets.toml",
        ".npmrc",
        ".huggingface/token",
        "id_dsa",
        "a.ppk",
        "prod.tfvars",
        "terraform.tfstate",
        ".databrickscfg",
        ".modal.toml",
        "_netrc",
    ] {
        sandbox.write(name, "hunter2hunter2");
    }
    for name in ["wandb/run-1/x", "mlruns/0/x", "lightning_logs/v/x", ".dvc/cache/x", "env/pyvenv.cfg"] {
        sandbox.write(name, "clutter");
    }
    sandbox.write("wandb_tools/x", "kept");
    let run = sandbox.run(&["fit", "train.py", &base]).success();
    let run = run
        .says("not sent: requirements-odd.txt: cannot remove a password from a URL")
        .says("not sent: deploy: found a private key")
        .says("Removed passwords from URLs before sending: Pipfile.lock");
    let shown = run.stdout.replace("\\x00", "");
    assert!(
        !shown.contains("hunter2") && !shown.contains("clutter") && !shown.contains("PRIVATE"),
        "{shown}"
    );
    assert!(shown.contains("wandb_tools") && shown.contains("example.invalid"), "{shown}");
}

#[test]
fn a_log_that_grows_and_a_file_that_is_saved_do_not_stop_a_run() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    sandbox.write("requirements.txt", "");
    sandbox.write("train.py", "print(open('a.log').readline(), open('z.txt').read())\n");
    let (log, saved) = (sandbox.write("a.log", "started\n"), sandbox.write("z.txt", "0"));
    let grows = Meanwhile::run(move |count| {
        let mut log = fs::File::options().append(true).open(&log).unwrap();
        writeln!(log, "line {count}").unwrap();
        thread::sleep(Duration::from_millis(1));
    });
    let run = sandbox.run(&["fit", "train.py", &base]).success();
    assert!(run.stdout.contains("started"), "{}", run.stdout);
    // Saved all the time: it is named.
    let file = fs::File::options().write(true).open(&saved).unwrap();
    // In place, so that it is never found empty.
    let is_saved =
        Meanwhile::run(move |count| file.write_all_at(format!("{count:020}").as_bytes(), 0).unwrap());
    let run = sandbox.run(&["fit", "train.py", &base]).failure(1).one_error();
    run.says("z.txt changed during the transfer in 4 attempts");
    drop((grows, is_saved));
    fs::write(saved, "at last").unwrap();
    let run = sandbox.run(&["fit", "train.py", &base]).success();
    assert!(run.stdout.contains("at last"), "{}", run.stdout);
}

#[test]
fn a_linked_artifact_is_one_of_the_folder_where_the_link_lies() {
    let mut sandbox = Sandbox::new();
    sandbox.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
    sandbox.write("private/train.py", "");
    sandbox.write("private/diary.txt", "");
    sandbox.write("project/requirements.txt", "");
    sandbox.write("project/lib/real.py", "");
    symlink("../private/train.py", sandbox.path("project/train.py")).unwrap();
    symlink("lib/real.py", sandbox.path("project/inside.py")).unwrap();
    let run = sandbox.run(&["fit", "project/train.py", "--dry-run"]).failure(2).one_error();
    run.says("project/train.py is a link that leads out of ");
    let run = sandbox.run(&["fit", "project/inside.py", "--dry-run", "--json"]).success();
    let data = run.data();
    let files = data["image"]["files"].to_string();
    assert!(files.contains("code/inside.py") && files.contains("code/lib/real.py"), "{files}");
    assert_eq!(data["tag"], "project/inside");
}

#[test]
fn a_file_that_never_ends_is_one_error() {
    let mut sandbox = Sandbox::new();
    sandbox.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
    for name in [".dockerignore", ".gitignore", "uv.toml", ".git/info/exclude"] {
        for kind in ["device", "pipe"] {
            let folder = format!("{}-{kind}", name.replace('/', "-"));
            sandbox.write(&format!("{folder}/train.py"), "");
            fs::create_dir_all(sandbox.path(&format!("{folder}/.git/info"))).unwrap();
            sandbox.write(&format!("{folder}/requirements.txt"), "six\n");
            let path = sandbox.path(&format!("{folder}/{name}"));
            match kind {
                "device" => symlink("/dev/zero", &path).unwrap(),
                _ => assert!(Command::new("mkfifo").arg(&path).status().unwrap().success()),
            }
            let run = sandbox.run(&["fit", &format!("{folder}/train.py"), "--dry-run"]);
            run.failure(2).one_error().says(name.rsplit('/').next().unwrap());
        }
    }
}
