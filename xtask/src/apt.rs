//! Debian packages without root: downloaded with a separate apt state, verified by apt, and unpacked but not installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};

use crate::process::{run, say, succeeds, text};
use crate::workspace;

/// The keys of Debian's archive. Every Debian has this file, and Ubuntu has a package of the same name.
const DEBIAN_KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// How long package lists count as current.
const LISTS_STAY_FRESH: Duration = Duration::from_secs(12 * 60 * 60);

/// A separate apt state: its own lists and archives, with the system's keys, mirrors and proxies.
pub struct Apt {
    state: PathBuf,
    options: Vec<String>,
}

impl Apt {
    /// The sources of this machine.
    pub fn of_this_machine() -> Result<Apt> {
        Apt::with_state("machine", None)
    }

    /// Other suites of Debian, from the mirror that this machine uses.
    pub fn of_debian(suites: &[&str]) -> Result<Apt> {
        ensure!(
            Path::new(DEBIAN_KEYRING).exists(),
            "{DEBIAN_KEYRING} is missing: install debian-archive-keyring"
        );
        let machine = Apt::of_this_machine()?;
        let mut targets = machine.command("apt-get");
        targets.args(["indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)"]);
        let targets = text(&mut targets)?;
        let mirror = debian_mirror(&targets).context("apt lists no mirror of Debian: this needs Debian")?;
        let line =
            |suite| format!("deb [signed-by={DEBIAN_KEYRING} target=Packages] {mirror} {suite} main\n");
        Apt::with_state(&suites.join("+"), Some(suites.iter().map(line).collect()))
    }

    fn with_state(name: &str, sources: Option<String>) -> Result<Apt> {
        ensure!(
            succeeds(Command::new("apt-get").arg("--version"), Duration::from_secs(5)),
            "apt-get and dpkg-deb are missing: this needs Debian or Ubuntu"
        );
        let state = workspace::cache()?.join("apt").join(name);
        for folder in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(state.join(folder))?;
        }
        // An empty status, so that this machine's packages neither satisfy nor block what is requested.
        fs::write(state.join("status"), "")?;
        let mut options = vec![
            format!("-oDir::State={}", state.display()),
            format!("-oDir::State::Lists={}", state.join("lists").display()),
            format!("-oDir::State::status={}", state.join("status").display()),
            format!("-oDir::Cache={}", state.join("cache").display()),
            // As root, apt would switch to a user who cannot read this folder.
            "-oAPT::Sandbox::User=root".to_owned(),
            "-oAcquire::Languages=none".to_owned(),
            "-oAcquire::Retries=2".to_owned(),
        ];
        if let Some(sources) = sources {
            let list = state.join("sources.list");
            fs::write(&list, sources)?;
            options.push(format!("-oDir::Etc::SourceList={}", list.display()));
            options.push("-oDir::Etc::SourceParts=/dev/null".to_owned());
        }
        let apt = Apt { state, options };
        apt.update()?;
        Ok(apt)
    }

    fn update(&self) -> Result<()> {
        let stamp = self.state.join("updated");
        let age = stamp
            .metadata()
            .and_then(|stamp| stamp.modified())
            .map(|then| SystemTime::now().duration_since(then));
        if matches!(age, Ok(Ok(age)) if age < LISTS_STAY_FRESH) {
            return Ok(());
        }
        say(format_args!("reading package lists into {}", self.state.display()));
        run(self.command("apt-get").args(["-qq", "update", "-oAPT::Update::Error-Mode=any"]))?;
        Ok(fs::write(stamp, "")?)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(&self.options).env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// The versions of a package, newest first.
    pub fn versions(&self, package: &str) -> Result<Vec<String>> {
        let table = text(self.command("apt-cache").args(["madison", package]))?;
        Ok(table.lines().filter_map(|row| Some(row.split('|').nth(1)?.trim().to_owned())).collect())
    }

    /// Unpacks packages (`NAME` or `NAME=VERSION`) without their dependencies.
    pub fn unpack(&self, packages: &[&str], into: &Path) -> Result<()> {
        let archives = into.with_extension("debs");
        fs::create_dir_all(&archives)?;
        run(self.command("apt-get").args(["-qq", "download"]).args(packages).current_dir(&archives))?;
        unpack(&debs_in(&archives)?, into)?;
        Ok(fs::remove_dir_all(&archives)?)
    }

    /// Unpacks packages with all their dependencies, as if nothing were installed.
    pub fn unpack_with_dependencies(&self, packages: &[&str], into: &Path) -> Result<usize> {
        let archives = self.state.join("cache/archives");
        run(self.command("apt-get").arg("clean"))?;
        let wanted = ["-qq", "-y", "--download-only", "--no-install-recommends", "install"];
        run(self.command("apt-get").args(wanted).args(packages).stderr(std::process::Stdio::null()))?;
        let debs = debs_in(&archives)?;
        unpack(&debs, into)?;
        run(self.command("apt-get").arg("clean"))?;
        Ok(debs.len())
    }
}

/// `--keep-directory-symlink`: a root may have `/bin` as a link to `/usr/bin`, as Debian's have.
fn unpack(debs: &[PathBuf], into: &Path) -> Result<()> {
    fs::create_dir_all(into)?;
    let script =
        r#"for deb; do dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink || exit 1; done"#;
    run(Command::new("bash").args(["-o", "pipefail", "-c", script, "unpack"]).args(debs).current_dir(into))
}

fn debs_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut debs = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            debs.push(path);
        }
    }
    ensure!(!debs.is_empty(), "apt-get left no package in {}", folder.display());
    debs.sort();
    Ok(debs)
}

fn debian_mirror(targets: &str) -> Option<&str> {
    targets.lines().find_map(|line| line.strip_prefix("Debian|Debian|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_that_of_debian_itself() {
        let targets = "Other|Other|http://a/\nDebian|Debian-Security|http://b/\nDebian|Debian|http://c/";
        assert_eq!(debian_mirror(targets), Some("http://c/"));
        assert_eq!(debian_mirror("Ubuntu|Ubuntu|http://d/"), None);
    }
}
