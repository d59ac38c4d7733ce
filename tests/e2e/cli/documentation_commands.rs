//! Invariant: the commands of the documentation work. Each block of a page is run as it stands, in a folder like the one
//! that the page speaks of. What cannot run here is listed with the reason. A unit test of the program holds every
//! command line, run or not, to the command line's own rules.

use std::{collections::BTreeSet, fs, path::Path};

use alekseylearn_tests::{Sandbox, base_image_or_skip};

use super::documentation::{pages, shown};

/// What a command contains that cannot run in a test, and why. The first match counts.
const NOT_RUN: [(&str, &str); 21] = [
    ("cargo ", "compiles the workspace"),
    ("bash .ci/run", "runs all tests"),
    ("pip install", "`cargo xtask wheel` does this"),
    (" ... ", "leaves out options"),
    ("PACKAGE", "is a placeholder"),
    ("sagemaker", "needs an AWS account"),
    ("s3://", "needs an AWS account"),
    ("gs://", "needs a Google Cloud project"),
    ("gcloud", "needs a Google account"),
    ("plugin install ml-engine", "asks a question"),
    ("plugin install kaggle", "asks a question"),
    ("plugin install --locked", "asks a question"),
    ("kaggle", "needs a Kaggle account"),
    ("local-gpu", "needs a GPU"),
    ("nvcr.io", "downloads an image of gigabytes"),
    ("system_packages", "downloads from Debian's archive"),
    ("--as-of", "needs a package index that tells when files appeared"),
    ("my-driver", "is a driver that the reader has"),
    (".wasm", "is a driver that the reader builds"),
    ("venv", "builds a driver in Python"),
    ("clean --images", "asks a question"),
];

/// A script that leaves something of each kind.
const TRAIN: &str = r#"
import os, pathlib
print("loss is 0.5")
pathlib.Path("models").mkdir(exist_ok=True)
for path in ["models/a.pkl", "results.json", "/opt/ml/checkpoints/step.txt", os.environ["SM_OUTPUT_DATA_DIR"] + "/plot.txt"]:
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(path).write_text("x")
"#;

#[test]
fn the_commands_of_the_documentation_work() {
    let image = base_image_or_skip!();
    let mut used = BTreeSet::new();
    let mut failed = Vec::new();
    let mut count = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let name = shown(&page);
        let blocks: Vec<Block> =
            blocks(&text).into_iter().filter_map(|block| block.runnable(&mut used)).collect();
        if blocks.is_empty() {
            continue;
        }
        let reader = Reader::new(&image);
        for block in blocks {
            reader.prepare(&name, &text, &block);
            count += 1;
            if let Err(why) = reader.run(&block) {
                failed.push(format!("{name}: {}\n{why}", block.commands.join("\n")));
            }
        }
    }
    assert!(failed.is_empty(), "{} of {count} blocks\n\n{}", failed.len(), failed.join("\n\n"));
    assert!(count > 30, "only {count} blocks");
    let stale: Vec<&str> =
        NOT_RUN.iter().map(|(part, _)| *part).filter(|part| !used.contains(part)).collect();
    assert!(stale.is_empty(), "no page needs {stale:?}");
}

/// A block of commands, and what a page shows as their output.
struct Block {
    commands: Vec<String>,
    output: Vec<String>,
}

impl Block {
    /// Without the commands that are not run; `None` if none is left.
    fn runnable(mut self, used: &mut BTreeSet<&'static str>) -> Option<Self> {
        let all = self.commands.len();
        self.commands.retain(|command| {
            let reason = NOT_RUN.iter().find(|(part, _)| command.contains(part));
            used.extend(reason.map(|(part, _)| *part));
            reason.is_none()
        });
        if self.commands.len() < all {
            self.output.clear();
        }
        (!self.commands.is_empty()).then_some(self)
    }

    fn names(&self, part: &str) -> bool {
        self.commands.iter().any(|command| command.contains(part))
    }
}

/// The blocks of shell commands on a page.
fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let is_console = line.trim() == "```console";
        if !is_console && !["```sh", "```bash"].contains(&line.trim()) {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let inside: Vec<&str> = lines
            .by_ref()
            .take_while(|line| line.trim() != "```")
            .map(|line| line.get(indent..).unwrap_or_default())
            .collect();
        let joined = inside.join("\n").replace("\\\n", "");
        let is_command = |line: &&str| match is_console {
            true => line.starts_with("$ "),
            // A line of options continues a command that the reader has.
            false => !line.is_empty() && !line.starts_with("--") && !line.starts_with('#'),
        };
        let (commands, output): (Vec<&str>, Vec<&str>) = joined.lines().partition(is_command);
        let shown = output.into_iter().filter(|line| is_console && *line != "...");
        found.push(Block {
            commands: commands.iter().map(|line| line.trim_start_matches("$ ").to_owned()).collect(),
            output: shown.map(str::to_owned).collect(),
        });
    }
    found
}

/// A person who follows a page.
struct Reader {
    sandbox: Sandbox,
}

impl Reader {
    fn new(image: &str) -> Self {
        let mut sandbox = Sandbox::new();
        let defaults = format!("[build.local]\nbase_image = \"{image}\"\n");
        sandbox.write_home(".config/alekseylearn/alekseylearn.toml", &defaults);
        sandbox.write_home("projects/iris/train.py", "");
        // Editing changes nothing.
        sandbox.set("EDITOR", "true").set("WANDB_API_KEY", "a-secret-of-the-test");
        Self { sandbox }
    }

    /// Makes the folder that the page speaks of anew, and the jobs that the block needs.
    fn prepare(&self, page: &str, text: &str, block: &Block) {
        let _ = fs::remove_dir_all(self.sandbox.path("my-project"));
        let write =
            |path: &str, content: &str| drop(self.sandbox.write(&format!("my-project/{path}"), content));
        match page {
            "docs/tutorial/first-run.md" => {
                let (_, script) = text.split_once("```python\n").expect("the page has a script");
                return write("train.py", script.split_once("```").expect("a block ends").0);
            }
            "docs/reference/exit-codes.md" => return write("train.py", "raise SystemExit(3)"),
            _ => {}
        }
        for path in
            ["train.py", "src/train.py", "models/train.py", "models/second/train.py", "mypackage/train.py"]
        {
            write(path, TRAIN);
        }
        write("services/train/main.py", TRAIN);
        write("pyproject.toml", PYPROJECT);
        write("mypackage/__init__.py", "");
        write("mypackage/cli.py", "def main():\n    print('trained')\n");
        write("scripts/train.sh", "echo trained\n");
        write("models/first/alekseylearn/Dockerfile", "FROM scratch\n");
        write("explore.ipynb", NOTEBOOK);
        write("data/one.csv", "1,2\n");
        write("data.csv", "1,2\n");
        let example = self.sandbox.project("examples/digits");
        let place = self.sandbox.path("my-project/examples/digits");
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::rename(example, place).unwrap();

        let jobs = self.sandbox.run(&["jobs", "--json"]).success().stdout;
        for (tag, artifact) in [
            ("src/train", "src/train.py"),
            ("my-project/train", "train.py"),
            ("my-project/explore", "explore.ipynb"),
        ] {
            let is_needed = block.commands.iter().any(|command| {
                let words: Vec<&str> = command.split_whitespace().collect();
                words.contains(&tag) || (tag == "my-project/train" && words.contains(&"JOB"))
            });
            if is_needed && !jobs.contains(&format!("\"{tag}\"")) {
                self.sandbox.run_in("my-project", &["fit", artifact]).success();
            }
        }
    }

    fn run(&self, block: &Block) -> Result<(), String> {
        let job = match block.names("JOB") {
            true => self.sandbox.newest_job()["name"].as_str().unwrap().to_owned(),
            false => String::new(),
        };
        let commands = block.commands.join("\n").replace("JOB", &job);
        let start = if block.names("cd my-project") { "." } else { "my-project" };
        // A page that shows output may show a failure.
        let strict = if block.output.is_empty() { "set -eo pipefail" } else { "" };
        let script = format!("exec 2>&1; cd {start}; {strict}\n{commands}\n");
        let run = self.sandbox.run_other(Path::new("bash"), &["-c", &script]);
        if block.output.is_empty() && run.code != Some(0) {
            return Err(format!("exit code {:?}\n{}", run.code, run.stdout));
        }
        let home = self.sandbox.path("");
        let home = home.to_str().unwrap().trim_end_matches('/');
        let written: Vec<String> = run.stdout.replace(home, "/home/ada").lines().map(masked).collect();
        let mut rest = written.iter();
        for line in &block.output {
            if !rest.any(|written| *written == masked(line)) {
                return Err(format!("no line `{line}` in\n{}", run.stdout));
            }
        }
        Ok(())
    }
}

/// A line without what differs from run to run: figures, times and hashes.
fn masked(line: &str) -> String {
    let words = line.split_whitespace().map(|word| {
        let parts = word.split_inclusive(|c: char| !c.is_ascii_digit() && !('a'..='f').contains(&c));
        let mask = |part: &str| {
            let digits = part.trim_end_matches(|c: char| !c.is_ascii_digit() && !('a'..='f').contains(&c));
            match digits.contains(|c: char| c.is_ascii_digit()) {
                true => format!("#{}", &part[digits.len()..]),
                false => part.to_owned(),
            }
        };
        parts.map(mask).collect::<String>()
    });
    words.collect::<Vec<_>>().join(" ")
}

const PYPROJECT: &str = r#"
[project]
name = "mypackage"
version = "0.1.0"

[project.scripts]
train-model = "mypackage.cli:main"

[project.optional-dependencies]
gpu = []

[dependency-groups]
train = []
"#;

const NOTEBOOK: &str = r#"{
  "cells": [
    {"cell_type": "code", "id": "a", "metadata": {"tags": ["parameters"]}, "execution_count": null, "outputs": [],
     "source": "epochs = 1\nlayers = []"},
    {"cell_type": "code", "id": "b", "metadata": {}, "execution_count": null, "outputs": [],
     "source": "print(epochs, layers)"}
  ],
  "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
  "nbformat": 4,
  "nbformat_minor": 5
}"#;

#[test]
fn blocks_are_read_as_a_person_reads_them() {
    let page = "```console\n$ one \\\n   --two\n...\nsaid 1\n$ three\n```\n\n   ```sh\n   four   # five\n   --six\n   ```\n```text\nseven\n```\n";
    let found = blocks(page);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].commands, ["one    --two", "three"]);
    assert_eq!(found[0].output, ["said 1"]);
    assert_eq!(found[1].commands, ["four   # five"]);
    assert_eq!(
        masked("job a-20261201-101500-f25d3a1c took  1.5 s"),
        masked("job a-20261202-111501-00ffaa11 took 12.25 s")
    );
    assert_ne!(masked("2 files"), masked("2 models"));
}
