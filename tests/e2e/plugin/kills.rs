//! The store of plugins, changed by programs that are killed without warning, hundreds of times and several at once:
//! whoever looks finds the old state or the new one, and nothing is left behind.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use alekseylearn_tests::{Handmade, Sandbox};
use serde_json::Value;

/// Kills of each command, spread over the time that it takes.
const ROUNDS: u32 = 36;

/// A component that compiles at once, as a given version of itself.
fn component(version: &str) -> Vec<u8> {
    let section = [&[7][..], b"version", version.as_bytes()].concat();
    let length = u8::try_from(section.len()).unwrap();
    [Handmade::default().component(), vec![0, length], section].concat()
}

/// Two plugins are installed, and there is a bundle of others to import. The compiled ones are this user's own.
fn user() -> Sandbox {
    let mut sandbox = Sandbox::new();
    let cache = sandbox.path("cache");
    sandbox.set("XDG_CACHE_HOME", cache.to_str().unwrap());
    for version in ["1.0.0", "2.0.0"] {
        fs::write(sandbox.path(&format!("{version}.wasm")), component(version)).unwrap();
    }
    let install = |file: &str, name: &str| {
        sandbox.run(&["plugin", "install", file, "--name", name, "--yes"]).success();
    };
    install("1.0.0.wasm", "third");
    install("2.0.0.wasm", "fourth");
    sandbox.run(&["plugin", "export", "plugins.tar"]).success();
    for name in ["third", "fourth"] {
        sandbox.run(&["plugin", "uninstall", name]).success();
    }
    fs::copy(sandbox.path("1.0.0.wasm"), sandbox.path("mine.wasm")).unwrap();
    install("mine.wasm", "mine");
    install("1.0.0.wasm", "other");
    sandbox.run(&["plugin", "grant", "mine", "https://a.example"]).success();
    sandbox.run(&["jobs"]).success();
    sandbox
}

/// All installed plugins, every one of which is whole, without the time of their installation.
#[track_caller]
fn plugins(sandbox: &Sandbox) -> Vec<Value> {
    let mut plugins = sandbox.run(&["plugin", "verify", "--json"]).success().data()["verified"].clone();
    let plugins = plugins.as_array_mut().unwrap();
    plugins.iter_mut().for_each(|plugin| plugin["installed"] = Value::Null);
    plugins.clone()
}

/// Components that are in the list, the list and its lock, and nothing else; nor half of a compiled one.
#[track_caller]
fn assert_tidy(sandbox: &Sandbox, plugins: &[Value]) {
    let listed = plugins
        .iter()
        .map(|plugin| format!("{}.wasm", plugin["digest"].as_str().unwrap().trim_start_matches("sha256:")));
    let expected: BTreeSet<String> = listed.chain(["lock".into(), "plugins.json".into()]).collect();
    assert_eq!(names(&sandbox.data().join("plugins")), expected);
    let compiled = names(&sandbox.path("cache/alekseylearn/drivers"));
    assert!(compiled.iter().all(|name| name.ends_with(".cwasm")), "{compiled:?}");
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Back to the state that was kept, with nothing compiled.
fn restore(sandbox: &Sandbox, kept: &Path) {
    let folder = sandbox.data().join("plugins");
    fs::remove_dir_all(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    for name in names(kept) {
        fs::copy(kept.join(&name), folder.join(&name)).unwrap();
    }
    let _ = fs::remove_dir_all(sandbox.path("cache"));
}

/// The command is killed at every moment of its time, and does what it should when it is run again.
fn kill_often(change: &[&str]) {
    let sandbox = user();
    // What an upgrade finds; the digest in the list tells it from what is installed.
    fs::copy(sandbox.path("2.0.0.wasm"), sandbox.path("mine.wasm")).unwrap();
    let kept = sandbox.path("kept");
    fs::create_dir(&kept).unwrap();
    for name in names(&sandbox.data().join("plugins")) {
        fs::copy(sandbox.data().join("plugins").join(&name), kept.join(&name)).unwrap();
    }
    let old = plugins(&sandbox);
    let _ = fs::remove_dir_all(sandbox.path("cache"));
    let start = Instant::now();
    sandbox.run(change).success();
    let time = start.elapsed();
    let new = plugins(&sandbox);
    assert_ne!(old, new);
    let (mut killed, mut unchanged) = (0, 0);
    for round in 0..ROUNDS {
        restore(&sandbox, &kept);
        let running = sandbox.start(change);
        std::thread::sleep(time * round / ROUNDS);
        running.signal_if_running("KILL");
        killed += u32::from(running.end().code.is_none());
        let found = plugins(&sandbox);
        assert!(found == old || found == new, "round {round}: {found:?}");
        if found == old {
            unchanged += 1;
            sandbox.run(change).success();
            assert_eq!(plugins(&sandbox), new, "round {round}");
        } else {
            // Any change tidies up after the killed one.
            sandbox.run(&["plugin", "grant", "other", "s3"]).success();
            sandbox.run(&["plugin", "revoke", "other", "s3"]).success();
        }
        assert_tidy(&sandbox, &new);
        sandbox.run(&["jobs"]).success();
    }
    assert!(
        killed > ROUNDS / 4 && unchanged > 0,
        "{killed} were killed, {unchanged} before they did anything"
    );
}

#[test]
fn an_installation_can_be_killed() {
    kill_often(&["plugin", "install", "2.0.0.wasm", "--name", "new", "--yes"]);
}

#[test]
fn an_upgrade_can_be_killed() {
    kill_often(&["plugin", "upgrade", "mine", "--yes"]);
}

#[test]
fn a_grant_can_be_killed() {
    kill_often(&["plugin", "grant", "mine", "docker", "https://b.example=env:TOKEN"]);
}

#[test]
fn a_revocation_can_be_killed() {
    kill_often(&["plugin", "revoke", "mine", "https://a.example"]);
}

#[test]
fn an_uninstallation_can_be_killed() {
    kill_often(&["plugin", "uninstall", "mine"]);
}

/// Two plugins: both are there, or none.
#[test]
fn an_import_can_be_killed() {
    kill_often(&["plugin", "import", "plugins.tar", "--yes"]);
}

#[test]
fn several_at_once_can_be_killed_and_the_others_lose_nothing() {
    let sandbox = user();
    for round in 0..15_u32 {
        let names: Vec<String> = (0..4).map(|number| format!("p{round}-{number}")).collect();
        let origin = format!("https://{round}.example");
        let mut running = Vec::new();
        for (number, name) in names.iter().enumerate() {
            let file = ["1.0.0.wasm", "2.0.0.wasm"][number % 2];
            running.push(sandbox.start(&["plugin", "install", file, "--name", name, "--yes"]));
        }
        running.push(sandbox.start(&["plugin", "grant", "other", &origin]));
        running.push(sandbox.start(&["plugin", "grant", "other", &format!("{origin}:8443")]));
        std::thread::sleep(Duration::from_millis(u64::from(round) * 12));
        // Every second one.
        for killed in running.iter().step_by(2) {
            killed.signal_if_running("KILL");
        }
        let ends: Vec<bool> = running.into_iter().map(|running| running.end().code == Some(0)).collect();
        assert!(ends.iter().skip(1).step_by(2).all(|well| *well), "{ends:?}");
        let found = plugins(&sandbox);
        let is_there = |name: &str| found.iter().any(|plugin| plugin["name"] == name);
        assert!(is_there("mine") && is_there("other"));
        for (name, well) in names.iter().zip(&ends) {
            assert!(is_there(name) || !well, "{name} is lost");
        }
        let other = found.iter().find(|plugin| plugin["name"] == "other").unwrap();
        assert!(!ends[4] || other["granted"].to_string().contains(&format!("\"{origin}\"")), "{other}");
        assert!(other["granted"].to_string().contains(&format!("{origin}:8443")), "{other}");
    }
    sandbox.run(&["plugin", "revoke", "other", "s3"]).success();
    let found = plugins(&sandbox);
    assert_tidy(&sandbox, &found);
}
