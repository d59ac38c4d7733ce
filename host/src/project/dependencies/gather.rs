//! Collects the files that an installation reads. They must lie in the project itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{Content, MAX_SIZE, addresses, is_list, plain, requirements};
use crate::{
    error::{Error, Result},
    project::{
        Choice, contents, files,
        indexes::{Written, decoded as any_text, holds_password, take_out, take_out_of, written_in},
        rules,
    },
};

/// Collects the files that an installation reads.
pub(super) struct Gathered<'a> {
    pub(super) anchor: &'a Path,
    pub(super) files: BTreeMap<String, Content>,
    /// The name of the file that refers to them, for messages.
    pub(super) names: String,
    /// Whether a whole folder is among them: the source of a package.
    pub(super) has_code: bool,
    /// Names of the packages that they provide.
    pub(super) provided: BTreeSet<String>,
    /// Number of requirements files that were read.
    pub(super) lists: usize,
    /// The run's own rules about what is sent.
    pub(super) choice: &'a Choice,
}

impl<'a> Gathered<'a> {
    pub(super) fn new(anchor: &'a Path, names: String, choice: &'a Choice) -> Self {
        let (files, provided) = (BTreeMap::new(), BTreeSet::new());
        Self { anchor, files, names, has_code: false, provided, lists: 0, choice }
    }
}

impl Gathered<'_> {
    /// Adds a requirements file that was made from the user's file. Returns its name.
    pub(super) fn write(&mut self, main: &str, lines: &[String]) -> String {
        let name = format!("{main}.requirements.txt");
        let text = lines.iter().map(|line| format!("{line}\n")).collect();
        self.files.insert(name.clone(), Content::Text(text));
        name
    }

    /// Remembers a package that is installed.
    pub(super) fn provides(&mut self, requirement: &str) {
        self.provided.extend(requirements::name_of(requirement));
    }

    /// Returns a path relative to the anchor.
    pub(super) fn inside(&self, path: &Path) -> Result<String> {
        let path = plain(path);
        let inside = path.strip_prefix(self.anchor).ok().and_then(Path::to_str);
        inside.map(str::to_owned).ok_or_else(|| {
            Error::invalid(format!(
                "{} refers to {}, which the build cannot read",
                self.names,
                path.display()
            ))
            .hint(format!("move it into {}, and change the path", self.anchor.display()))
        })
    }

    /// Whether a link leads out of the anchor: its target may be anything, even a secret.
    pub(super) fn leads_out(&self, path: &Path) -> bool {
        let root = self.anchor.canonicalize();
        !root.is_ok_and(|root| path.canonicalize().is_ok_and(|path| path.starts_with(root)))
    }

    pub(super) fn not_here(&self, inside: &str) -> Error {
        let problem = "which is not a file in this folder, or a link that leads out of it";
        Error::invalid(format!("{} refers to {inside}, {problem}", self.names)).hint(format!(
            "put the file itself into {}, or choose another dependency file with --env-file",
            self.anchor.display()
        ))
    }

    /// Adds a file, or all files of a folder that may be sent.
    pub(super) fn add(&mut self, path: &Path) -> Result<()> {
        let inside = self.inside(path)?;
        if path.is_dir() && self.leads_out(path) {
            return Err(self.not_here(&inside));
        }
        if path.is_dir() {
            self.has_code = true;
            let choice = Choice { include: Vec::new(), ..self.choice.clone() };
            for file in files::list(&plain(path), &[], &choice)?.files {
                let name =
                    if inside.is_empty() { file.path.clone() } else { format!("{inside}/{}", file.path) };
                self.files.insert(name.clone(), Content::File(files::File { path: name, ..file }));
            }
            return Ok(());
        }
        let file = self.require(path, &inside)?;
        self.files.insert(inside, Content::File(file));
        Ok(())
    }

    /// Returns a file in the folder, unless it must not be sent.
    pub(super) fn require(&self, path: &Path, inside: &str) -> Result<files::File> {
        let missing = || {
            Error::invalid(format!("{} refers to {inside}, which does not exist", self.names))
                .hint(format!("paths in it are relative to {}", self.anchor.display()))
        };
        let source = path.canonicalize().map_err(|error| missing().source(error))?;
        let data = source.metadata().map_err(|error| files::unreadable(path, error))?;
        if self.leads_out(path) || !data.is_file() {
            return Err(self.not_here(inside));
        }
        let (path, size) = (inside.to_owned(), data.len());
        let file = files::File { path, source, size, executable: false, link: None, cleaned: None };
        match files::secret_of(&file, self.choice) {
            None => Ok(file),
            Some(reason) => {
                Err(Error::invalid(format!("{} needs {inside}, which is not sent, by {reason}", self.names))
                    .hint("put what the installation needs into another file, or choose one with --env-file"))
            }
        }
    }

    /// Removes the logins from all files, since an image would keep them. A list may refer to files of any name.
    pub(super) fn take_out_logins(&mut self) -> Result<Vec<Written>> {
        let mut all = Vec::new();
        for (name, content) in &mut self.files {
            let mut note = |text: &str| {
                all.extend(addresses::of(text).iter().flat_map(|used| written_in(used, name)));
            };
            match content {
                Content::Text(text) => {
                    note(text);
                    *text = take_out(text);
                }
                Content::File(file) if !contents::is_code(&file.path) => {
                    let Some(bytes) = rules::text_of(&file.source, MAX_SIZE) else { continue };
                    // Only the addresses of lists are used to log in.
                    if is_list(&file.path) {
                        note(&any_text(&bytes));
                    }
                    if let Some(clean) = take_out_of(&bytes) {
                        (file.size, file.cleaned) = (clean.len() as u64, Some(clean));
                    }
                    if holds_password(file.cleaned.as_ref().unwrap_or(&bytes)) {
                        return Err(Error::invalid(format!("cannot remove the password from {name}"))
                            .hint("save it as UTF-8, or put the login into ~/.netrc"));
                    }
                }
                Content::File(_) => {}
            }
        }
        Ok(all)
    }

    pub(super) fn add_if_there(&mut self, path: &Path) -> Result<()> {
        if path.is_file() { self.add(path) } else { Ok(()) }
    }
}
