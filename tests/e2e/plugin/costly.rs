//! Components that are too much before anything of them runs, to be read or to be compiled, and drivers that answer with
//! too much. That ends at its limits, with Ctrl-C, and with the program.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use alekseylearn_tests::{Handmade, Run, Running, Sandbox};
use serde_json::json;

use super::handmade::{hollow, leb128};

/// A component of some hundred kilobytes, whose compiler has to follow so many variables through so many loops.
fn tangled(functions: usize, variables: usize, loops: usize) -> Vec<u8> {
    let mut body = [leb128(1), leb128(variables), vec![0x7f]].concat();
    body.extend([0x03, 0x40].repeat(loops));
    for variable in 0..variables {
        // Each gets the value of the one before.
        let set = leb128((variable + 1) % variables);
        body.extend([vec![0x20], leb128(variable), vec![0x21], set].concat());
    }
    body.extend([0x20, 0, 0x0d, 0, 0x0b].repeat(loops));
    body.push(0x0b);
    let function = [leb128(body.len()), body].concat();
    let section = |kind: u8, content: Vec<u8>| [vec![kind], leb128(content.len()), content].concat();
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, vec![1, 0x60, 0, 0]),
        section(3, [leb128(functions), vec![0; functions]].concat()),
        section(10, [leb128(functions), function.repeat(functions)].concat()),
    ];
    [hollow(""), section(1, module.concat())].concat()
}

/// Takes gigabytes at once.
fn huge() -> Vec<u8> {
    tangled(1, 50_000, 4_000)
}

/// Takes minutes.
fn slow() -> Vec<u8> {
    tangled(100, 20_000, 1_000)
}

const INSTALL: [&str; 4] = ["plugin", "install", "costly.wasm", "--yes"];

/// A user of another plugin, which nothing of this harms.
fn user(costly: &[u8]) -> Sandbox {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("good.wasm"), Handmade::default().component()).unwrap();
    sandbox.run(&["plugin", "install", "good.wasm", "--yes"]).success();
    fs::write(sandbox.path("costly.wasm"), costly).unwrap();
    sandbox
}

#[track_caller]
fn refused(sandbox: &Sandbox, run: Run, says: &str) {
    run.failure(9).one_error().says(says);
    unharmed(sandbox);
}

#[track_caller]
fn unharmed(sandbox: &Sandbox) {
    let plugins = sandbox.run(&["plugin", "verify", "--json"]).success().data();
    assert_eq!(plugins["verified"].as_array().unwrap().len(), 1);
    assert_eq!(sandbox.run(&["jobs", "--json"]).success().data()["jobs"], json!([]));
    sandbox.run(&["driver", "show", "good"]).success();
}

#[test]
fn a_compilation_ends_at_its_memory() {
    let sandbox = user(&huge());
    refused(&sandbox, sandbox.run(&INSTALL), "cannot compile costly: it needs more than 2048 MiB of memory");
    let run = sandbox.run(&["plugin", "run", "costly.wasm", "--", "jobs"]);
    refused(&sandbox, run, "cannot compile costly: it needs more than 2048 MiB of memory");
}

/// The limit is two minutes; the system's own, where it is less, is as good.
#[test]
fn a_compilation_ends_at_its_time() {
    let sandbox = user(&slow());
    let command = format!("ulimit -S -t 3; exec alekseylearn {}", INSTALL.join(" "));
    let run = sandbox.run_other(Path::new("/bin/sh"), &["-c", &command]);
    refused(&sandbox, run, "cannot compile costly: it needs more than 3 seconds of CPU time");
}

fn compiling(sandbox: &Sandbox) -> Running {
    let mut running = sandbox.start(&[&INSTALL[..], &["--json"]].concat());
    running.wait_for("Compiling costly");
    while compilers(sandbox).is_empty() {
        std::thread::sleep(Duration::from_millis(10));
    }
    running
}

/// The processes that compile for this user.
fn compilers(sandbox: &Sandbox) -> Vec<PathBuf> {
    let here = sandbox.path("").canonicalize().unwrap();
    let is_here = |process: &PathBuf| fs::read_link(process.join("cwd")).is_ok_and(|folder| folder == here);
    let compiles = |process: &PathBuf| {
        fs::read(process.join("cmdline")).is_ok_and(|line| line.ends_with(b"compile-component\0"))
    };
    let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    processes.filter(|process| compiles(process) && is_here(process)).collect()
}

#[track_caller]
fn none_is_left(sandbox: &Sandbox) {
    let start = Instant::now();
    while !compilers(sandbox).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(30), "it goes on compiling");
        std::thread::sleep(Duration::from_millis(10));
    }
    unharmed(sandbox);
}

#[test]
fn ctrl_c_ends_a_compilation() {
    let sandbox = user(&slow());
    let running = compiling(&sandbox);
    running.signal("INT");
    let error = running.end().failure(130).events().pop().unwrap();
    assert_eq!((&error["message"], &error["hint"]), (&json!("interrupted"), &json!("nothing was installed")));
    none_is_left(&sandbox);
}

#[test]
fn a_compilation_ends_with_the_program() {
    let sandbox = user(&slow());
    let running = compiling(&sandbox);
    running.signal("KILL");
    assert_eq!(running.end().code, None);
    none_is_left(&sandbox);
}

#[test]
fn what_never_ends_or_is_too_large_is_not_read() {
    let sandbox = Sandbox::new();
    assert!(Command::new("mkfifo").arg(sandbox.path("pipe.wasm")).status().unwrap().success());
    for file in ["/dev/zero", "pipe.wasm"] {
        for command in [&["install"][..], &["show"], &["install", "a", "--index"]] {
            let run = sandbox.run(&[&["plugin"], command, &[file]].concat());
            run.failure(2).one_error().says("cannot read ").says("not a regular file");
        }
        sandbox.run(&["plugin", "import", file]).failure(4).one_error().says("not a regular file");
    }
    fs::File::create(sandbox.path("large.wasm")).unwrap().set_len((128 << 20) + 1).unwrap();
    let run = sandbox.run(&["plugin", "install", "large.wasm", "--yes"]);
    run.failure(2).one_error().says("large.wasm: it is larger than 128 MiB");
    std::os::unix::fs::symlink("/dev/zero", sandbox.path("alekseylearn.lock")).unwrap();
    sandbox.run(&["plugin", "install", "--locked"]).failure(4).one_error().says("not a regular file");
}

/// A component that imports or exports so many things.
fn many(exports: bool, count: usize) -> Vec<u8> {
    let name = |number: usize| {
        let name = format!("n{number}");
        [vec![0], leb128(name.len()), name.into_bytes()].concat()
    };
    let (kind, what) = if exports { (11, [5, 0, 0].as_slice()) } else { (10, [5, 0].as_slice()) };
    let names = (0..count).flat_map(|number| [name(number), what.to_vec()].concat());
    let names = [leb128(count), names.collect()].concat();
    // An instance is imported by its type: one of nothing.
    let first = if exports { Vec::new() } else { vec![7, 3, 1, 0x42, 0] };
    [hollow(""), first, vec![kind], leb128(names.len()), names].concat()
}

#[test]
fn a_million_names_are_not_read() {
    let sandbox = Sandbox::new();
    for (exports, count, says) in [
        (true, 1_000_000, "imports or exports more than 1000 names"),
        (false, 1_000_000, "imports or exports more than 1000 names"),
        (true, 1_000, "imports or exports more than 1000 names"),
        (false, 1_000, "imports n0, which alekseylearn does not provide"),
    ] {
        fs::write(sandbox.path("many.wasm"), many(exports, count)).unwrap();
        for command in [&["install", "--yes"][..], &["show"]] {
            sandbox.run(&[&["plugin"], command, &["many.wasm"]].concat()).failure(9).one_error().says(says);
        }
    }
}

const OPTION: &str = r#"
    (import "alekseylearn:driver/options@$V" "[static]option-spec.text"
        (func $make (param i32 i32 i32 i32) (result i32)))"#;
const NOTE: &str = r#"
    (import "alekseylearn:driver/report@$V" "[static]finding.note" (func $make (param i32 i32) (result i32)))"#;
const DETAIL: &str = r#"(import "alekseylearn:driver/progress@$V" "detail" (func $detail (param i32 i32)))"#;
const PAGE: &str = r#"
    (import "alekseylearn:driver/report@$V" "[static]destination.none" (func $none (result i32)))
    (import "alekseylearn:driver/report@$V" "[constructor]job-status" (func $running (param i32) (result i32)))
    (import "alekseylearn:driver/run@$V" "[resource-drop]job" (func $give-job-back (param i32)))"#;

/// A list of so many things at 65536, each made by `make`.
fn listed(make: &str, count: usize) -> String {
    let end = 65_536 + 4 * count;
    format!(
        "(local $at i32) (local.set $at (i32.const 65536))
         (loop $more
            (i32.store (local.get $at) {make})
            (br_if $more (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (i32.const {end}))))"
    )
}

#[test]
fn a_driver_answers_with_no_more_than_anybody_reads() {
    let options = |count: usize| {
        let list = listed("(call $make (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))", count);
        let answer = format!(
            "{list} (i32.store (i32.const 1024) (i32.const 65536)) (i32.store (i32.const 1028) (i32.const {count})) i32.const 1024"
        );
        Handmade::default().head(OPTION).body("options", answer)
    };
    let findings = |count: usize| {
        let list = listed("(call $make (i32.const 0) (i32.const 0))", count);
        let answer = format!(
            "{list} (call $give-back (local.get 0))
             (i32.store (i32.const 1028) (i32.const 65536)) (i32.store (i32.const 1032) (i32.const {count})) i32.const 1024"
        );
        Handmade::default().head(NOTE).body("check", answer)
    };
    let details = "(loop $more (call $detail (i32.const 0) (i32.const 0)) (br $more)) i32.const 1024";
    // So many empty lines: their places are zeros, as all of a fresh memory.
    let log = |count: usize| {
        Handmade::default()
            .head(PAGE)
            .body("check", "(call $give-back (local.get 0)) i32.const 1024")
            .body("prepare", "(call $give-back (local.get 0)) (i32.store (i32.const 1028) (call $none)) i32.const 1024")
            .body("submit", "(call $give-back (local.get 0)) i32.const 1024")
            .body("status", "(call $give-job-back (local.get 0)) (i32.store (i32.const 1028) (call $running (i32.const 1))) i32.const 1024")
            .body(
                "logs",
                format!(
                    "(call $give-job-back (local.get 0))
                     (i32.store (i32.const 1028) (i32.const 65536)) (i32.store (i32.const 1032) (i32.const {count})) i32.const 1024"
                ),
            )
    };
    for (name, guest, says) in [
        ("options", options(1_001), "it returned 1001 options at once; the limit is 1000"),
        ("a million options", options(1_000_000), "it holds too many handles"),
        ("findings", findings(1_001), "it returned 1001 findings at once; the limit is 1000"),
        ("a million findings", findings(1_000_000), "handle limit exceeded"),
        (
            "details",
            Handmade::default().head(DETAIL).body("check", details),
            "it sent more than 10000 progress messages",
        ),
        ("lines", log(100_001), "it returned 100001 log lines at once; the limit is 100000"),
        ("a million lines", log(1_000_000), ""),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("train.py", "");
        let guest = guest.memory(r#"(memory $memory (export "memory") 600)"#);
        fs::write(sandbox.path("guest.wasm"), guest.component()).unwrap();
        sandbox.run(&["plugin", "install", "guest.wasm", "--yes"]).success();
        let fit = ["fit", "train.py", "--train-driver", "guest"];
        let run = if name.ends_with("lines") {
            // A job that is followed does not end because its log cannot be read.
            sandbox.run(&[&fit[..], &["--detach"]].concat()).success();
            sandbox.run(&["logs", "work/train"])
        } else {
            sandbox.run(&fit)
        };
        assert!(run.stderr.len() < 10_000, "{name}: {} bytes", run.stderr.len());
        run.failure(9).one_error().says("error: the driver guest failed: ").says(says);
        sandbox.run(&["driver", "show", "local"]).success();
    }
}
