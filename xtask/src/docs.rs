//! `docs`: writes the parts of the reference that are made from the program. `book` renders all pages.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

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

const README: &str = "README.md";

/// The pages beside docs/ that belong to the book, and their titles in it.
const PAGES: [(&str, &str); 5] = [
    (README, "Overview"),
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
    for file in sorted(&root().join("docs/figures"))? {
        let day = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        contents += &format!("- [Figures of {day}](docs/figures/{day}.md)\n");
    }
    contents += "- [All pages](docs/SUMMARY.md)\n\n# The project\n\n";
    for (page, title) in PAGES {
        fs::copy(root().join(page), source.join(page)).with_context(|| format!("cannot copy {page}"))?;
        contents += &format!("- [{title}]({page})\n");
    }
    fs::write(source.join("SUMMARY.md"), contents)?;
    fs::copy(root().join("docs/book.toml"), scratch.path().join("book.toml"))?;
    let place = root().join("target/book");
    let mut mdbook = Command::new(MDBOOK.ensure()?);
    run(mdbook.arg("build").arg(scratch.path()).arg("--dest-dir").arg(&place))?;
    // mdBook calls this page `index`, and does not change the links to it.
    fs::copy(place.join("index.html"), place.join(README).with_extension("html"))?;
    let mut broken = Vec::new();
    find_broken(&place, &mut broken)?;
    ensure!(broken.is_empty(), "links that lead nowhere: {}", broken.join(", "));
    println!("{}", place.join("docs/index.html").display());
    Ok(())
}

/// Collects the links to pages that are not in the book.
fn find_broken(folder: &Path, broken: &mut Vec<String>) -> Result<()> {
    for path in sorted(folder)? {
        if path.is_dir() {
            find_broken(&path, broken)?;
        } else if path.extension() == Some(OsStr::new("html")) {
            let page = fs::read_to_string(&path)?;
            let links = page.split("href=\"").skip(1).filter_map(|rest| rest.split(['"', '#']).next());
            let is_missing = |link: &&str| {
                link.ends_with(".html") && !link.contains("://") && !folder.join(link).is_file()
            };
            broken.extend(links.filter(is_missing).map(|link| format!("{}: {link}", path.display())));
        }
    }
    Ok(())
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for path in sorted(from)? {
        let place = to.join(path.file_name().unwrap_or_default());
        match path.is_dir() {
            true => copy(&path, &place)?,
            false => drop(fs::copy(&path, &place)?),
        }
    }
    Ok(())
}
