//! What of a training folder stays at home: secrets and clutter, what the program itself wrote there, and the rest by
//! `.dockerignore`, else by git's own view. Each ignore file is read by the rules of the tool whose file it is.

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

/// Beyond this, it is no ignore file.
const LARGEST: u64 = 4 << 20;
/// The program's own files: what they say is not the training's.
const OWN: [&str; 2] = ["alekseylearn.toml", "alekseylearn.lock"];
/// What a fetch that was cut off leaves begins with this.
const STAGING: &str = ".alekseylearn-";

/// Why something stays at home.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// By this pattern of the list of secrets.
    Secret(String),
    /// Its content is a secret of this kind.
    Holds(&'static str),
    /// An address in it holds a password that cannot be taken out.
    Login,
    /// By this pattern of what no image needs.
    Clutter(String),
    /// The program itself wrote it.
    Own,
    /// By a pattern of an ignore file, which is named relative to the folder if it lies in it.
    Ignored { file: String, pattern: String },
    /// A link to what is outside of the folder.
    LeadsOut,
    /// A link to nothing, to itself, or to what stays at home.
    LeadsNowhere,
    /// A socket, a pipe or a device.
    NoFile,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(pattern) => write!(f, "the list of secrets ({pattern})"),
            Self::Holds(what) => write!(f, "its content, {what}"),
            Self::Login => f.write_str("the password in an address in it"),
            Self::Clutter(pattern) => write!(f, "the list of what no image needs ({pattern})"),
            Self::Own => f.write_str("alekseylearn, which wrote it"),
            Self::Ignored { file, pattern } => write!(f, "{file} ({pattern})"),
            Self::LeadsOut => f.write_str("its link, which leads out of the folder"),
            Self::LeadsNowhere => f.write_str("its link, which leads to nothing that is sent"),
            Self::NoFile => f.write_str("its kind: it is a socket, a pipe or a device"),
        }
    }
}

/// What a run says of the files of a folder, beside what the folder itself says.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Patterns, as in a `.gitignore`, of what is sent all the same.
    pub include: Vec<String>,
    /// What earlier runs brought here, by absolute paths.
    pub results: BTreeSet<PathBuf>,
    /// Files that hold secrets of this run, by absolute paths.
    pub secrets: BTreeSet<PathBuf>,
}

/// The rules of one training folder.
pub(super) struct Rules {
    never: never::Never,
    ignored: Ignored,
    include: Lines,
    included: Vec<String>,
    results: BTreeSet<PathBuf>,
    secrets: BTreeSet<PathBuf>,
    folder: PathBuf,
}

/// Whose rules hold.
enum Ignored {
    /// Nobody's.
    Nothing,
    /// Those of `.dockerignore`.
    Docker(docker::Patterns),
    /// Git's.
    Git,
}

/// What holds in one folder.
#[derive(Clone)]
pub(super) struct Inside {
    git: Option<git::Lists>,
    docker: docker::Matches,
    /// All in it stays at home for this, unless something else is said of it.
    kept: Option<Reason>,
    /// All in it is sent by the run's own word.
    included: bool,
}

/// What becomes of something in a folder.
pub(super) struct Verdict {
    /// Why it stays at home, if it does.
    pub(super) reason: Option<Reason>,
    /// If it is a folder: what holds in it, and `None` if there is nothing to look for.
    pub(super) inside: Option<Inside>,
    /// The user sends this very name, whatever is in it.
    pub(super) chosen: bool,
}

impl Rules {
    /// Those of a folder with its ignore files.
    pub(super) fn of(folder: &Path, choice: &Choice) -> Result<Self> {
        let path = folder.join(".dockerignore");
        let ignored = match read(&path)? {
            None => Ignored::Git,
            Some(bytes) => Ignored::Docker(docker::Patterns::read(&bytes).map_err(|wrong| {
                Error::invalid(format!("{}: `{}` {}", path.display(), wrong.line, wrong.why))
                    .hint("correct that line, or remove it")
            })?),
        };
        let included = choice.include.iter().map(|pattern| pattern.trim_start_matches("./").to_owned());
        let included: Vec<String> = included.collect();
        let include = Lines::of(included.iter().map(String::as_str));
        let Choice { results, secrets, .. } = choice.clone();
        Ok(Self { ignored, include, included, results, secrets, ..Self::harmless(folder) })
    }

    /// Only secrets and clutter.
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

    /// What holds around the folder.
    pub(super) fn above(&self) -> Result<Inside> {
        let git = match self.ignored {
            Ignored::Git => Some(git::Lists::above(&self.folder)?),
            _ => None,
        };
        Ok(Inside { git, docker: docker::Matches::new(), kept: None, included: false })
    }

    /// What holds in a folder, by what was found about it from outside.
    pub(super) fn inside(&self, folder: &Path, found: Inside) -> Result<Inside> {
        let git = found.git.as_ref().map(|lists| lists.inside(folder)).transpose()?;
        Ok(Inside { git, ..found })
    }

    /// What becomes of `path`, which lies in a folder where `around` holds.
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
            _ if is_secret => Some(Reason::Secret("it is a secret of this run".to_owned())),
            (true, _) => None,
            // Nothing but its own name takes something out of a folder of secrets.
            (false, Some(Reason::Secret(_))) => around_it.cloned(),
            (false, _) => self.never(path, bytes, is_folder, included, said.tracked),
        };
        let tracked_file = said.tracked && !is_folder;
        let reason = reason.or_else(|| match included || tracked_file || by_name && said.kept.is_none() {
            true => None,
            false => said.kept.or_else(|| around_it.cloned()),
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
            // Docker's patterns say it anew of all that lies in it.
            kept: reason.clone().filter(|reason| !(docker && matches!(reason, Reason::Ignored { .. }))),
            included,
        });
        Verdict { reason, inside, chosen: by_name }
    }

    /// By the list of secrets, the one of clutter, or because the program wrote it.
    fn never(
        &self,
        path: &Path,
        inside: &[u8],
        is_folder: bool,
        included: bool,
        tracked: bool,
    ) -> Option<Reason> {
        if let Some(pattern) = self.never.secret(inside, is_folder) {
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

    /// What the ignore files say.
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
                // As git has it, nothing comes back from a folder that is ignored.
                all.named = found.sends && found.names && around.kept.is_none();
                let file = found.file.strip_prefix(&self.folder).unwrap_or(&found.file).display().to_string();
                let ignored = Reason::Ignored { file, pattern: found.pattern };
                all.kept = (!found.sends && (!all.tracked || is_folder)).then_some(ignored);
            }
        }
        all
    }

    /// The run's own patterns may match something in the folder. Those without a slash, which match at any depth, count
    /// only if `at_any_depth`: nobody who names `*.csv` means those of an environment.
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

/// What the ignore files say of something.
#[derive(Default)]
struct Said {
    /// The pattern that keeps it back.
    kept: Option<Reason>,
    /// A line sends this very name, whatever lists say.
    named: bool,
    /// Git keeps versions of it, or of something in it.
    tracked: bool,
    /// Something in it may be sent although it is kept back.
    may_send: bool,
    docker: docker::Matches,
}

/// The last part of a pattern is a name, without wildcards.
fn is_name(pattern: &[u8]) -> bool {
    let last = pattern.rsplit(|byte| *byte == b'/').next().unwrap_or(pattern);
    !last.is_empty() && !last.iter().any(|byte| b"*?[\\".contains(byte))
}

/// A file that cannot be read must not count as one that is missing: what it names would be sent.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    if path.is_dir() {
        return Ok(None);
    }
    disk::optional(path, LARGEST)
}

/// A small file's bytes; `None` if it is large, no text, or cannot be read.
pub(super) fn text_of(path: &Path, most: u64) -> Option<Vec<u8>> {
    /// As much of a file as tells text from anything else.
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

/// Zeros are no text, but in UTF-16, where every other byte of ASCII is one.
fn is_binary(start: &[u8]) -> bool {
    let zeros = start.iter().filter(|byte| **byte == 0).count();
    let at_odd = start.iter().skip(1).step_by(2).filter(|byte| **byte == 0).count();
    let one_sided = at_odd == 0 || at_odd == zeros;
    zeros > 0 && !(one_sided && zeros > start.len() / 8)
}
