//! `workflows`: checks the files in `.github`. Only GitHub can run them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process::run;
use crate::tools;
use crate::workspace::root;

const REQUIREMENTS: &str = "xtask/workflows.txt";

pub fn run_chore() -> Result<()> {
    let python = tools::python(&[REQUIREMENTS], None)?;
    let (workflows, templates) = (root().join(".github/workflows"), root().join(".github/ISSUE_TEMPLATE"));
    let (settings, forms): (Vec<PathBuf>, Vec<PathBuf>) =
        files(&templates)?.into_iter().partition(|file| file.ends_with("config.yml"));
    for (schema, files) in [
        ("vendor.github-workflows", files(&workflows)?),
        ("vendor.github-issue-forms", forms),
        ("vendor.github-issue-config", settings),
    ] {
        let mut check = Command::new(python.with_file_name("check-jsonschema"));
        run(check.args(["--builtin-schema", schema]).args(files))
            .context("a file of GitHub's is not valid")?;
    }
    let mut zizmor = Command::new(python.with_file_name("zizmor"));
    run(zizmor.args(["--offline", "--quiet"]).arg(workflows)).context("a workflow is not safe")
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        files.push(entry?.path());
    }
    files.retain(|file| file.extension() == Some(OsStr::new("yml")));
    files.sort();
    ensure!(!files.is_empty(), "{} has no files", folder.display());
    Ok(files)
}
