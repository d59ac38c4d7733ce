//! Invariant: only `ui` prints, only `environment` reads the environment, only `plugin` names wasmtime, only
//! `capability` names a service.

use std::{
    fs,
    path::{Path, PathBuf},
};

use alekseylearn_tests::workspace;

/// A word that only some rooms may use.
struct Rule {
    words: &'static [&'static str],
    rooms: &'static [&'static str],
}

const RULES: &[Rule] = &[
    Rule {
        words: &["println!", "eprintln!", "print!(", "stdout()", "stderr()", "indicatif"],
        rooms: &["ui/", "environment.rs"],
    },
    Rule {
        words: &["env::var", "env::args", "env::current_dir", "env::home_dir", "etcetera"],
        rooms: &["environment.rs"],
    },
    Rule { words: &["wasmtime"], rooms: &["plugin/"] },
    Rule {
        words: &["bollard", "aws_sdk", "aws_config", "reqwest", "oci_client", "docker_credential"],
        rooms: &["capability/"],
    },
    Rule { words: &["process::exit", "ExitCode"], rooms: &["lib.rs", "main.rs", "interrupt.rs"] },
    Rule { words: &["ctrl_c"], rooms: &["interrupt.rs"] },
    Rule { words: &["rusqlite"], rooms: &["job/record/"] },
    // Directions: commands → job → plugin → capability.
    Rule { words: &["plugin::", "ui::"], rooms: &["plugin/", "job/", "commands/", "lib.rs", "fuzz.rs"] },
    Rule { words: &["job::"], rooms: &["job/", "commands/"] },
    Rule { words: &["commands::"], rooms: &["commands/", "lib.rs"] },
];

#[test]
fn each_room_keeps_to_itself() {
    let root = workspace().join("host/src");
    let mut broken = Vec::new();
    let mut used = vec![false; RULES.len()];
    for path in sources(&root) {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in
            text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
        {
            for (index, rule) in RULES.iter().enumerate() {
                if rule.words.iter().any(|word| names(line, word)) {
                    used[index] = true;
                    if !rule.rooms.iter().any(|room| name.starts_with(room)) {
                        broken.push(format!("{name}:{}: {}", number + 1, line.trim()));
                    }
                }
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
    assert!(used.iter().all(|used| *used), "a rule that nothing in the code touches checks nothing");
}

#[test]
fn plugins_see_the_contract_only_through_the_sdk() {
    for path in sources(&workspace().join("plugins")) {
        let text = fs::read_to_string(&path).unwrap();
        for word in ["wit_bindgen", "alekseylearn::", "wasmtime"] {
            assert!(!text.contains(word), "{} names {word}", path.display());
        }
    }
}

/// The line holds the word, and not as the end of a longer one.
fn names(line: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| !line[..at].ends_with(inside))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
