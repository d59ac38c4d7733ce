//! Reads one dependency file, of whatever kind it is.

use std::{collections::BTreeMap, path::Path};

use super::{
    Content, Dependencies, Form, Gathered, Wanted, conda, lists, lock, locked, name_from, pyproject,
    requirements, script, setup, toml,
};
use crate::{
    error::{Error, Result},
    project::{Choice, files},
};

/// What is needed to read a dependency file.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) root: &'a Path,
    /// The folder that relative paths in it start from.
    pub(super) anchor: &'a Path,
    pub(super) wanted: &'a Wanted,
    pub(super) choice: &'a Choice,
}

/// What a dependency file declares.
pub(super) struct Said {
    pub(super) form: Form,
    pub(super) main: String,
    pub(super) python: Option<String>,
    pub(super) notes: Vec<String>,
    pub(super) extras: Vec<String>,
    pub(super) groups: Vec<String>,
}

impl Said {
    pub(super) fn new(form: Form, main: String, python: Option<String>) -> Self {
        Self { form, main, python, notes: Vec::new(), extras: Vec::new(), groups: Vec::new() }
    }
}

impl Reading<'_> {
    /// Reads a file; `None` if it declares nothing.
    pub(super) fn read(
        self,
        path: &Path,
        member: Option<&str>,
    ) -> Result<Option<(Dependencies, Vec<String>)>> {
        let mut gathered = Gathered::new(self.anchor, name_from(self.root, path), self.choice);
        let main = gathered.inside(path)?;
        gathered.require(path, &main)?;
        let said = match lists::kind(path) {
            lists::Kind::UvLock => {
                let python = lock::uv(&mut gathered, path, member)?;
                let mut said = Said::new(Form::UvLock, main, python);
                let project = path.with_file_name("pyproject.toml");
                pyproject::choose(&mut said, &toml(&project)?, self.wanted)?;
                Some(said)
            }
            lists::Kind::PoetryLock => {
                let python = lock::poetry(&mut gathered, path)?;
                let mut said = Said::new(Form::Poetry, main, python);
                let project = path.with_file_name("pyproject.toml");
                pyproject::choose(&mut said, &toml(&project)?, self.wanted)?;
                Some(said)
            }
            lists::Kind::Pyproject => pyproject::read(&mut gathered, path, main, self.wanted)?,
            lists::Kind::Conda => Some(if conda::is_python_env(path)? {
                conda::python_env(&mut gathered, path, &main)?
            } else {
                conda::read(&mut gathered, path, &main)?
            }),
            lists::Kind::Pylock => {
                gathered.add(path)?;
                locked::pylock(&mut gathered, path)?;
                Some(Said::new(Form::Requirements, main, None))
            }
            lists::Kind::PdmLock => Some(locked::pdm(&mut gathered, path, &main)?),
            lists::Kind::PipfileLock => Some(locked::pipfile_lock(&mut gathered, path, &main)?),
            lists::Kind::Pipfile => Some(locked::pipfile(&mut gathered, path, &main)?),
            lists::Kind::Pixi => conda::pixi(&mut gathered, path, &main)?,
            lists::Kind::MlProject => match conda::mlproject(path)? {
                Some(named) => return self.read(&named, None),
                None => None,
            },
            lists::Kind::PythonEnv => Some(conda::python_env(&mut gathered, path, &main)?),
            lists::Kind::SetupCfg => setup::cfg(&mut gathered, path, &main)?,
            lists::Kind::SetupPy => setup::py(&mut gathered, path, main)?,
            lists::Kind::Requirements => {
                requirements::read(&mut gathered, path)?;
                Some(Said::new(Form::Requirements, main, None))
            }
            lists::Kind::Unknown => {
                return Err(
                    Error::invalid(format!("{} is not a dependency file", path.display())).hint(lists::KINDS)
                );
            }
        };
        said.map(|said| self.finish(gathered, said, member)).transpose()
    }

    /// Reads the header of a script.
    pub(super) fn header(self, path: &Path, header: &script::Header) -> Result<(Dependencies, Vec<String>)> {
        let mut gathered = Gathered::new(self.anchor, name_from(self.root, path), self.choice);
        let main = gathered.inside(path)?;
        let said = script::read(&mut gathered, path, &main, header)?;
        self.finish(gathered, said, None)
    }

    pub(super) fn finish(
        self,
        mut gathered: Gathered<'_>,
        said: Said,
        member: Option<&str>,
    ) -> Result<(Dependencies, Vec<String>)> {
        let Self { root, anchor, wanted, .. } = self;
        let is_project = matches!(said.form, Form::UvLock | Form::Pyproject | Form::Poetry);
        if !is_project
            && said.groups.is_empty()
            && let Some(name) = wanted.extras.first().or(wanted.groups.first())
        {
            return Err(Error::invalid(format!("{} has no extra or group `{name}`", gathered.names))
                .hint("use --extra and --group only with a pyproject.toml"));
        }
        let addresses = gathered.take_out_logins()?;
        let origin = gathered.names;
        let python = said.python.map(|version| (version, origin.clone()));
        let mut main = said.main;
        let mut files = gathered.files;
        let has_code = gathered.has_code;
        // A list alone gets the same name in whatever folder it is, and so makes the same layer.
        if files.len() == 1
            && let Some(content) = files.remove(&main)
        {
            main = main.rsplit('/').next().unwrap_or_default().to_owned();
            let content = match content {
                Content::File(file) => Content::File(files::File { path: main.clone(), ..file }),
                text => text,
            };
            files.insert(main.clone(), content);
        }
        let mut form = said.form;
        if form == Form::Requirements && files.values().all(Content::lists_nothing) {
            files.clear();
            form = Form::None;
        }
        let place = anchor.strip_prefix(root).ok().and_then(Path::to_str).filter(|_| has_code);
        let dependencies = Dependencies {
            origin,
            form,
            main,
            files,
            anchor: anchor.to_owned(),
            place: place.map(str::to_owned),
            member: member.map(str::to_owned),
            extras: said.extras,
            groups: said.groups,
            added: Vec::new(),
            imported: BTreeMap::new(),
            as_of: wanted.as_of.clone(),
            addresses,
            python,
            provided: gathered.provided,
        };
        Ok((dependencies, said.notes))
    }
}
