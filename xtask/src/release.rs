//! `release VERSION --dry-run`: makes and checks everything that a release consists of, in `target/release-VERSION`, and
//! publishes nothing. `.github/workflows/release.yml` publishes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::install::Crate;
use crate::process::{run, say, text};
use crate::workspace::{cargo, lock, remove, root};
use crate::{crates, deny, dist, plugins, wheel};

const CYCLONEDX: Crate = Crate { name: "cargo-cyclonedx", version: "0.5.9", features: &[] };
const ABOUT: Crate = Crate { name: "cargo-about", version: "0.9.3", features: &["cli"] };

const USAGE: &str = "usage: cargo xtask release VERSION --dry-run [--wheel] [--program FILE]";

struct Arguments<'a> {
    version: &'a str,
    /// Also make the wheel.
    wheel: bool,
    /// The program to pack, if it is built already.
    program: Option<PathBuf>,
}

impl<'a> Arguments<'a> {
    fn parse(words: &[&'a str]) -> Result<Self> {
        let (mut version, mut wheel, mut program, mut dry_run) = (None, false, None, false);
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--dry-run" => dry_run = true,
                "--wheel" => wheel = true,
                "--program" => program = Some(PathBuf::from(words.next().context(USAGE)?)),
                word if version.is_none() && !word.starts_with('-') => version = Some(word),
                _ => bail!(USAGE),
            }
        }
        ensure!(dry_run, "only --dry-run is supported: the workflow release.yml publishes; {USAGE}");
        Ok(Self { version: version.context(USAGE)?, wheel, program })
    }
}

pub fn run_chore(words: &[&str]) -> Result<()> {
    let arguments = Arguments::parse(words)?;
    let _lock = lock("dist")?;
    let version = arguments.version;
    check_tree(&text(Command::new("git").args(["status", "--porcelain"]).current_dir(root()))?)?;
    check_versions(version)?;
    let changes = fs::read_to_string(root().join("CHANGELOG.md"))?;
    ensure!(
        !section(&changes, version).context("CHANGELOG.md has no section for it")?.is_empty(),
        "the section [{version}] of CHANGELOG.md is empty"
    );
    say("the tree is clean, the versions agree, and the changelog has a section");

    let folder = root().join(format!("target/release-{version}"));
    remove(&folder)?;
    fs::create_dir_all(&folder)?;
    plugins::build()?;
    deny::run_chore()?;
    crates::package(&folder)?;
    let notices = notices(&folder)?;
    let bill = bill_of_materials(&folder)?;
    let program = match arguments.program {
        Some(program) => program,
        None => dist::make()?,
    };
    let built = dist::version(&program)?;
    ensure!(built == version, "{} is version {built}", program.display());
    dist::archive(&program, &dist::host()?, &[notices, bill], &folder)?;
    if arguments.wheel {
        let wheel = wheel::make()?;
        fs::copy(&wheel, folder.join(wheel.file_name().unwrap_or_default()))?;
    }
    checksums(&folder)?;
    println!("{}", folder.display());
    Ok(())
}

fn check_tree(status: &str) -> Result<()> {
    ensure!(status.trim().is_empty(), "the tree is not clean; commit or remove:\n{status}");
    Ok(())
}

/// Each package of the workspace has the version, and so have the wheel and the image of it in the lock file.
fn check_versions(version: &str) -> Result<()> {
    let packages = packages()?;
    let others: Vec<String> = packages
        .iter()
        .filter(|package| package["version"] != version)
        .map(|package| format!("{} {}", package["name"], package["version"]))
        .collect();
    ensure!(others.is_empty(), "these have another version than {version}: {}", others.join(", "));
    Ok(())
}

/// The packages of the workspace, as cargo describes them.
fn packages() -> Result<Vec<Value>> {
    let metadata = text(&mut cargo(&["metadata", "--locked", "--no-deps", "--format-version", "1"])?)?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    Ok(metadata["packages"].as_array().context("cargo lists the packages")?.clone())
}

/// The text of a version's section in the changelog.
fn section<'a>(changes: &'a str, version: &str) -> Option<&'a str> {
    let (_, rest) = changes.split_once(&format!("\n## [{version}]"))?;
    let (_, rest) = rest.split_once('\n')?;
    Some(rest.split_once("\n## ").map_or(rest, |(section, _)| section).trim())
}

/// The licences of everything in the program.
fn notices(folder: &Path) -> Result<PathBuf> {
    let place = folder.join("THIRD-PARTY.html");
    let mut about = Command::new(ABOUT.ensure()?);
    about.args(["generate", "--locked", "--fail", "--config", "xtask/about.toml"]);
    about.args(["--manifest-path", "host/Cargo.toml", "--output-file"]).arg(&place).arg("xtask/about.hbs");
    run(about.current_dir(root())).context("cannot collect the licences")?;
    Ok(place)
}

/// The software bill of materials, as CycloneDX.
fn bill_of_materials(folder: &Path) -> Result<PathBuf> {
    const NAME: &str = "alekseylearn.cdx";
    let mut cyclonedx = Command::new(CYCLONEDX.ensure()?);
    cyclonedx.args(["cyclonedx", "--manifest-path", "host/Cargo.toml", "--format", "json"]);
    cyclonedx.args(["--no-build-deps", "--override-filename", NAME]);
    run(cyclonedx.current_dir(root())).context("cannot make the bill of materials")?;
    // It is written beside the manifest of each member of the workspace.
    let file = format!("{NAME}.json");
    let place = folder.join(&file);
    fs::copy(root().join("host").join(&file), &place)?;
    for package in packages()? {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        fs::remove_file(manifest.with_file_name(&file))?;
    }
    let bill: Value = serde_json::from_str(&fs::read_to_string(&place)?)?;
    let count = bill["components"].as_array().map_or(0, Vec::len);
    ensure!(count > 100, "the bill of materials has only {count} components");
    say(format_args!("{count} components in the bill of materials"));
    Ok(place)
}

/// Writes SHA256SUMS for all files in the folder, in the form that `sha256sum --check` reads.
pub fn checksums(folder: &Path) -> Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name());
    }
    names.sort();
    let mut sums = match cfg!(target_os = "macos") {
        true => Command::new("shasum"),
        false => Command::new("sha256sum"),
    };
    if cfg!(target_os = "macos") {
        sums.args(["-a", "256"]);
    }
    let sums = text(sums.args(names).current_dir(folder))?;
    Ok(fs::write(folder.join("SHA256SUMS"), sums.trim_end().to_owned() + "\n")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_of_a_version_ends_before_the_next() {
        let changes =
            "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2027-01-01\n\n- new\n\n## [0.1.0]\n\n- old\n";
        assert_eq!(section(changes, "0.2.0"), Some("- new"));
        assert_eq!(section(changes, "0.1.0"), Some("- old"));
        assert_eq!(section(changes, "0.3.0"), None);
        assert_eq!(section("\n## [1.0.0]\n\n## [0.9.0]\n\n- x\n", "1.0.0"), Some(""));
    }

    #[test]
    fn a_release_is_asked_for_in_full() {
        let arguments = Arguments::parse(&["0.1.0", "--dry-run", "--wheel", "--program", "p"]).unwrap();
        assert_eq!(
            (arguments.version, arguments.wheel, arguments.program),
            ("0.1.0", true, Some("p".into()))
        );
        for words in [
            &["0.1.0"][..],
            &["--dry-run"],
            &["0.1.0", "--dry-run", "--program"],
            &["0.1.0", "--dry-run", "x"],
        ] {
            assert!(Arguments::parse(words).is_err(), "{words:?}");
        }
        assert!(check_tree("").is_ok() && check_tree(" M host/src/lib.rs\n").is_err());
    }

    #[test]
    fn checksums_are_those_of_sha256sum() {
        let folder = std::env::temp_dir().join(format!("xtask-sums-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("a"), "").unwrap();
        checksums(&folder).unwrap();
        let sums = fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
        assert_eq!(sums, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a\n");
        fs::remove_dir_all(&folder).unwrap();
    }
}
