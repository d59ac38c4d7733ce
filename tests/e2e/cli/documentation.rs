//! Invariant: what the documentation names exists. Links lead to files and headings, the code and tests that it cites
//! are there, and the reference covers each command and exit code.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use alekseylearn_tests::workspace;

/// The first page is short.
const MAX_README_LINES: usize = 120;
/// A path of the repository in code style begins with one of these. Anything else in code style is not checked.
const ROOMS: [&str; 7] = ["examples/", "host/", "plugins/", "sdk/", "tests/", "wit/", "xtask/"];
/// Written by a measurement, with the paths of other repositories in it.
const MEASURED: [&str; 2] = ["docs/figures", "docs/wild.md"];
/// SECURITY.md cites code and tests for what it claims.
const MIN_CITATIONS: usize = 100;

#[test]
fn links_lead_to_files_and_headings() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
            let (path, heading) = match link.split_once('#') {
                Some((path, heading)) => (path, Some(heading)),
                None => (link.as_str(), None),
            };
            let target = match path {
                "" => page.clone(),
                path => page.parent().unwrap().join(path),
            };
            let is_there = match heading {
                Some(heading) => {
                    fs::read_to_string(&target).is_ok_and(|text| headings(&text).contains(heading))
                }
                None => target.exists(),
            };
            if !is_there {
                broken.push(format!("{}: {link}", shown(&page)));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn code_and_tests_that_are_cited_exist() {
    let mut missing = Vec::new();
    let mut of_security = 0;
    for page in pages() {
        let name = shown(&page);
        if MEASURED.iter().any(|measured| name.starts_with(measured)) {
            continue;
        }
        for cited in code(&fs::read_to_string(&page).unwrap()) {
            if !ROOMS.iter().any(|room| cited.starts_with(room)) {
                continue;
            }
            of_security += usize::from(name == "SECURITY.md");
            if !is_there(&cited) {
                missing.push(format!("{name}: {cited}"));
            }
        }
    }
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
    assert!(of_security >= MIN_CITATIONS, "SECURITY.md cites only {of_security} places");
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let docs = workspace().join("docs");
    let listed: BTreeSet<PathBuf> = links(&fs::read_to_string(docs.join("SUMMARY.md")).unwrap())
        .iter()
        .map(|link| docs.join(link))
        .collect();
    let left_out: Vec<String> = pages()
        .into_iter()
        .filter(|page| page.starts_with(&docs) && !page.starts_with(docs.join("figures")))
        .filter(|page| !page.ends_with("SUMMARY.md") && !listed.contains(page))
        .map(|page| shown(&page))
        .collect();
    assert!(left_out.is_empty(), "{left_out:?}");
}

#[test]
fn the_first_page_is_short() {
    let lines = fs::read_to_string(workspace().join("README.md")).unwrap().lines().count();
    assert!(lines <= MAX_README_LINES, "README.md has {lines} lines");
}

#[test]
fn the_reference_covers_each_command_and_exit_code() {
    let help = fs::read_to_string(workspace().join("tests/e2e/cli/help.txt")).unwrap();
    let commands = fs::read_to_string(workspace().join("docs/reference/commands.md")).unwrap();
    let commands = headings(&commands);
    let of_help =
        |line: &str| Some(line.strip_prefix("$ alekseylearn ")?.strip_suffix(" --help")?.to_owned());
    let named: Vec<String> = help.lines().filter_map(of_help).collect();
    assert!(named.len() > 20, "{named:?}");
    let left_out: Vec<&String> =
        named.iter().filter(|name| !commands.contains(&name.replace(' ', "-"))).collect();
    assert!(left_out.is_empty(), "{left_out:?}");

    let codes = fs::read_to_string(workspace().join("docs/reference/exit-codes.md")).unwrap();
    let of_program = help.lines().skip_while(|line| *line != "Exit codes:").skip(1);
    for line in of_program.take_while(|line| !line.is_empty()) {
        let code = line.split_whitespace().next().unwrap();
        assert!(codes.contains(&format!("\n| {code} |")), "{line}");
    }
}

/// All that is written for people: the pages at the top, and the book.
pub fn pages() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = ["README.md", "SECURITY.md", "STYLE.md", "CONTRIBUTING.md", "CHANGELOG.md"]
        .iter()
        .map(|name| workspace().join(name))
        .collect();
    collect(&workspace().join("docs"), &mut found);
    found
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// A page's path in the repository.
pub fn shown(page: &Path) -> String {
    page.strip_prefix(workspace()).unwrap().display().to_string()
}

/// The lines of a page outside of its blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_block = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_block ^= is_fence;
        !in_block && !is_fence
    })
}

/// The targets of a page's links.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(text) {
        // Every second part between backticks is code.
        let line: String = line.split('`').step_by(2).collect();
        for part in line.split("](").skip(1) {
            found.extend(part.split_once(')').map(|(target, _)| target.to_owned()));
        }
    }
    found
}

/// What a page shows as code in its sentences and tables.
fn code(text: &str) -> Vec<String> {
    let spans = |line: &str| line.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    prose(text).flat_map(spans).collect()
}

/// The names by which a page's headings are linked to.
fn headings(text: &str) -> BTreeSet<String> {
    let name = |heading: &str| -> String {
        let kept = |c: char| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            c => c.is_alphanumeric().then_some(c),
        };
        heading.to_lowercase().chars().filter_map(kept).collect()
    };
    let lines = prose(text).filter(|line| line.starts_with('#'));
    lines.map(|line| name(line.trim_start_matches('#').trim())).collect()
}

/// `PATH` is a file or folder of the repository; `PATH::NAME` is a function in that file.
fn is_there(cited: &str) -> bool {
    let (path, function) = match cited.split_once("::") {
        Some((path, function)) => (path, Some(function)),
        None => (cited, None),
    };
    let path = workspace().join(path);
    match function {
        Some(function) => {
            let definition = format!("fn {function}(");
            fs::read_to_string(path).is_ok_and(|text| text.contains(&definition))
        }
        None => path.exists(),
    }
}
