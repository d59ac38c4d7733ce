//! `quickstart`: from a fresh clone to a trained model on this machine, with the shipped drivers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::dockerd::Engine;
use crate::process::{run, run_in_front, say};
use crate::workspace::{cargo, remove, root, target};
use crate::{base_image, plugins};

const EXAMPLE: &str = "examples/digits/train.py";

/// The folder of the model in the clone.
const MODEL: &str = "target/quickstart/digits";

pub fn run_chore() -> Result<()> {
    plugins::build()?;
    say("building the program (15 minutes the first time)");
    run(&mut cargo(&["build", "--package", "alekseylearn"])?)?;
    let _engine = Engine::ensure()?;
    let image = base_image::ensure()?;

    let folder = root().join(MODEL);
    remove(&folder)?;
    fs::create_dir_all(&folder)?;
    let mut fit = Command::new(target()?.join("debug/alekseylearn"));
    fit.current_dir(root()).args(["fit", EXAMPLE, &format!("--config.base_image={image}"), "--fetch", MODEL]);
    say(format_args!("alekseylearn fit {EXAMPLE} --config.base_image={image} --fetch {MODEL}"));
    let status = run_in_front(&mut fit)?;
    ensure!(status.success(), "alekseylearn fit: {status}");

    let model = model_in(&folder)?.with_context(|| format!("fit succeeded, but left no model in {MODEL}"))?;
    println!("model: {}", model.display());
    Ok(())
}

/// The model's file: the first non-empty file, by name, that is called `model.*`.
fn model_in(folder: &Path) -> Result<Option<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    for path in paths {
        let called_model = path.file_stem().is_some_and(|stem| stem == "model");
        if path.is_file() && called_model && path.metadata()?.len() > 0 {
            return Ok(Some(path));
        }
        if path.is_dir()
            && let Some(model) = model_in(&path)?
        {
            return Ok(Some(model));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_no_model() {
        let folder = std::env::temp_dir().join(format!("xtask-model-{}", std::process::id()));
        fs::create_dir_all(folder.join("job/model")).unwrap();
        fs::write(folder.join("model.joblib"), "").unwrap();
        fs::write(folder.join("job/log.txt"), "text").unwrap();
        assert_eq!(model_in(&folder).unwrap(), None);
        let model = folder.join("job/model/model.joblib");
        fs::write(&model, "weights").unwrap();
        assert_eq!(model_in(&folder).unwrap(), Some(model));
        fs::remove_dir_all(&folder).unwrap();
    }
}
