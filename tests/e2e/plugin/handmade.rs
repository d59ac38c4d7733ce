//! Plugins that no compiler would make: components whose every byte may lie. As with the others that misbehave
//! (`hostile.rs`), each costs at most its limits, ends in one clear error, and leaves everything else as it was.

use std::{
    fs,
    time::{Duration, Instant},
};

use alekseylearn_tests::{Handmade, Sandbox};
use serde_json::json;

// A check's `result<list<finding>, error>` lies at 1024, its list or error at 1028.

const PROGRESS: &str =
    r#"(import "alekseylearn:driver/progress@$V" "warning" (func $warning (param i32 i32)))"#;
const OPTIONS: &str = r#"
    (import "alekseylearn:driver/options@$V" "[static]option-spec.text"
        (func $option (param i32 i32 i32 i32) (result i32)))
    (import "alekseylearn:driver/options@$V" "[method]option-spec.choices" (func $choices (param i32 i32 i32)))"#;
const FINDINGS: &str = r#"
    (import "alekseylearn:driver/report@$V" "[static]finding.note" (func $note (param i32 i32) (result i32)))"#;
const STATUS: &str = r#"
    (import "alekseylearn:driver/report@$V" "[constructor]job-status" (func $status (param i32) (result i32)))"#;
const TRAINING: &str = r#"
    (import "alekseylearn:driver/run@$V" "[method]training.tag" (func $tag (param i32 i32)))"#;

/// A guest by name, and what is said of it.
type Case = (&'static str, Handmade, &'static str);

/// A check that gives back what it was lent, and then does its mischief.
fn check(body: &str) -> Handmade {
    keeps(&format!("(call $give-back (local.get 0)) {body}"))
}

/// A check that does nothing else.
fn keeps(body: &str) -> Handmade {
    Handmade::default().body("check", body)
}

/// What the driver gives back is not what the contract says.
fn wrong_results() -> Vec<Case> {
    vec![
        (
            "an answer that is neither result nor error",
            check("(i32.store8 (i32.const 1024) (i32.const 7)) i32.const 1024"),
            "discriminant",
        ),
        (
            "an error of no kind",
            check("(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store8 (i32.const 1028) (i32.const 200)) i32.const 1024"),
            "discriminant",
        ),
        (
            "a hint that is neither there nor absent",
            check("(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store8 (i32.const 1040) (i32.const 3)) i32.const 1024"),
            "discriminant",
        ),
        (
            "a list beyond its memory",
            check("(i32.store (i32.const 1028) (i32.const 0x7ffffff0)) (i32.store (i32.const 1032) (i32.const 4)) i32.const 1024"),
            "out of bounds",
        ),
        (
            "a list longer than all memory",
            check("(i32.store (i32.const 1028) (i32.const 16)) (i32.store (i32.const 1032) (i32.const -1)) i32.const 1024"),
            "out of bounds",
        ),
        (
            "a list that lies askew",
            check("(i32.store (i32.const 1028) (i32.const 1025)) (i32.store (i32.const 1032) (i32.const 1)) i32.const 1024"),
            "not aligned",
        ),
        ("an answer that lies askew", check("i32.const 1026"), "not aligned"),
        ("an answer beyond its memory", check("i32.const 0x7ffffff0"), "out of bounds"),
        ("an answer across the end of its memory", check("i32.const 65532"), "out of bounds"),
        (
            "a message beyond its memory",
            check("(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store (i32.const 1032) (i32.const 65000)) (i32.store (i32.const 1036) (i32.const 0x10000)) i32.const 1024"),
            "out of bounds",
        ),
        (
            "a message longer than all memory",
            check("(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store (i32.const 1036) (i32.const -1)) i32.const 1024"),
            "out of bounds",
        ),
        (
            "a message that is no text",
            check("(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store (i32.const 1032) (i32.const 2048)) (i32.store (i32.const 1036) (i32.const 3)) i32.const 1024")
                .tail(r#"(data (i32.const 2048) "a\ff\c0")"#),
            "utf-8",
        ),
    ]
}

/// Handles that it does not hold.
fn stolen_handles() -> Vec<Case> {
    vec![
        (
            "a handle of nothing",
            check("(i32.store (i32.const 1028) (i32.const 2048)) (i32.store (i32.const 1032) (i32.const 1)) (i32.store (i32.const 2048) (i32.const 12345)) i32.const 1024"),
            "unknown handle",
        ),
        (
            "a handle of another kind",
            check("(i32.store (i32.const 1028) (i32.const 2048)) (i32.store (i32.const 1032) (i32.const 1)) (i32.store (i32.const 2048) (call $option (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))) i32.const 1024")
                .head(OPTIONS),
            "wrong type",
        ),
        (
            "what it was lent",
            check("(i32.store (i32.const 1028) (i32.const 2048)) (i32.store (i32.const 1032) (i32.const 1)) (i32.store (i32.const 2048) (local.get 0)) i32.const 1024"),
            "unknown handle",
        ),
        (
            "one handle twice",
            check("(i32.store (i32.const 1028) (i32.const 2048)) (i32.store (i32.const 1032) (i32.const 2)) (i32.store (i32.const 2048) (call $note (i32.const 0) (i32.const 0))) (i32.store (i32.const 2052) (i32.load (i32.const 2048))) i32.const 1024")
                .head(FINDINGS),
            "unknown handle",
        ),
        ("what it was lent, kept", keeps("i32.const 1024"), "borrow handles still remain"),
    ]
}

/// What it hands to the host is not what the contract says.
fn wrong_arguments() -> Vec<Case> {
    vec![
        (
            "a state of no job",
            check("(drop (call $status (i32.const 99))) i32.const 1024").head(STATUS),
            "discriminant",
        ),
        (
            "a text beyond its memory",
            check("(call $warning (i32.const 65000) (i32.const 65000)) i32.const 1024").head(PROGRESS),
            "out of bounds",
        ),
        (
            "a text that is no text",
            check("(call $warning (i32.const 2048) (i32.const 3)) i32.const 1024")
                .head(PROGRESS)
                .tail(r#"(data (i32.const 2048) "a\ff\c0")"#),
            "utf-8",
        ),
        (
            "the same text a thousand times",
            // A thousand times the one page: 64 MiB to the host, out of 72 KiB.
            keeps(
                "(local $at i32) (local.set $at (i32.const 65536))
                 (loop $more
                    (i32.store (local.get $at) (i32.const 0)) (i32.store offset=4 (local.get $at) (i32.const 65536))
                    (br_if $more (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 73728))))
                 (call $choices (call $option (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
                    (i32.const 65536) (i32.const 1024))
                 i32.const 1024",
            )
            .head(OPTIONS)
            .memory(r#"(memory $memory (export "memory") 2)"#),
            "too much data is being copied",
        ),
        (
            "more things than the host holds",
            check("(loop $more (drop (call $note (i32.const 0) (i32.const 0))) (br $more)) i32.const 1024").head(FINDINGS),
            "handle limit exceeded",
        ),
        (
            "more text than the host holds",
            check("(loop $more (drop (call $note (i32.const 0) (i32.const 65536))) (br $more)) i32.const 1024")
                .head(FINDINGS),
            "it passed more than 64 MiB to the host",
        ),
    ]
}

/// The host asks it for a place, and it lies.
fn lying_places() -> Vec<Case> {
    let asks = || keeps("(call $tag (local.get 0) (i32.const 1024)) i32.const 1024").head(TRAINING);
    vec![
        ("a place beyond its memory", asks().realloc("i32.const 0x7fffff00"), "beyond end of memory"),
        ("a place across the end of its memory", asks().realloc("i32.const 65535"), "beyond end of memory"),
        ("a place that is none", asks().realloc("unreachable"), "unreachable"),
        ("a place that is never found", asks().realloc("(loop $more (br $more)) unreachable"), "10 seconds"),
        (
            "a place that is asked of the host",
            keeps("(call $tag (local.get 0) (i32.const 1024)) i32.const 1024")
                .head(
                    r#"
    (import "alekseylearn:driver/run@$V" "[method]training.tag" (func $tag (param i32 i32)))
    (import "alekseylearn:driver/progress@$V" "warning" (func $warning (param i32 i32)))"#,
                )
                .realloc("(call $warning (i32.const 0) (i32.const 0)) i32.const 0"),
            "cannot leave component instance",
        ),
    ]
}

/// It takes more than it may, or never begins.
fn greedy() -> Vec<Case> {
    let never = || check("unreachable");
    vec![
        ("a start that never ends", never().tail("(func $start (loop $more (br $more))) (start $start)"), "10 seconds"),
        ("a start that fails", never().tail("(func $start unreachable) (start $start)"), "unreachable"),
        ("a start that takes memory", never().tail(
            "(func $start (loop $more (drop (memory.grow (i32.const 1000))) (br $more))) (start $start)"), "memory"),
        ("a memory of a gigabyte", never().memory(r#"(memory $memory (export "memory") 16384)"#), "memory"),
        (
            "four memories of 400 megabytes",
            never().tail("(memory 6400) (memory 6400) (memory 6400) (memory 6400)"),
            "memory",
        ),
        ("a table of a million", never().tail("(table 1000000 funcref)"), "table"),
        (
            "many tables",
            never().tail("(table 60000 funcref) (table 60000 funcref) (table 60000 funcref)"),
            "table",
        ),
        (
            "a table that grows",
            check("(loop $more (drop (table.grow $table (ref.null func) (i32.const 1000))) (br $more)) i32.const 0")
                .tail("(table $table 1 funcref)"),
            "table",
        ),
    ]
}

fn each_ends_in_one_clear_error(cases: Vec<Case>) {
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    let mut wrong = Vec::new();
    for (name, guest, says) in cases {
        fs::write(sandbox.path("guest.wasm"), guest.component()).unwrap();
        sandbox.run(&["plugin", "install", "guest.wasm", "--yes"]).success();
        let start = Instant::now();
        let run = sandbox.run(&["fit", "train.py", "--train-driver", "guest"]);
        let broke = run.stderr.contains("error: the driver guest failed: ") && run.stderr.contains(says);
        if run.code != Some(9)
            || !broke
            || run.stderr.len() > 100_000
            || start.elapsed() > Duration::from_secs(60)
        {
            wrong.push(format!("{name}, after {:?}: {:?}\n{}", start.elapsed(), run.code, run.stderr));
            continue;
        }
        run.one_error();
        unharmed(&sandbox);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn results_that_are_none_are_refused() {
    each_ends_in_one_clear_error(wrong_results());
}

#[test]
fn handles_that_are_not_its_own_are_refused() {
    each_ends_in_one_clear_error(stolen_handles());
}

#[test]
fn arguments_that_are_none_are_refused() {
    each_ends_in_one_clear_error(wrong_arguments());
}

#[test]
fn places_that_are_none_are_refused() {
    each_ends_in_one_clear_error(lying_places());
}

#[test]
fn greed_ends_at_its_limits() {
    each_ends_in_one_clear_error(greedy());
}

fn unharmed(sandbox: &Sandbox) {
    assert_eq!(sandbox.run(&["jobs", "--json"]).success().data()["jobs"], json!([]));
    sandbox.run(&["plugin", "verify"]).success();
    sandbox.run(&["driver", "show", "local"]).success();
}

#[test]
fn what_a_terminal_would_obey_is_shown_instead() {
    let guest = check(
        "(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store8 (i32.const 1028) (i32.const 7))
         (i32.store (i32.const 1032) (i32.const 2048)) (i32.store (i32.const 1036) (i32.const 29)) i32.const 1024",
    )
    .body(
        "options",
        "(i32.store (i32.const 1024) (i32.const 1032)) (i32.store (i32.const 1028) (i32.const 1))
         (i32.store (i32.const 1032) (call $option (i32.const 2128) (i32.const 3) (i32.const 2048) (i32.const 29)))
         i32.const 1024",
    )
    .head(OPTIONS)
    .tail(r#"(data (i32.const 2048) "a\1b[2Jb\nhint: give it your key") (data (i32.const 2128) "key")"#);
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    fs::write(sandbox.path("guest.wasm"), guest.component()).unwrap();
    sandbox.run(&["plugin", "install", "guest.wasm", "--yes"]).success();
    let shown = sandbox.run(&["driver", "show", "guest"]).success();
    assert!(shown.stdout.contains("--config.key  text"), "{}", shown.stdout);
    assert!(shown.stdout.contains(r"a\u{1b}[2Jb hint: give it your key"), "{}", shown.stdout);
    let run = sandbox.run(&["fit", "train.py", "--train-driver", "guest"]).failure(1);
    run.says("error: a\\u{1b}[2Jb\n  hint: give it your key\n");
}

/// A component of nothing but this, that says to be a train driver.
pub(crate) fn hollow(content: &str) -> Vec<u8> {
    let exports = r#"(instance $empty) (export "alekseylearn:driver/train@0.1.0" (instance $empty))"#;
    wat::parse_str(format!("(component {content} {exports})")).unwrap()
}

#[test]
fn what_cannot_be_run_is_not_installed() {
    let sandbox = Sandbox::new();
    let import = |name: &str, content: &str| hollow(&format!(r#"(import "{name}" (instance {content}))"#));
    let nope = r#"(export "nope" (func))"#;
    for (component, says) in [
        (
            import("evil:corp/thing@1.0.0", ""),
            "imports evil:corp/thing@1.0.0, which alekseylearn does not provide",
        ),
        (import("wasi:nn/graph@0.2.0", ""), "which alekseylearn does not provide"),
        (import("alekseylearn:driver/everything@0.1.0", ""), "which alekseylearn does not provide"),
        (
            import("alekseylearn:driver/progress@0.1.0", nope),
            "imports something that alekseylearn does not provide",
        ),
        (import("wasi:cli/stdin@0.2.0", nope), "imports something that alekseylearn does not provide"),
        (import("wasi:sockets/tcp@0.2.0", nope), "imports something that alekseylearn does not provide"),
        (hollow(""), "is not a complete train driver"),
        (nested_types(1_000), ""),
        (nested_types(200_000), ""),
        (nested_components(5_000), ""),
        (wide_types(60), ""),
    ] {
        fs::write(sandbox.path("guest.wasm"), component).unwrap();
        let start = Instant::now();
        let all = "docker,aws-identity,ecr,s3,sagemaker,cloudwatch-logs";
        let run = sandbox.run(&["plugin", "install", "guest.wasm", "--yes", "--grant", all]);
        run.failure(9).one_error().says(says);
        assert!(start.elapsed() < Duration::from_secs(60), "it took {:?}", start.elapsed());
        assert_eq!(sandbox.run(&["plugin", "list", "--json"]).success().data()["plugins"], json!([]));
    }
}

/// A list of lists of lists …, which a function of the host is said to take.
fn nested_types(depth: usize) -> Vec<u8> {
    let mut text = "(type $t0 (list u8))".to_owned();
    for level in 1..depth {
        text.push_str(&format!("(type $t{level} (list $t{}))", level - 1));
    }
    takes(&text, depth - 1)
}

/// Each type twice the one before.
fn wide_types(depth: usize) -> Vec<u8> {
    let mut text = "(type $t0 (tuple u8 u8))".to_owned();
    for level in 1..depth {
        text.push_str(&format!("(type $t{level} (tuple $t{0} $t{0}))", level - 1));
    }
    takes(&text, depth - 1)
}

fn takes(types: &str, last: usize) -> Vec<u8> {
    let stage = format!(r#"(export "stage" (func (param "name" $t{last})))"#);
    hollow(&format!(r#"{types}(import "alekseylearn:driver/progress@0.1.0" (instance {stage}))"#))
}

/// A component in a component in a component …
fn nested_components(depth: usize) -> Vec<u8> {
    let header = b"\0asm\x0d\0\x01\0";
    let mut inner = header.to_vec();
    for _ in 0..depth {
        inner = [header, &section(&inner)[..]].concat();
    }
    [hollow(""), section(&inner)].concat()
}

fn section(component: &[u8]) -> Vec<u8> {
    [vec![4], leb128(component.len()), component.to_vec()].concat()
}

/// As WebAssembly writes numbers.
pub(crate) fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number % 0x80) as u8 | 0x80);
        number /= 0x80;
    }
    bytes.push(number as u8);
    bytes
}
