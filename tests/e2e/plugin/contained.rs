//! What a plugin, a training folder, or whoever was in a folder before, puts in the program's way leads nowhere: links,
//! pipes and devices.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use alekseylearn_tests::{Run, Sandbox, base_image_or_skip, guests_or_skip};

const SECRET: &str = "ssh-ed25519 AAAA the user's own";

/// A user with something to lose, and the plugin `links`.
fn sandbox(grants: &[&str]) -> Option<Sandbox> {
    let guest = PathBuf::from(std::env::var_os("ALEKSEYLEARN_GUESTS")?).join("links.wasm");
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    sandbox.write_home(".ssh/authorized_keys", SECRET);
    let install = ["plugin", "install", guest.to_str().unwrap(), "--name", "links", "--yes"];
    sandbox.run(&[&install[..], grants].concat()).success();
    Some(sandbox)
}

fn fit(sandbox: &Sandbox, way: &str) -> Run {
    let (way, target) = (format!("--config.way={way}"), "--config.target=.ssh/authorized_keys");
    sandbox.run(&["fit", "train.py", "--train-driver", "links", &way, target])
}

fn is_untouched(sandbox: &Sandbox, run: &Run) {
    assert_eq!(fs::read_to_string(sandbox.home(".ssh/authorized_keys")).unwrap(), SECRET);
    let entries = fs::read_dir(sandbox.home(".ssh")).unwrap();
    assert_eq!(entries.count(), 1, "nothing was written beside it");
    assert!(!format!("{}{}", run.stdout, run.stderr).contains(SECRET), "{}{}", run.stdout, run.stderr);
}

#[test]
fn a_plugin_makes_no_links() {
    let _guests = guests_or_skip!();
    let sandbox = sandbox(&[]).unwrap();
    for way in ["folder", "file", "hard", "artifact", "log"] {
        let run = fit(&sandbox, way);
        is_untouched(&sandbox, &run);
        assert!(
            run.stderr.contains("failed: ") && run.stderr.contains("Operation not permitted"),
            "{way}: {}",
            run.stderr
        );
        assert!(way == "hard" || !run.stderr.contains("a link at /job/x worked"), "{}", run.stderr);
        let job = sandbox.newest_job();
        let folder = sandbox.data().join("jobs").join(job["name"].as_str().unwrap());
        for entry in fs::read_dir(folder).unwrap().flatten() {
            assert!(!entry.file_type().unwrap().is_symlink(), "{way}: {}", entry.path().display());
        }
    }
}

/// As an older version, or another program of the user's, could have left them.
#[test]
fn links_from_before_in_a_jobs_folder_lead_nowhere() {
    let _guests = guests_or_skip!();
    let sandbox = sandbox(&["--grant", "docker"]).unwrap();
    fit(&sandbox, "none").success();
    let job = sandbox.newest_job()["name"].as_str().unwrap().to_owned();
    let folder = sandbox.data().join("jobs").join(&job);
    symlink(sandbox.home(".ssh/authorized_keys"), folder.join("model.tar.gz")).unwrap();
    for more in [&[][..], &["--no-extract"], &["--no-extract", "--overwrite"]] {
        let run = sandbox.run(&[&["fetch", "out", &job], more].concat()).one_error();
        is_untouched(&sandbox, &run);
        run.says("is a link");
        assert!(!sandbox.path("out").exists());
    }
    fs::create_dir(folder.join("logs")).unwrap();
    symlink(sandbox.home(".ssh/authorized_keys"), folder.join("logs/algo-1.log")).unwrap();
    symlink(sandbox.home(".ssh"), folder.join("x")).unwrap();
    let run = sandbox.run(&["logs", &job]);
    is_untouched(&sandbox, &run);
}

/// What is on the screen, whatever a driver says, is the program's own or stands indented; nothing moves or turns it.
#[test]
fn a_plugin_neither_forges_lines_nor_paints_the_terminal() {
    let guest = guests_or_skip!().join("paints.wasm");
    let mut sandbox = Sandbox::new();
    sandbox.set("CLICOLOR_FORCE", "1");
    sandbox.write("train.py", "");
    sandbox.run(&["plugin", "install", guest.to_str().unwrap(), "--name", "paints", "--yes"]).success();
    let driver = ["train.py", "--train-driver", "paints"];
    let mut said = 0;
    let mut look = |words: &[&str]| {
        let run = sandbox.run(words);
        // A training's own log is shown as it is, line by line.
        let is_log = |line: &str| {
            ["fit", "logs"].contains(&words[0]) && run.stdout.lines().any(|logged| logged == line)
        };
        let text = format!("{}{}", run.stdout, run.stderr);
        said += text.matches("forged").count();
        for line in text.lines() {
            // Its own colours, of which it makes no more than these.
            let plain = plain(line);
            let visible = plain.trim_start_matches('\u{200b}');
            for remark in ["error: forged", "hint: run", "warning: forged", "[ 0.1s] forged"] {
                assert!(is_log(line) || !visible.starts_with(remark), "{words:?}: {line:?}");
            }
            let is_obeyed = |c: char| {
                c.is_control() && c != '\t' || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
            };
            assert!(!plain.contains(is_obeyed), "{words:?}: {line:?}");
        }
    };
    look(&[&["check"], &driver[..]].concat());
    look(&[&["fit", "--dry-run"], &driver[..]].concat());
    look(&[&["fit", "-v"], &driver[..], &["--config.fails=1"]].concat());
    look(&[&["fit", "-v"], &driver[..]].concat());
    let job = sandbox.newest_job()["name"].as_str().unwrap().to_owned();
    look(&["status", &job]);
    look(&["logs", &job]);
    look(&["fetch", "out", &job]);
    look(&["stop", &job]);
    look(&["jobs"]);
    look(&["driver", "show", "paints"]);
    look(&["plugin", "show", "paints"]);
    assert!(said > 20, "it was heard {said} times");
}

/// Without the colours of SGR: numbers, `;` and `:` alone.
fn plain(line: &str) -> String {
    let mut plain = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        plain.push_str(before);
        let end = after.find(|c: char| !(c.is_ascii_digit() || c == ';' || c == ':')).unwrap_or(after.len());
        match after[end..].strip_prefix('m') {
            Some(further) => rest = further,
            None => {
                plain.push('\x1b');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

/// What the program is told by a file that every user of the machine can write, it does not do; and the command that it
/// shows is one word after the other in every shell, whatever the folder is called.
#[test]
fn what_everybody_can_write_is_refused_and_the_hint_works_in_every_shell() {
    let mut shells = vec![PathBuf::from("bash")];
    let mut sandbox = Sandbox::new();
    if let Some(others) = std::env::var_os("ALEKSEYLEARN_SHELLS").map(PathBuf::from) {
        shells.extend(["bin/zsh", "usr/bin/fish"].map(|shell| others.join(shell)));
        sandbox.set("LD_LIBRARY_PATH", others.join("usr/lib/x86_64-linux-gnu").to_str().unwrap());
    }
    let odd = r"it's $(touch pwned); touch pwned \ '\' * ~ =ls";
    sandbox.write_home(&format!("{odd}/alekseylearn/alekseylearn.toml"), "");
    sandbox.set("XDG_CONFIG_HOME", sandbox.home(odd).to_str().unwrap());
    let file = sandbox.home(odd).join("alekseylearn/alekseylearn.toml");
    for shell in shells {
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        let run = sandbox.run(&["fit", "train.py", "--dry-run"]).failure(3).one_error();
        let run = run.says("can be written by every user of this machine");
        let command = run.stderr.split('`').nth(1).unwrap();
        assert!(command.starts_with("chmod o-w "), "{}", run.stderr);
        sandbox.run_other(&shell, &["-c", command]).success();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o664, "{}", shell.display());
        assert!(!sandbox.path("pwned").exists(), "{}", shell.display());
        sandbox.run(&["fit", "train.py", "--dry-run"]).failure(4);
    }
    // The list of plugins says what each was granted.
    sandbox.write_home(".local/share/alekseylearn/plugins/plugins.json", r#"{"form": 1, "plugins": []}"#);
    let list = sandbox.data().join("plugins/plugins.json");
    fs::set_permissions(&list, fs::Permissions::from_mode(0o666)).unwrap();
    let run = sandbox.run(&["plugin", "list"]).failure(3).one_error();
    run.says("can be written by every user of this machine").says("chmod o-w");
    // The record says which image a job had, and where its results are.
    sandbox.run(&["jobs"]).success();
    let record = sandbox.data().join("jobs.sqlite");
    fs::set_permissions(&record, fs::Permissions::from_mode(0o666)).unwrap();
    for command in [&["jobs"][..], &["status", "x"], &["fetch", "out", "x"]] {
        let run = sandbox.run(command).failure(3).one_error();
        run.says("can be written by every user of this machine");
    }
}

/// What a project has under the names of files that the program reads is no trap.
#[test]
fn pipes_and_devices_keep_nobody_waiting() {
    for name in ["alekseylearn.toml"] {
        for device in [false, true] {
            let sandbox = Sandbox::new();
            sandbox.write("train.py", "");
            sandbox.write(".git/HEAD", "");
            let path = sandbox.path(name);
            if device {
                symlink("/dev/zero", &path).unwrap();
            } else {
                assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
            }
            let start = Instant::now();
            let run = sandbox.run(&["fit", "train.py", "--dry-run"]);
            assert!(start.elapsed() < Duration::from_secs(20), "{name}");
            let run = run.failure(2).one_error().says(name).says("not a regular file");
            assert!(run.stderr.contains("hint: "), "{}", run.stderr);
        }
    }
}

/// No file, no socket and no program: the kernel refuses them to what compiles a stranger's component.
#[cfg(target_os = "linux")]
#[test]
fn the_compiler_is_confined() {
    use std::{io::Write, os::fd::OwnedFd, os::unix::net::UnixStream};
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut compiler = Command::new(Sandbox::new().program())
        .arg("compile-component")
        .env_clear()
        .stdin(OwnedFd::from(theirs))
        .spawn()
        .unwrap();
    let status = PathBuf::from(format!("/proc/{}/status", compiler.id()));
    let start = Instant::now();
    // 2: a filter.
    while !fs::read_to_string(&status).unwrap().contains("Seccomp:\t2\n") {
        assert!(start.elapsed() < Duration::from_secs(20), "{}", fs::read_to_string(&status).unwrap());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(fs::read_to_string(&status).unwrap().contains("NoNewPrivs:\t1\n"));
    // And it does its work.
    let component = wat::parse_str("(component)").unwrap();
    ours.write_all(&(component.len() as u64).to_le_bytes()).unwrap();
    ours.write_all(&component).unwrap();
    let mut answer = Vec::new();
    std::io::Read::read_to_end(&mut ours, &mut answer).unwrap();
    assert!(compiler.wait().unwrap().success());
    assert!(answer.first() == Some(&0) && answer.len() > 1_000, "{} bytes", answer.len());
}

#[test]
fn what_is_kept_is_the_users_alone() {
    let guest = guests_or_skip!().join("links.wasm");
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    sandbox.run(&["plugin", "install", guest.to_str().unwrap(), "--name", "links", "--yes"]).success();
    sandbox.run(&["fit", "train.py", "--train-driver", "links"]).success();
    let mut folders = vec![sandbox.data()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o077, 0, "{}", folder.display());
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{} {mode:o}", entry.path().display());
            files += 1;
        }
    }
    assert!(files > 4, "{files}");
}

#[test]
fn a_container_gains_no_privileges() {
    let base = base_image_or_skip!();
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "print(open('/proc/self/status').read())\nprint('pids', open('/sys/fs/cgroup/pids.max').read() if __import__('os').path.exists('/sys/fs/cgroup/pids.max') else open('/sys/fs/cgroup/pids/pids.max').read())\n");
    let run = sandbox.run(&["fit", "train.py", &format!("--config.base_image={base}")]).success();
    assert!(run.stdout.contains("NoNewPrivs:\t1"), "{}", run.stdout);
    assert!(run.stdout.contains("pids 32768"), "{}", run.stdout);
}
