//! What of a training folder stays at home: secrets and clutter always, the rest by `.dockerignore`, else by
//! `.gitignore`.

use std::{
    fmt, fs,
    io::ErrorKind,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::error::{Context, Error, Result};

/// Never sent, whatever the ignore files say: credentials and keys.
const SECRETS: &[&str] = &[
    ".env",
    ".env.*",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.kdbx",
    "*.keystore",
    "id_rsa*",
    "id_ed25519*",
    "id_ecdsa*",
    ".aws",
    ".azure",
    ".boto",
    ".docker",
    ".gnupg",
    ".kaggle",
    ".kube",
    ".netrc",
    ".pgpass",
    ".pypirc",
    "pip.conf",
    ".s3cfg",
    ".ssh",
    ".vault-token",
    "kaggle.json",
    ".git-credentials",
    ".config/gcloud",
    "application_default_credentials.json",
];
/// Never of use in an image.
const CLUTTER: &[&str] = &[
    ".git",
    ".hg",
    ".svn",
    "__pycache__",
    "*.pyc",
    ".ipynb_checkpoints",
    ".venv",
    "venv",
    ".tox",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    "node_modules",
    ".DS_Store",
];

/// Why something stays at home.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// By this pattern of the deny list of secrets.
    Secret(String),
    /// By this pattern of what no image needs.
    Clutter(String),
    /// By a pattern of an ignore file, which is named relative to the folder where it lies in it.
    Ignored { file: String, pattern: String },
    /// A link to what is outside of the folder.
    LeadsOut,
    /// A link to nothing, to itself, or to what stays at home.
    LeadsNowhere,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(pattern) => write!(f, "the deny list of secrets ({pattern})"),
            Self::Clutter(pattern) => write!(f, "the list of what no image needs ({pattern})"),
            Self::Ignored { file, pattern } => write!(f, "{file} ({pattern})"),
            Self::LeadsOut => f.write_str("it leads out of the folder"),
            Self::LeadsNowhere => f.write_str("it leads to nothing that is sent"),
        }
    }
}

/// The rules of one training folder.
pub(super) struct Rules {
    secrets: Gitignore,
    clutter: Gitignore,
    docker: Option<DockerRules>,
    folder: PathBuf,
}

/// The `.gitignore` files that hold for a folder, the innermost first.
pub(super) type Chain = Option<Arc<Gitignores>>;

pub(super) struct Gitignores {
    rules: Gitignore,
    outer: Chain,
}

impl Rules {
    pub(super) fn of(folder: &Path) -> Result<Self> {
        Ok(Self {
            secrets: never(folder, SECRETS)?,
            clutter: never(folder, CLUTTER)?,
            docker: DockerRules::read(folder)?,
            folder: folder.to_owned(),
        })
    }

    /// Only secrets and clutter.
    pub(super) fn without_ignore_files(folder: &Path) -> Result<Self> {
        let nothing = DockerRules { rules: Gitignore::empty(), taken_back: Vec::new() };
        Ok(Self {
            secrets: never(folder, SECRETS)?,
            clutter: never(folder, CLUTTER)?,
            docker: Some(nothing),
            folder: folder.to_owned(),
        })
    }

    /// What holds above the folder: the `.gitignore` files up to the root of its repository.
    pub(super) fn above(&self) -> Result<Chain> {
        if self.docker.is_some() || self.folder.join(".git").exists() {
            return Ok(None);
        }
        let mut above = Vec::new();
        for ancestor in self.folder.ancestors().skip(1) {
            above.push(ancestor);
            if ancestor.join(".git").exists() {
                break;
            }
        }
        above.into_iter().rev().try_fold(None, |outer, ancestor| self.inside(ancestor, outer))
    }

    /// What holds in a folder, by the chain of the one around it.
    pub(super) fn inside(&self, folder: &Path, outer: Chain) -> Result<Chain> {
        if self.docker.is_some() {
            return Ok(None);
        }
        let path = folder.join(".gitignore");
        let Some(text) = read(&path)? else { return Ok(outer) };
        let mut rules = GitignoreBuilder::new(folder);
        for line in text.lines() {
            // As with git, a line that is wrong matches nothing.
            let _ = rules.add_line(Some(path.clone()), line);
        }
        let rules = rules.build().map_err(|error| {
            Error::invalid(format!("{} is wrong", path.display()))
                .hint("mend what is said of it, or move it away")
                .source(error)
        })?;
        Ok(Some(Arc::new(Gitignores { rules, outer })))
    }

    /// Why `path` stays at home, if it does.
    pub(super) fn reason(&self, path: &Path, is_folder: bool, chain: &Chain) -> Option<Reason> {
        for (rules, reason) in
            [(&self.secrets, Reason::Secret as fn(String) -> Reason), (&self.clutter, Reason::Clutter)]
        {
            if let ignore::Match::Ignore(glob) = rules.matched(path, is_folder) {
                return Some(reason(glob.original().to_owned()));
            }
        }
        let ignored = |glob: &ignore::gitignore::Glob, pattern: &str| Reason::Ignored {
            file: glob.from().map_or_else(String::new, |file| {
                file.strip_prefix(&self.folder).unwrap_or(file).display().to_string()
            }),
            pattern: pattern.to_owned(),
        };
        if let Some(docker) = &self.docker {
            return match docker.rules.matched_path_or_any_parents(path, is_folder) {
                ignore::Match::Ignore(glob) => Some(ignored(glob, glob.original().trim_start_matches('/'))),
                _ => None,
            };
        }
        let mut chain = chain.as_ref();
        while let Some(link) = chain {
            match link.rules.matched(path, is_folder) {
                ignore::Match::Ignore(glob) => return Some(ignored(glob, glob.original())),
                ignore::Match::Whitelist(_) => return None,
                ignore::Match::None => chain = link.outer.as_ref(),
            }
        }
        None
    }

    /// A folder that stays at home may hold what a rule takes back.
    pub(super) fn takes_back_in(&self, folder: &Path, reason: &Reason) -> bool {
        let inside = folder.strip_prefix(&self.folder).unwrap_or(folder);
        matches!(reason, Reason::Ignored { .. })
            && self.docker.as_ref().is_some_and(|docker| docker.takes_back_in(inside))
    }
}

struct DockerRules {
    rules: Gitignore,
    /// What each `!pattern` begins with, up to its first wildcard.
    taken_back: Vec<PathBuf>,
}

impl DockerRules {
    /// `.dockerignore` anchors every pattern at the folder, where `.gitignore` lets one without a slash match anywhere.
    fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(".dockerignore");
        let Some(text) = read(&path)? else { return Ok(None) };
        let mut rules = GitignoreBuilder::new(folder);
        let mut taken_back = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (sign, pattern) = line.strip_prefix('!').map_or(("", line), |pattern| ("!", pattern));
            let pattern = pattern.trim_start_matches("./").trim_start_matches('/');
            if !sign.is_empty() {
                taken_back.push(literal_start(pattern));
            }
            rules.add_line(Some(path.clone()), &format!("{sign}/{pattern}")).map_err(|error| {
                Error::invalid(format!("{} is wrong at `{line}`", path.display()))
                    .hint("mend that line, or take it out")
                    .source(error)
            })?;
        }
        let rules = rules.build().map_err(|error| {
            Error::invalid(format!("{} is wrong", path.display()))
                .hint("mend what is said of it, or move it away")
                .source(error)
        })?;
        Ok(Some(Self { rules, taken_back }))
    }

    fn takes_back_in(&self, folder: &Path) -> bool {
        self.taken_back.iter().any(|start| start.starts_with(folder) || folder.starts_with(start))
    }
}

fn literal_start(pattern: &str) -> PathBuf {
    Path::new(pattern)
        .components()
        .take_while(|part| {
            matches!(part, Component::Normal(name) if !name.to_string_lossy().contains(['*', '?', '[', '\\']))
        })
        .collect()
}

fn never(folder: &Path, patterns: &[&str]) -> Result<Gitignore> {
    let mut rules = GitignoreBuilder::new(folder);
    rules.case_insensitive(true).context(|| "the deny list is wrong".into())?;
    for pattern in patterns {
        rules.add_line(None, pattern).context(|| format!("the pattern {pattern} is wrong"))?;
    }
    rules.build().context(|| "the deny list is wrong".into())
}

/// A file that cannot be read must not count as one that is missing: what it names would be sent.
fn read(path: &Path) -> Result<Option<String>> {
    match fs::read(path) {
        Ok(text) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => Ok(None),
        Err(error) => Err(Error::invalid(format!("cannot read {}", path.display())).source(error)),
    }
}
