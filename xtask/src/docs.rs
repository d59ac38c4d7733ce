//! `docs`: writes the parts of the reference that are made from the program. `book` renders all pages.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::install::Crate;
use crate::plugins;
use crate::process::run;
use crate::workspace::{Scratch, cargo, lock, root};

const MDBOOK: Crate = Crate { name: "mdbook", version: "0.5.4", features: &[] };

/// Runs `docs`. The comparison is a test, so that every test run includes it; this lets it write.
pub fn run_chore(arguments: &[&str]) -> Result<()> {
    let only_check = match arguments {
        [] => false,
        ["--check"] => true,
        _ => bail!("usage: cargo xtask docs [--check]"),
    };
    plugins::build()?;
    run(&mut cargo(&["build", "--workspace", "--bins", "--tests"])?)?;
    let mut test = cargo(&["test", "--workspace", "--test", "e2e", "--", "documentation_reference::"])?;
    if !only_check {
        test.env("UPDATE", "1");
    }
    run(&mut test)
}

/// The pages beside docs/ that belong to the book, and their titles in it.
const PAGES: [(&str, &str); 5] = [
    ("README.md", "Overview"),
    ("CHANGELOG.md", "Changelog"),
    ("SECURITY.md", "Security in detail"),
    ("CONTRIBUTING.md", "Contributing"),
    ("STYLE.md", "Style and glossary"),
];

/// Runs `book`. Its last line is the first page.
///
/// mdBook renders one folder, and pages link to others of the repository: so the folder is laid out like the repository.
pub fn book() -> Result<()> {
    let _lock = lock("book")?;
    let scratch = Scratch::new("book")?;
    let source = scratch.path().join("src");
    copy(&root().join("docs"), &source.join("docs"))?;
    let mut contents = String::new();
    for line in fs::read_to_string(root().join("docs/SUMMARY.md"))?.lines() {
        contents += &(line.replace("](", "](docs/") + "\n");
    }
    contents += "\n# The project\n\n";
    for (page, title) in PAGES {
        fs::copy(root().join(page), source.join(page)).with_context(|| format!("cannot copy {page}"))?;
        contents += &format!("- [{title}]({page})\n");
    }
    fs::write(source.join("SUMMARY.md"), contents)?;
    fs::copy(root().join("docs/book.toml"), scratch.path().join("book.toml"))?;
    let place = root().join("target/book");
    let mut mdbook = Command::new(MDBOOK.ensure()?);
    run(mdbook.arg("build").arg(scratch.path()).arg("--dest-dir").arg(&place))?;
    println!("{}", place.join("docs/index.html").display());
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let place = to.join(path.file_name().unwrap_or_default());
        match path.is_dir() {
            true => copy(&path, &place)?,
            false => drop(fs::copy(&path, &place)?),
        }
    }
    Ok(())
}
