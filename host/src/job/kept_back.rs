//! Records which files of a project were not sent, beside the job's folder. A script that needs such a file fails on
//! another machine, perhaps days later; the record explains why.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::Record;
use crate::{
    disk,
    error::{Context as _, Result},
    project::{Left, Project, Reason},
    shell,
    ui::{Ui, bytes},
};

/// Extension of the file beside the job's folder, where no plugin can write.
pub(super) const EXTENSION: &str = "left";
/// Maximum size of that file in bytes: a larger one was not written here.
const MAX_SIZE: u64 = 16 << 20;
/// Folder of the code in every image.
const CODE: &str = "/opt/alekseylearn/code";

/// Reports which files of a project are not sent, and which are sent without their passwords.
pub(super) fn tell(ui: &Ui, project: &Project) {
    if let Some(line) = line(&project.left) {
        ui.stage(&line);
    }
    for (reason, left) in &project.left {
        let named = named(left);
        match reason {
            Reason::LeadsOut => ui.warning(&format!(
                "not sent: {named}: links out of the project are not followed; pass the target as an input \
                 (`--config.input.NAME=FOLDER`), or copy it into the project"
            )),
            Reason::Login => ui.warning(&format!(
                "not sent: {named}: cannot remove a password from a URL; save the file as UTF-8"
            )),
            Reason::Holds(what) => ui.warning(&format!(
                "not sent: {named}: found {what}; to send it anyway, add the line `!NAME` to the ignore file"
            )),
            _ => ui.detail(&format!("{named}: not sent because of {reason}")),
        }
    }
    let cleaned = project.files.iter().filter(|file| file.cleaned.is_some()).map(|file| file.path.as_str());
    let cleaned: Vec<&str> = cleaned.collect();
    if !cleaned.is_empty() {
        ui.stage(&format!("Removed passwords from URLs before sending: {}", cleaned.join(", ")));
    }
    for path in &project.passwords_in_code {
        ui.warning(&format!(
            "{path} contains a password and is sent unchanged; read the password from an environment variable instead"
        ));
    }
}

/// The first few paths, and how many more there are.
fn named(left: &Left) -> String {
    const EXAMPLES: usize = 3;
    let examples = left.paths.iter().take(EXAMPLES).map(String::as_str).collect::<Vec<_>>().join(", ");
    match left.count.saturating_sub(EXAMPLES) {
        0 => examples,
        more => format!("{examples} and {more} more"),
    }
}

/// One line about the files that ignore files and the list of secrets exclude; `None` if there are none.
fn line(left: &BTreeMap<Reason, Left>) -> Option<String> {
    let mut by_file: BTreeMap<&str, Left> = BTreeMap::new();
    let mut secrets = Left::default();
    for (reason, left) in left {
        let sum = match reason {
            Reason::Ignored { file, .. } => by_file.entry(file).or_default(),
            Reason::Secret(_) => &mut secrets,
            _ => continue,
        };
        sum.count += left.count;
        sum.files += left.files;
        sum.size += left.size;
        sum.more |= left.more;
        sum.paths.extend(left.paths.iter().cloned());
        let larger = left.largest.iter().chain(&sum.largest).max_by_key(|(_, size)| *size).cloned();
        sum.largest = larger;
    }
    let ignored = by_file.iter().filter(|(_, sum)| sum.files > 0).map(|(file, sum)| {
        let files = if sum.files == 1 { "file" } else { "files" };
        let least = if sum.more { "more than " } else { "" };
        let largest = match &sum.largest {
            Some((path, size)) if sum.files > 1 => format!(", largest {path} ({})", bytes(*size)),
            Some((path, _)) => format!(", {path}"),
            None => String::new(),
        };
        format!("{least}{} {files} ({}) by {file}{largest}", sum.files, bytes(sum.size))
    });
    let mut parts: Vec<String> = ignored.collect();
    let send = if parts.is_empty() { "" } else { "; to send them, use --include PATTERN" };
    if secrets.count > 0 {
        parts.push(format!("{} by the list of secrets", named(&secrets)));
    }
    (!parts.is_empty()).then(|| format!("Not sent: {}{send}", parts.join("; ")))
}

/// The files that were not sent.
#[derive(Debug, Default, Serialize, Deserialize)]
struct KeptBack {
    /// The run's working folder, relative to the project root.
    workdir: String,
    rules: Vec<Rule>,
}

/// The files that one rule excluded.
#[derive(Debug, Serialize, Deserialize)]
struct Rule {
    /// The rule's name in messages.
    rule: String,
    way_out: WayOut,
    /// Paths relative to the project root; folders end with `/`.
    paths: Vec<String>,
}

impl Rule {
    /// The ignore file that the rule is from, if it is from one.
    fn ignore_file(&self) -> Option<&str> {
        self.rule.split_once(" (").map(|(file, _)| file).filter(|file| file.ends_with("ignore"))
    }
}

/// How to send the files in the next run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WayOut {
    Include,
    Input,
    Copy,
}

/// Records the files of a project that were not sent, if there are any.
///
/// # Errors
/// The disk is full.
pub(super) fn keep(record: &Record, job: &str, project: &Project) -> Result<()> {
    let rules = project.left.iter().map(|(reason, left)| Rule {
        rule: reason.to_string(),
        way_out: match reason {
            Reason::LeadsOut => WayOut::Input,
            Reason::LeadsNowhere | Reason::NoFile => WayOut::Copy,
            _ => WayOut::Include,
        },
        paths: left.paths.clone(),
    });
    let kept = KeptBack { workdir: project.workdir.clone(), rules: rules.collect() };
    if kept.rules.is_empty() {
        return Ok(());
    }
    let place = record.place(job).with_extension(EXTENSION);
    disk::write(&place, disk::PRIVATE, |file| Ok(serde_json::to_writer(file, &kept)?))
        .context(|| format!("cannot write {}", place.display()))
}

/// Copies the record of the job whose image is used again.
///
/// # Errors
/// The disk is full.
pub(super) fn copy(record: &Record, from: &str, to: &str) -> Result<()> {
    let [from, to] = [from, to].map(|job| record.place(job).with_extension(EXTENSION));
    let Ok(bytes) = disk::read(&from, MAX_SIZE) else { return Ok(()) };
    disk::write(&to, disk::PRIVATE, |file| std::io::Write::write_all(file, &bytes))
        .context(|| format!("cannot write {}", to.display()))
}

/// A hint, if the job failed because a file was not sent. `folder` is the job's folder.
pub(super) fn hint(folder: &Path, failure: &str) -> Option<String> {
    let bytes = disk::read(&folder.with_extension(EXTENSION), MAX_SIZE).ok()?;
    let kept: KeptBack = serde_json::from_slice(&bytes).ok()?;
    kept.hint(failure)
}

impl KeptBack {
    fn hint(&self, failure: &str) -> Option<String> {
        let (path, rule) = sought(failure).find_map(|sought| self.of(&sought))?;
        let said = format!("{path} was not sent because of {}", rule.rule);
        let plain = path.trim_end_matches('/');
        if let Some((folder, others)) = self.beside(path, rule) {
            return Some(format!(
                "{path} and {others} more of {folder} were not sent because of {}: add `--include {}` to send them",
                rule.ignore_file().unwrap_or(&rule.rule),
                shell::quote(folder)
            ));
        }
        Some(match rule.way_out {
            WayOut::Include => format!("{said}: add `--include {}` to send it", shell::quote(path)),
            WayOut::Input => {
                let name = plain.rsplit('/').next().unwrap_or(plain);
                let name: String =
                    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
                format!(
                    "{said}: pass its target as an input, `--config.input.{name}=FOLDER`, and read it from \
                     /opt/ml/input/data/{name}"
                )
            }
            WayOut::Copy => format!("{said}: replace it with a regular file"),
        })
    }

    /// The top folder of a path that an ignore file excluded, if the same file excluded more in it, and how much more:
    /// whoever sends only the missing file fails at the next one.
    fn beside<'a>(&self, path: &'a str, rule: &Rule) -> Option<(&'a str, usize)> {
        let file = rule.ignore_file()?;
        let folder = &path[..=path.find('/').filter(|end| end + 1 < path.len())?];
        let same = self.rules.iter().filter(|other| other.ignore_file() == Some(file));
        let others = same.flat_map(|rule| &rule.paths).filter(|other| other.starts_with(folder)).count() - 1;
        (others > 0).then_some((folder, others))
    }

    /// The excluded path that a script asked for, and the rule that excluded it.
    fn of(&self, sought: &Sought) -> Option<(&str, &Rule)> {
        let paths =
            self.rules.iter().flat_map(|rule| rule.paths.iter().map(move |path| (path.as_str(), rule)));
        let is_it = |kept: &str, wanted: &str| {
            let folder = kept.trim_end_matches('/');
            wanted.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        match sought {
            Sought::Path(path) => {
                let wanted = match path.strip_prefix(CODE) {
                    Ok(from_root) => plain(&Path::new("/").join(from_root))?,
                    Err(_) => plain(&Path::new("/").join(&self.workdir).join(path))?,
                };
                // Other absolute paths do not belong to the project.
                let is_ours = !path.is_absolute() || path.starts_with(CODE);
                let wanted = wanted.to_str()?.trim_start_matches('/').to_owned();
                let mut paths = paths;
                paths.find(|(kept, _)| is_ours && is_it(kept, &wanted))
            }
            Sought::Module(name) => {
                let file = format!("{name}.py");
                let mut paths = paths;
                paths.find(|(kept, _)| {
                    let last = kept.trim_end_matches('/').rsplit('/').next();
                    last == Some(&file) || last == Some(name) && kept.ends_with('/')
                })
            }
        }
    }
}

/// What a failed program looked for.
#[derive(Debug, PartialEq, Eq)]
enum Sought {
    Path(PathBuf),
    Module(String),
}

/// All paths and modules in the lines about missing files.
fn sought(failure: &str) -> impl Iterator<Item = Sought> {
    const SIGNS: &[&str] = &[
        "no such file",
        "filenotfound",
        "does not exist",
        "doesn't exist",
        "not found",
        "cannot find",
        "couldn't find",
        "can't open",
        "cannot open",
        "unable to open",
        "no module named",
    ];
    failure.lines().flat_map(|line| {
        let lower = line.to_lowercase();
        let is_about = SIGNS.iter().any(|sign| lower.contains(sign));
        let module =
            line.split_once("No module named '").and_then(|(_, rest)| rest.split(['\'', '.']).next());
        let module = module.map(|name| Sought::Module(name.to_owned()));
        let quoted = ['\'', '"', '`'].into_iter().flat_map(move |quote| {
            let inner: Vec<&str> = line.split(quote).skip(1).step_by(2).collect();
            inner
        });
        let words =
            line.split_whitespace().map(|word| word.trim_matches(|c: char| "'\"`,:;()[]".contains(c)));
        let paths = quoted.chain(words).filter(move |_| is_about).filter(|text| !text.is_empty());
        let paths: Vec<Sought> = paths.map(|text| Sought::Path(text.into())).collect();
        module.into_iter().chain(paths)
    })
}

/// Removes `.` and `..`; `None` if the path leads out of its folder.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut all = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                all.pop().then_some(())?;
            }
            Component::CurDir => {}
            part => all.push(part),
        }
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> KeptBack {
        let rule = |rule: &str, way_out, paths: &[&str]| Rule {
            rule: rule.into(),
            way_out,
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        };
        KeptBack {
            workdir: "src".into(),
            rules: vec![
                rule(".gitignore (data/)", WayOut::Include, &["data/", "src/config.py"]),
                rule(".gitignore (*.csv)", WayOut::Include, &["sets/a.csv", "sets/ecg/1.csv"]),
                rule(".gitignore (*.bin)", WayOut::Include, &["sets/b.bin"]),
                rule("the list of secrets (*.key)", WayOut::Include, &["sets/c.key"]),
                rule("the list of secrets (*.pem)", WayOut::Include, &["src/certs/rds.pem"]),
                rule("its link out of the project", WayOut::Input, &["src/big-data"]),
            ],
        }
    }

    #[test]
    fn one_line_sums_up_what_is_not_sent() {
        let ignored =
            |file: &str, pattern: &str| Reason::Ignored { file: file.into(), pattern: pattern.into() };
        let left = |files, size, largest: &str, more| Left {
            paths: vec![largest.into()],
            count: 1,
            files,
            size,
            largest: Some((largest.into(), size / 2)),
            more,
        };
        assert_eq!(line(&[(Reason::Clutter("venv".into()), Left::default())].into()), None);
        let all = [
            (ignored(".gitignore", "data/"), left(7, 4_000_000, "data/a.csv", false)),
            (ignored(".gitignore", "*.log"), left(1, 10, "x.log", false)),
            (ignored("docs/.gitignore", "*"), left(1, 10, "docs/x", true)),
            (Reason::Secret(".env".into()), left(0, 0, ".env", false)),
        ];
        assert_eq!(
            line(&all.into()).unwrap(),
            "Not sent: 8 files (3.81 MiB) by .gitignore, largest data/a.csv (1.91 MiB); more than 1 file (10 B) by \
             docs/.gitignore, docs/x; .env by the list of secrets; to send them, use --include PATTERN"
        );
    }

    #[test]
    fn a_missing_file_is_explained_by_the_rule_that_excluded_it() {
        for (failure, hint) in [
            (
                "FileNotFoundError: [Errno 2] No such file or directory: '../data/train.csv'",
                Some("data/ was not sent because of .gitignore (data/): add `--include data/` to send it"),
            ),
            (
                "OSError: Unable to open file (name = '/opt/alekseylearn/code/data/x.h5')",
                Some("data/ was not sent because of .gitignore (data/): add `--include data/` to send it"),
            ),
            (
                "FileNotFoundError: '../sets/a.csv'",
                Some(
                    "sets/a.csv and 2 more of sets/ were not sent because of .gitignore: add `--include sets/` to send them",
                ),
            ),
            (
                "can't open certs/rds.pem: not found",
                Some(
                    "src/certs/rds.pem was not sent because of the list of secrets (*.pem): \
                     add `--include src/certs/rds.pem` to send it",
                ),
            ),
            (
                "FileNotFoundError: big-data/a",
                Some(
                    "src/big-data was not sent because of its link out of the project: pass its target as an input, \
                     `--config.input.big_data=FOLDER`, and read it from /opt/ml/input/data/big_data",
                ),
            ),
            (
                "ModuleNotFoundError: No module named 'config'",
                Some(
                    "src/config.py was not sent because of .gitignore (data/): add `--include src/config.py` to send it",
                ),
            ),
            ("FileNotFoundError: No such file or directory: 'data/train.csv'", None),
            ("FileNotFoundError: No such file or directory: '/data/train.csv'", None),
            ("FileNotFoundError: No such file or directory: '../database'", None),
            ("ValueError: '../data/train.csv' is odd", None),
            ("ModuleNotFoundError: No module named 'requests'", None),
        ] {
            assert_eq!(kept().hint(failure).as_deref(), hint, "{failure}");
        }
    }
}
