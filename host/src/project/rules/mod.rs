//! Decides which files of a project are not sent: secrets and clutter, files that this program wrote, and files that
//! `.dockerignore` or else git excludes. Each ignore file is read by the rules of its own tool.

mod docker;
mod git;
mod glob;
#[cfg(test)]
mod judges;
mod never;

use std::{
    collections::BTreeSet,
    fmt,
    io::{ErrorKind, Read},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use glob::{Case, Lines};

use crate::{
    disk,
    error::{Error, Result},
};

/// Maximum size of an ignore file in bytes.
const MAX_SIZE: u64 = 4 << 20;
/// Files of this program, which the training does not need.
const OWN: [&str; 2] = ["alekseylearn.toml", "alekseylearn.lock"];
/// Stands for a pattern, for files with secrets of the run.
const BY_THE_RUN: &str = "named by --secret";
/// The beginning of names that an interrupted fetch leaves.
const STAGING: &str = ".alekseylearn-";

/// Why something is not sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It matches this pattern of the list of secrets.
    Secret(String),
    /// It contains a secret of this kind.
    Holds(&'static str),
    /// A URL in it has a password that cannot be removed.
    Login,
    /// It matches this pattern of files that no image needs.
    Clutter(String),
    /// This program wrote it.
    Own,
    /// It matches a pattern of an ignore file. The file's path is relative to the folder if it is in it.
    Ignored { file: String, pattern: String },
    /// A link out of the folder.
    LeadsOut,
    /// A link to nothing, to itself, or to something that is not sent.
    LeadsNowhere,
    /// A socket, a pipe or a device.
    NoFile,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(pattern) => write!(f, "the list of secrets ({pattern})"),
            Self::Holds(what) => write!(f, "its content ({what})"),
            Self::Login => f.write_str("a password in a URL"),
            Self::Clutter(pattern) => write!(f, "the list of files that no image needs ({pattern})"),
            Self::Own => f.write_str("its origin (written by alekseylearn)"),
            Self::Ignored { file, pattern } => write!(f, "{file} ({pattern})"),
            Self::LeadsOut => f.write_str("its link out of the project"),
            Self::LeadsNowhere => f.write_str("its link to a file that is not sent"),
            Self::NoFile => f.write_str("its type (a socket, pipe or device)"),
        }
    }
}

/// A run's own rules about the files of a folder, besides those in the folder.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Patterns of files to send in any case, as in a `.gitignore`.
    pub include: Vec<String>,
    /// Absolute paths of the files that earlier runs downloaded.
    pub results: BTreeSet<PathBuf>,
    /// Files with secrets of this run, by absolute path.
    pub secrets: BTreeSet<PathBuf>,
}

/// The rules of one project.
pub(super) struct Rules {
    never: never::Never,
    ignored: Ignored,
    include: Lines,
    included: Vec<String>,
    results: BTreeSet<PathBuf>,
    secrets: BTreeSet<PathBuf>,
    folder: PathBuf,
}

/// Which ignore files apply.
enum Ignored {
    /// None.
    Nothing,
    /// The `.dockerignore`.
    Docker(docker::Patterns),
    /// Git's.
    Git,
}

/// The rules that apply in one folder.
#[derive(Clone)]
pub(super) struct Inside {
    git: Option<git::Lists>,
    docker: docker::Matches,
    /// Everything in it is excluded for this reason, unless another rule includes it.
    kept: Option<Reason>,
    /// Whether the run itself includes everything in it.
    included: bool,
}

/// The decision about a file or a folder.
pub(super) struct Verdict {
    /// Why it is not sent; `None` if it is.
    pub(super) reason: Option<Reason>,
    /// The rules in it, if it is a folder that may contain something to send.
    pub(super) inside: Option<Inside>,
    /// Whether the user includes exactly this name, whatever it contains.
    pub(super) chosen: bool,
}

impl Rules {
    /// The rules of a folder with its ignore files.
    pub(super) fn of(folder: &Path, choice: &Choice) -> Result<Self> {
        let path = folder.join(".dockerignore");
        let ignored = match read(&path)? {
            None => Ignored::Git,
            Some(bytes) => Ignored::Docker(docker::Patterns::read(&bytes).map_err(|wrong| {
                Error::invalid(format!("{}: `{}` {}", path.display(), wrong.line, wrong.why))
                    .hint("fix that line, or remove it")
            })?),
        };
        let included = choice.include.iter().map(|pattern| pattern.trim_start_matches("./").to_owned());
        let included: Vec<String> = included.collect();
        let include = Lines::of(included.iter().map(String::as_str));
        let Choice { results, secrets, .. } = choice.clone();
        Ok(Self { ignored, include, included, results, secrets, ..Self::harmless(folder) })
    }

    /// Rules that exclude only secrets and clutter.
    pub(super) fn harmless(folder: &Path) -> Self {
        Self {
            never: never::Never::new(),
            ignored: Ignored::Nothing,
            include: Lines::default(),
            included: Vec::new(),
            results: BTreeSet::new(),
            secrets: BTreeSet::new(),
            folder: folder.to_owned(),
        }
    }

    /// Returns the rules that apply to the folder itself.
    pub(super) fn above(&self) -> Result<Inside> {
        let git = match self.ignored {
            Ignored::Git => Some(git::Lists::above(&self.folder)?),
            _ => None,
        };
        Ok(Inside { git, docker: docker::Matches::new(), kept: None, included: false })
    }

    /// Returns the rules in a folder, given those that were found for it.
    pub(super) fn inside(&self, folder: &Path, found: Inside) -> Result<Inside> {
        let git = found.git.as_ref().map(|lists| lists.inside(folder)).transpose()?;
        Ok(Inside { git, ..found })
    }

    /// Decides about `path`, which is in a folder with the rules `around`.
    pub(super) fn judge(&self, path: &Path, is_folder: bool, around: &Inside) -> Verdict {
        let relative = path.strip_prefix(&self.folder).unwrap_or(path);
        let bytes = relative.as_os_str().as_bytes();
        let said = self.said(path, &relative.to_string_lossy(), is_folder, around);
        let include = self.include.deciding(bytes, is_folder, Case::Counts).filter(|line| !line.negated);
        let included = around.included || include.is_some();
        let by_name = include.is_some_and(|line| line.names()) || said.named;
        let around_it = around.kept.as_ref();
        let is_secret = self.secrets.contains(path);
        let by_name = by_name && !is_secret;
        let reason = match (by_name, around_it) {
            _ if is_secret => Some(Reason::Secret(BY_THE_RUN.to_owned())),
            (true, _) => None,
            // Something in a folder of secrets is only included by its own name.
            (false, Some(Reason::Secret(_))) => around_it.cloned(),
            (false, _) => self.never(path, bytes, is_folder, included, said.tracked),
        };
        let tracked_file = said.tracked && !is_folder;
        let reason = reason.or_else(|| {
            if included || tracked_file || by_name && said.kept.is_none() {
                None
            } else {
                said.kept.or_else(|| around_it.cloned())
            }
        });
        let looked_into = match &reason {
            None => true,
            Some(Reason::Ignored { .. }) => {
                said.may_send || self.may_include(&relative.to_string_lossy(), true)
            }
            Some(_) => self.may_include(&relative.to_string_lossy(), false),
        };
        let docker = matches!(self.ignored, Ignored::Docker(_));
        let inside = (is_folder && looked_into).then(|| Inside {
            git: around.git.clone(),
            docker: said.docker,
            // Docker's patterns are matched again with everything in it.
            kept: reason.clone().filter(|reason| !(docker && matches!(reason, Reason::Ignored { .. }))),
            included,
        });
        Verdict { reason, inside, chosen: by_name }
    }

    /// Excludes secrets, clutter, and what this program wrote.
    fn never(
        &self,
        path: &Path,
        inside: &[u8],
        is_folder: bool,
        included: bool,
        tracked: bool,
    ) -> Option<Reason> {
        let secret = self.never.secret(inside, is_folder);
        if let Some(pattern) = secret.filter(|pattern| !never::is_code(pattern, path, is_folder)) {
            let is_public = pattern == never::BY_CONTENT && super::contents::is_public(path);
            return (is_folder || !is_public).then_some(Reason::Secret(pattern));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if OWN.contains(&&*name) || name.starts_with(STAGING) {
            return Some(Reason::Own);
        }
        if included {
            return None;
        }
        if is_folder && path.join(never::ENVIRONMENT).exists() {
            return Some(Reason::Clutter(never::ENVIRONMENT.to_owned()));
        }
        let clutter = self.never.clutter(inside, is_folder);
        if tracked {
            return clutter.filter(|pattern| never::is_made_anew(pattern)).map(Reason::Clutter);
        }
        if self.results.contains(path) {
            return Some(Reason::Own);
        }
        let is_package =
            |pattern: &String| never::may_be_a_package(pattern) && path.join("__init__.py").exists();
        clutter.filter(|pattern| !is_package(pattern)).map(Reason::Clutter)
    }

    /// Asks the ignore files.
    fn said(&self, path: &Path, relative: &str, is_folder: bool, around: &Inside) -> Said {
        let mut all = Said::default();
        match &self.ignored {
            Ignored::Nothing => {}
            Ignored::Docker(patterns) => {
                let verdict = patterns.judge(relative, &around.docker);
                all.kept = verdict.kept.map(|pattern| Reason::Ignored {
                    file: ".dockerignore".to_owned(),
                    pattern: pattern.to_owned(),
                });
                all.named = verdict.named && verdict.kept.is_none();
                all.docker = verdict.matches;
                all.may_send = is_folder && patterns.may_send_from(relative);
            }
            Ignored::Git => {
                let Some(lists) = &around.git else { return all };
                all.tracked = lists.tracks(path, is_folder);
                all.may_send = all.tracked;
                let Some(found) = lists.said_of(path, is_folder) else { return all };
                // As in git, nothing in an ignored folder can be included again.
                all.named = found.sends && found.names && around.kept.is_none();
                let file = found.file.strip_prefix(&self.folder).unwrap_or(&found.file).display().to_string();
                let ignored = Reason::Ignored { file, pattern: found.pattern };
                all.kept = (!found.sends && (!all.tracked || is_folder)).then_some(ignored);
            }
        }
        all
    }

    /// Whether the run's own patterns may match something in the folder. Those without a slash, which match at any depth,
    /// count only if `at_any_depth`: `*.csv` does not mean the files of a virtual environment.
    fn may_include(&self, folder: &str, at_any_depth: bool) -> bool {
        self.included.iter().any(|pattern| {
            let pattern = pattern.trim_end_matches('/');
            match pattern.strip_prefix('/') {
                Some(anchored) => docker::meets(anchored, folder),
                None if pattern.contains('/') => docker::meets(pattern, folder),
                None => at_any_depth,
            }
        })
    }
}

/// Returns why a file stays as a secret, by its name or that of a folder above it, or because the run says so.
pub(super) fn secret_by_name(name: &str, path: &Path, choice: &Choice) -> Option<Reason> {
    if choice.secrets.contains(path) {
        return Some(Reason::Secret(BY_THE_RUN.to_owned()));
    }
    let never = never::Never::new();
    let all = Path::new(name).ancestors().filter(|part| !part.as_os_str().is_empty());
    let mut patterns = all.enumerate().filter_map(|(number, part)| {
        let pattern = never.secret(part.as_os_str().as_bytes(), number > 0)?;
        let is_public = number == 0 && pattern == never::BY_CONTENT && super::contents::is_public(path);
        let is_code = number == 0 && never::is_code(&pattern, path, false);
        (!is_public && !is_code).then_some(pattern)
    });
    patterns.next().map(Reason::Secret)
}

/// Whether a pattern names a file or folder that is a secret by its name.
pub fn names_a_secret(pattern: &str) -> bool {
    let never = never::Never::new();
    let name = pattern.trim_matches('/');
    let parts = Path::new(name).ancestors().filter(|part| !part.as_os_str().is_empty());
    let mut parts = parts.map(|part| part.as_os_str().as_bytes());
    parts.any(|part| never.secret(part, true).or_else(|| never.secret(part, false)).is_some())
}

/// The decision of the ignore files.
#[derive(Default)]
struct Said {
    /// The pattern that excludes it.
    kept: Option<Reason>,
    /// Whether a line includes exactly this name, whatever the lists say.
    named: bool,
    /// Whether git tracks it, or something in it.
    tracked: bool,
    /// Whether something in it may be sent although it is excluded.
    may_send: bool,
    docker: docker::Matches,
}

/// Whether the last part of a pattern is a name, without wildcards.
fn is_name(pattern: &[u8]) -> bool {
    let last = pattern.rsplit(|byte| *byte == b'/').next().unwrap_or(pattern);
    !last.is_empty() && !last.iter().any(|byte| b"*?[\\".contains(byte))
}

/// Reads an ignore file. One that cannot be read must not count as missing: what it excludes would be sent.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    if path.is_dir() {
        return Ok(None);
    }
    disk::optional(path, MAX_SIZE)
}

/// Reads a small text file; `None` if it is large, not text, or cannot be read.
pub(super) fn text_of(path: &Path, most: u64) -> Option<Vec<u8>> {
    /// Bytes that are read to recognise text.
    const START: usize = 4 << 10;
    let mut file = disk::open(path).ok()?;
    let mut bytes = vec![0; START];
    let mut read = 0;
    while read < START {
        match file.read(&mut bytes[read..]) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    bytes.truncate(read);
    if is_binary(&bytes) {
        return None;
    }
    file.take((most + 1).saturating_sub(read as u64)).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= most).then_some(bytes)
}

/// Whether the bytes are not text: text has hardly any zeros, except in UTF-16 and UTF-32, where at least every other
/// byte of ASCII is one.
fn is_binary(start: &[u8]) -> bool {
    /// A few zeros do not make a text unreadable for the tools that a password is for.
    const FEW: usize = 3;
    if start.starts_with(&[0xff, 0xfe, 0, 0]) || start.starts_with(&[0, 0, 0xfe, 0xff]) {
        return false;
    }
    let zeros = start.iter().filter(|byte| **byte == 0).count();
    let at_odd = start.iter().skip(1).step_by(2).filter(|byte| **byte == 0).count();
    let one_sided = at_odd == 0 || at_odd == zeros;
    zeros > FEW && !(one_sided && zeros > start.len() / 8)
}
