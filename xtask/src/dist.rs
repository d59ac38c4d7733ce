//! `dist`: builds the program to distribute, one file with all drivers inside, and an archive of it with its licences,
//! man pages and completions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::plugins;
use crate::process::{run, say, text};
use crate::workspace::{Scratch, cargo, lock, root, target};

/// Where the shells look for completions, below the archive's folder `completions`.
const COMPLETIONS: [(&str, &str); 3] =
    [("bash", "alekseylearn.bash"), ("zsh", "_alekseylearn"), ("fish", "alekseylearn.fish")];

/// The pages of the repository in an archive.
const PAGES: [&str; 5] = ["README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE-APACHE", "LICENSE-MIT"];

const USAGE: &str = "usage: cargo xtask dist [--program FILE [--target TARGET] [--with FILE]…]";

pub fn run_chore(words: &[&str]) -> Result<()> {
    let _lock = lock("dist")?;
    let (mut program, mut target, mut more) = (None, None, Vec::new());
    for pair in words.chunks(2) {
        match pair {
            ["--program", file] => program = Some(PathBuf::from(file)),
            ["--target", name] => target = Some((*name).to_owned()),
            ["--with", file] => more.push(PathBuf::from(file)),
            _ => bail!(USAGE),
        }
    }
    let program = match program {
        Some(program) => program,
        None => make()?,
    };
    let target = match target {
        Some(target) => target,
        None => host()?,
    };
    println!("{}", archive(&program, &target, &more, &root().join("target/dist"))?.display());
    Ok(())
}

/// Builds the program, and returns its path.
pub fn make() -> Result<PathBuf> {
    plugins::build()?;
    run(&mut cargo(&["build", "--profile", "dist", "--package", "alekseylearn"])?)?;
    let (built, place) = (target()?.join("dist/alekseylearn"), root().join("target/dist/alekseylearn"));
    if built != place {
        fs::create_dir_all(root().join("target/dist"))?;
        let unfinished = place.with_extension("new");
        fs::copy(&built, &unfinished)?;
        fs::rename(unfinished, &place)?;
    }
    say(format_args!("{:.1} MiB", place.metadata()?.len() as f64 / (1024.0 * 1024.0)));
    Ok(place)
}

/// Packs a program that runs here, and more files. Returns the archive, in a folder. The caller holds the lock.
pub fn archive(program: &Path, target: &str, more: &[PathBuf], folder: &Path) -> Result<PathBuf> {
    let scratch = Scratch::new("dist")?;
    let name = format!("alekseylearn-{}-{target}", version(program)?);
    let inside = scratch.path().join(&name);
    fs::create_dir_all(inside.join("man"))?;
    fs::create_dir_all(inside.join("completions"))?;
    fs::copy(program, inside.join("alekseylearn"))?;
    for page in PAGES.iter().map(|page| root().join(page)).chain(more.iter().cloned()) {
        let name = page.file_name().context("a file has a name")?;
        fs::copy(&page, inside.join(name)).with_context(|| format!("cannot copy {}", page.display()))?;
    }
    let pages = result(Command::new(program).args(["generate", "man", "--json"]))?;
    for (name, text) in pages["pages"].as_object().into_iter().flatten() {
        fs::write(inside.join("man").join(name), text.as_str().unwrap_or_default())?;
    }
    for (shell, file) in COMPLETIONS {
        let script = result(Command::new(program).args(["completions", shell, "--json"]))?;
        fs::write(inside.join("completions").join(file), script["script"].as_str().unwrap_or_default())?;
    }
    fs::create_dir_all(folder)?;
    let archive = folder.join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.args(["-c", "-z", "-f"]).arg(&archive).arg("-C").arg(scratch.path());
    if cfg!(target_os = "linux") {
        // The same input makes the same archive.
        tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"]);
    }
    run(tar.arg(&name))?;
    try_out(&archive, &name, scratch.path())?;
    Ok(archive)
}

/// Unpacks an archive as a person would, and runs what is in it.
fn try_out(archive: &Path, name: &str, scratch: &Path) -> Result<()> {
    let folder = scratch.join("unpacked");
    fs::create_dir(&folder)?;
    run(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(&folder))?;
    let inside = folder.join(name);
    version(&inside.join("alekseylearn"))?;
    for file in ["man/alekseylearn.1", "man/alekseylearn-fit.1", "completions/_alekseylearn"] {
        let written = fs::metadata(inside.join(file)).is_ok_and(|file| file.len() > 100);
        ensure!(written, "{} has no {file}", archive.display());
    }
    Ok(())
}

/// The version that a program prints.
pub fn version(program: &Path) -> Result<String> {
    let line = text(Command::new(program).arg("--version"))?;
    let (_, version) = line.trim().split_once(' ').context("a program prints its name and version")?;
    Ok(version.to_owned())
}

/// The target that rustc compiles for here.
pub fn host() -> Result<String> {
    let about = text(Command::new("rustc").arg("-vV").current_dir(root()))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names its host")?.to_owned())
}

/// The data of a command's result.
fn result(command: &mut Command) -> Result<Value> {
    let lines = text(command)?;
    let events = lines.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
    let result = events.into_iter().find(|event| event["event"] == "result");
    Ok(result.context("the command printed no result")?["data"].clone())
}
