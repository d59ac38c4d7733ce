//! `alekseylearn.toml`: defaults of a project and of the user. The project's file is the nearest one at or above the current
//! folder, and the user's file is in the configuration folder. The command line overrides the project's file, which
//! overrides the user's. Only the user's file decides whom to trust: a project's file can require signatures, but cannot add
//! trusted keys.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

use serde::Deserialize;
use toml::{Spanned, Value};

use super::{Assignment, OptionSpec, OptionType, Origin, driver_name};
use crate::{
    disk,
    environment::Environment,
    error::{Error, Result, toml_problem},
    project::{Wanted, names_a_secret},
};

/// The name of the file.
pub const DEFAULTS_FILE: &str = "alekseylearn.toml";

/// The maximum size of the file, in bytes.
const MAX_SIZE: u64 = 1 << 20;
/// A project's file may choose this driver without confirmation: it trains on this machine.
const HARMLESS_DRIVER: &str = "local";
/// Options that affect only the script's input and what is shown.
const HARMLESS_OPTIONS: [&str; 3] = ["hyperparameters", "metrics", "prices"];

/// The files that apply, the more important one last.
#[derive(Debug, Default)]
pub struct Defaults(Vec<File>);

/// Options by driver name, each with its position in the file.
type Sections = BTreeMap<String, BTreeMap<String, Spanned<Value>>>;

#[derive(Debug)]
struct File {
    path: PathBuf,
    text: String,
    content: Content,
    /// Whether it is a project's file.
    foreign: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Content {
    fit: FitSection,
    /// `[build.NAME]`: options of that build driver.
    build: Sections,
    /// `[train.NAME]`: options of that train driver.
    train: Sections,
    plugins: PluginsSection,
    projects: ProjectsSection,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct FitSection {
    #[serde(alias = "build_driver")]
    build_driver: Option<String>,
    #[serde(alias = "train_driver")]
    train_driver: Option<String>,
    /// Relative to the file's folder.
    #[serde(alias = "env_file")]
    env_file: Option<PathBuf>,
    with: Vec<String>,
    extra: Vec<String>,
    group: Vec<String>,
    detect: Option<bool>,
    #[serde(alias = "as_of")]
    as_of: Option<String>,
    /// Relative to the file's folder.
    fetch: Option<PathBuf>,
    /// Relative to the file's folder.
    root: Option<PathBuf>,
    /// Relative to the script's working folder.
    model: Option<Texts>,
    /// Patterns, as for `--include`.
    include: Vec<String>,
    /// Names of variables of the user that are secrets of the training.
    secrets: Vec<String>,
}

/// One text, or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Several(Vec<String>),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct PluginsSection {
    /// Minisign public keys, by the user's names for them.
    trusted_keys: BTreeMap<String, String>,
    require_signatures: bool,
    /// Grants that no plugin gets.
    never_grant: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ProjectsSection {
    /// Folders whose file may belong to another user; includes all folders below.
    safe: Vec<PathBuf>,
}

impl Defaults {
    /// The path of the user's file, whether it exists or not.
    pub fn users_file(environment: &Environment) -> PathBuf {
        environment.config.join(DEFAULTS_FILE)
    }

    /// Reads the user's file and the project's, if they exist.
    ///
    /// # Errors
    /// One of them cannot be read or is not valid.
    pub fn read(environment: &Environment) -> Result<Self> {
        let project = environment.current.ancestors().map(|folder| folder.join(DEFAULTS_FILE));
        let project = project.into_iter().find(|path| path.symlink_metadata().is_ok());
        let user = Self::users_file(environment);
        let project = project.filter(|path| *path != user);
        let mut files: Vec<File> = Vec::new();
        for path in [Some(user.clone()), project].into_iter().flatten() {
            let folder = path.parent().unwrap_or(&path);
            let allow = if path == user {
                "make your user its owner: this file decides whom to trust".to_owned()
            } else {
                format!(
                    "if you trust its owner, add to {}: [projects] safe = [{:?}]",
                    user.display(),
                    folder.display().to_string()
                )
            };
            let safe = files.iter().flat_map(|file| &file.content.projects.safe);
            let is_safe = path != user && safe.into_iter().any(|safe| folder.starts_with(safe));
            let allow = (!is_safe).then_some(allow.as_str());
            let Some(text) = disk::read_own(&path, MAX_SIZE, allow)? else { continue };
            let foreign = path != user;
            let file = File::parse(path, text, foreign)?;
            for (section, is_there) in [
                ("plugins.trusted-keys", !file.content.plugins.trusted_keys.is_empty()),
                ("projects", !file.content.projects.safe.is_empty()),
            ] {
                if foreign && is_there {
                    let message = format!("{} sets [{section}]", file.path.display());
                    let hint = format!("move [{section}] to your own file, {}", user.display());
                    return Err(Error::invalid(message).hint(hint));
                }
            }
            files.push(file);
        }
        Ok(Self(files))
    }

    /// Reads the file of one project, whatever the current folder.
    ///
    /// # Errors
    /// The file cannot be read or is not valid.
    pub fn of_project(folder: &Path) -> Result<Self> {
        let path = folder.join(DEFAULTS_FILE);
        let text = disk::optional(&path, MAX_SIZE)?;
        let file = text.map(|text| File::parse(path, text, true)).transpose()?;
        Ok(Self(file.into_iter().collect()))
    }

    /// Parses the text of one file.
    #[cfg(any(test, fuzzing))]
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self> {
        let file = |content| File { path: path.to_owned(), content, text: text.to_owned(), foreign: true };
        Content::parse(path, text).map(|content| Self(vec![file(content)]))
    }

    /// The paths of the files.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|file| file.path.as_path())
    }

    /// The build driver, if the command line does not name one.
    pub fn build_driver(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|file| file.content.fit.build_driver.as_deref())
    }

    /// The train driver, if the command line does not name one.
    pub fn train_driver(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|file| file.content.fit.train_driver.as_deref())
    }

    /// The project's file, if it names the build driver.
    pub fn names_build_driver(&self) -> Option<&Path> {
        self.foreign_that(|fit| fit.build_driver.is_some())
    }

    /// The project's file, if it names the train driver.
    pub fn names_train_driver(&self) -> Option<&Path> {
        self.foreign_that(|fit| fit.train_driver.is_some())
    }

    fn foreign_that(&self, says: impl Fn(&FitSection) -> bool) -> Option<&Path> {
        let file = self.0.iter().rev().find(|file| says(&file.content.fit))?;
        file.foreign.then_some(file.path.as_path())
    }

    /// The dependency file, if the command line does not name one.
    ///
    /// # Errors
    /// A project's file names a file outside of the project.
    fn env_file(&self) -> Result<Option<PathBuf>> {
        self.place("env-file", |fit| fit.env_file.as_deref())
    }

    /// Completes the package options of the command line: the dependency file, packages, extras and groups, whether
    /// imported packages are installed, and the day of the versions.
    ///
    /// # Errors
    /// A project's file names a dependency file outside of the project.
    pub fn complete(&self, wanted: &Wanted) -> Result<Wanted> {
        let list = |given: &[String], of: fn(&FitSection) -> &Vec<String>| match given {
            [] => {
                self.0.iter().rev().map(|file| of(&file.content.fit)).find(|list| !list.is_empty()).cloned()
            }
            given => Some(given.to_vec()),
        };
        let detect = self.0.iter().rev().find_map(|file| file.content.fit.detect);
        let as_of = || self.0.iter().rev().find_map(|file| file.content.fit.as_of.clone());
        Ok(Wanted {
            env_file: match &wanted.env_file {
                Some(file) => Some(file.clone()),
                None => self.env_file()?,
            },
            with: list(&wanted.with, |fit| &fit.with).unwrap_or_default(),
            extras: list(&wanted.extras, |fit| &fit.extra).unwrap_or_default(),
            groups: list(&wanted.groups, |fit| &fit.group).unwrap_or_default(),
            no_detect: wanted.no_detect || detect == Some(false),
            as_of: wanted.as_of.clone().or_else(as_of),
        })
    }

    /// The folder to download the model to, if the command line does not name one.
    ///
    /// # Errors
    /// A project's file names a folder outside of the project.
    pub fn fetch(&self) -> Result<Option<PathBuf>> {
        self.place("fetch", |fit| fit.fetch.as_deref())
    }

    /// The folder to send, if the command line does not name one.
    ///
    /// # Errors
    /// A project's file names a folder outside of the project.
    pub fn root(&self) -> Result<Option<PathBuf>> {
        self.place("root", |fit| fit.root.as_deref())
    }

    /// The paths and patterns of the model, if the command line does not name any.
    pub fn model(&self) -> Vec<String> {
        let model = self.0.iter().rev().find_map(|file| file.content.fit.model.as_ref());
        match model {
            None => Vec::new(),
            Some(Texts::One(text)) => vec![text.clone()],
            Some(Texts::Several(texts)) => texts.clone(),
        }
    }

    /// Patterns of ignored files to send, from all files.
    pub fn include(&self) -> impl Iterator<Item = String> {
        self.0.iter().flat_map(|file| file.content.fit.include.iter().cloned())
    }

    /// Returns the names of variables that are secrets of the training, from all files.
    pub fn secrets(&self) -> Vec<String> {
        self.0.iter().flat_map(|file| file.content.fit.secrets.iter().cloned()).collect()
    }

    fn place(&self, key: &str, of: impl Fn(&FitSection) -> Option<&Path>) -> Result<Option<PathBuf>> {
        let found = self.0.iter().rev().find_map(|file| Some((file, of(&file.content.fit)?)));
        found.map(|(file, place)| file.place(key, place)).transpose()
    }

    /// Options of a build driver, the more important ones last.
    ///
    /// # Errors
    /// An option has a value of an unsupported type.
    pub fn build_options(&self, driver: &str, specs: &[OptionSpec]) -> Result<Vec<Assignment>> {
        self.options("build", driver, specs, |content| &content.build)
    }

    /// Options of a train driver, the more important ones last. Folders are absolute paths.
    ///
    /// # Errors
    /// An option has a value of an unsupported type, or a project's file names a folder outside of the project.
    pub fn train_options(&self, driver: &str, specs: &[OptionSpec]) -> Result<Vec<Assignment>> {
        self.options("train", driver, specs, |content| &content.train)
    }

    /// The folder of the project's file, and what that file requests beyond the script's arguments: drivers, the user's
    /// variables, and options of the drivers that `takes` accepts by kind (`build` or `train`) and name. One line each.
    pub fn claims(&self, takes: impl Fn(&str, &str) -> bool) -> Option<(&Path, BTreeSet<String>)> {
        let file = self.0.iter().find(|file| file.foreign)?;
        let Content { fit, build, train, .. } = &file.content;
        let mut claims = BTreeSet::new();
        for (kind, driver) in [("build", &fit.build_driver), ("train", &fit.train_driver)] {
            let named = driver.as_ref().filter(|driver| *driver != HARMLESS_DRIVER && takes(kind, driver));
            claims.extend(named.map(|driver| format!("{kind} driver: {driver}")));
        }
        claims.extend(fit.secrets.iter().map(|name| format!("secret: {name}, from your environment")));
        let secret = fit.include.iter().filter(|pattern| names_a_secret(pattern));
        claims.extend(secret.map(|pattern| format!("send to the job: {pattern}, a secret by its name")));
        for (kind, sections) in [("build", build), ("train", train)] {
            for (driver, section) in sections.iter().filter(|(driver, _)| takes(kind, driver)) {
                for (key, value) in
                    section.iter().filter(|(key, _)| !HARMLESS_OPTIONS.contains(&key.as_str()))
                {
                    claims.insert(format!("{kind}.{driver}.{key} = {}", value.get_ref()));
                }
            }
        }
        // One line each: a longer one could look like several.
        let claims = claims.into_iter().map(|claim| claim.replace('\r', "\\r").replace('\n', "\\n"));
        Some((file.path.parent()?, claims.collect()))
    }

    /// Minisign public keys, by the user's names for them.
    pub fn trusted_keys(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter().flat_map(|file| &file.content.plugins.trusted_keys)
    }

    /// Grants that no plugin gets. No file can undo what another forbids.
    pub fn never_granted(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|file| &file.content.plugins.never_grant).map(String::as_str)
    }

    /// The file that requires signatures of trusted keys, if there is one. No file can undo what another requires.
    pub fn signatures_required_by(&self) -> Option<&Path> {
        self.0.iter().find(|file| file.content.plugins.require_signatures).map(|file| file.path.as_path())
    }

    fn options(
        &self,
        kind: &str,
        driver: &str,
        specs: &[OptionSpec],
        sections: impl Fn(&Content) -> &Sections,
    ) -> Result<Vec<Assignment>> {
        let mut assignments = Vec::new();
        for file in &self.0 {
            let Some(section) = sections(&file.content).get(driver) else { continue };
            for (key, value) in section {
                let line = line_of(&file.text, value.span().start);
                let place = format!("[{kind}.{driver}] of {}:{line}", file.path.display());
                let origin = if file.foreign { Origin::ProjectFile(place) } else { Origin::UserFile(place) };
                let key = key.replace('-', "_");
                let is_input = specs.iter().any(|spec| spec.key == key && spec.kind == OptionType::Inputs);
                let mut said = Vec::new();
                add(&mut said, &origin, key, value.get_ref(), true)?;
                for assignment in said.iter_mut().filter(|said| is_input && !said.value.starts_with("s3://"))
                {
                    let option = format!("config.{}", assignment.key);
                    let folder = file.place(&option, Path::new(&assignment.value))?;
                    assignment.value = folder.to_string_lossy().into_owned();
                }
                assignments.extend(said);
            }
        }
        Ok(assignments)
    }
}

impl File {
    fn parse(path: PathBuf, text: Vec<u8>, foreign: bool) -> Result<Self> {
        let text = String::from_utf8(text).map_err(|_| {
            Error::invalid(format!("{} is not UTF-8", path.display())).hint("save it as UTF-8")
        })?;
        let content = Content::parse(&path, &text)?;
        Ok(Self { content, foreign, path, text })
    }

    /// Resolves a path relative to the file's folder. A path of a project's file must be inside the project: otherwise an
    /// untrusted project could have the user's own files sent or overwritten.
    fn place(&self, option: &str, place: &Path) -> Result<PathBuf> {
        let folder = self.path.parent().unwrap_or(&self.path);
        if self.foreign && !is_below(folder, place) {
            let (path, place) = (self.path.display(), place.display());
            let message = format!("{path} sets --{option} to a path outside of its folder: {place}");
            let hint = format!("use a path inside the folder, or pass --{option} on the command line");
            return Err(Error::invalid(message).hint(hint));
        }
        Ok(folder.join(place))
    }
}

/// Adds an option. The entries of a table become `KEY.NAME=VALUE`.
fn add(to: &mut Vec<Assignment>, origin: &Origin, key: String, value: &Value, nested: bool) -> Result<()> {
    let value = match value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(boolean) => boolean.to_string(),
        Value::Table(entries) if nested => {
            for (name, value) in entries {
                add(to, origin, format!("{key}.{name}"), value, false)?;
            }
            return Ok(());
        }
        other => {
            return Err(Error::invalid(format!(
                "{}: {key} has the type {}",
                origin.place(),
                other.type_str()
            ))
            .hint("use a string, a number, true or false, or a table of these"));
        }
    };
    to.push(Assignment { key, value, origin: origin.clone() });
    Ok(())
}

/// Whether a place is inside a folder, after resolving the links of the part that exists.
fn is_below(folder: &Path, place: &Path) -> bool {
    let inner = place.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let whole = folder.join(place);
    let there = whole.ancestors().find(|path| path.symlink_metadata().is_ok());
    let end = there.and_then(|path| path.canonicalize().ok());
    inner && folder.canonicalize().is_ok_and(|folder| end.is_some_and(|end| end.starts_with(folder)))
}

/// The line number, starting at 1.
fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

impl Content {
    fn parse(path: &Path, text: &str) -> Result<Self> {
        let mut content: Self = toml::from_str(text).map_err(|error| {
            let line = line_of(text, error.span().map_or(0, |span| span.start));
            Error::invalid(format!("{}:{line} is not valid", path.display()))
                .details(toml_problem(text, &error))
                .hint("the allowed sections are [fit], [build.NAME], [train.NAME] and [plugins]")
        })?;
        content.fit.train_driver = content.fit.train_driver.map(|name| driver_name(&name).to_owned());
        let mut train = Sections::new();
        for (typed, options) in content.train {
            let name = driver_name(&typed).to_owned();
            if train.insert(name.clone(), options).is_some() {
                return Err(Error::invalid(format!("{} has two sections for {name}", path.display()))
                    .hint(format!("put the options of both into [train.{name}]")));
            }
        }
        content.train = train;
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn defaults(texts: &[&str]) -> Result<Defaults> {
        let file = |(number, text): (usize, &&str)| {
            let path = PathBuf::from(format!("/{number}/{DEFAULTS_FILE}"));
            let text = (*text).to_owned();
            Content::parse(&path, &text).map(|content| File { path, content, text, foreign: number > 0 })
        };
        texts.iter().enumerate().map(file).collect::<Result<_>>().map(Defaults)
    }

    const USER: &str = "
        fit.train-driver = 'sagemaker'
        [train.sagemaker]
        role-name = 'mine'
        train_instance_count = 2
        [train.sagemaker.hyperparameters]
        epochs = 3
        rate = 0.5
        shuffle = true
    ";

    #[test]
    fn the_project_wins_over_the_user() {
        let both =
            defaults(&[USER, "fit.train_driver = 'local'\ntrain.sagemaker.role_name = 'ours'"]).unwrap();
        assert_eq!((both.build_driver(), both.train_driver()), (None, Some("local")));
        let options = both.train_options("sagemaker", &[]).unwrap();
        let options: Vec<String> =
            options.iter().map(|option| format!("{}={}", option.key, option.value)).collect();
        assert_eq!(
            options,
            [
                "hyperparameters.epochs=3",
                "hyperparameters.rate=0.5",
                "hyperparameters.shuffle=true",
                "role_name=mine",
                "train_instance_count=2",
                "role_name=ours",
            ]
        );
        assert!(both.train_options("local", &[]).unwrap().is_empty());
        assert!(both.build_options("sagemaker", &[]).unwrap().is_empty());
    }

    #[test]
    fn a_projects_file_can_only_name_paths_inside_the_project() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("project");
        fs::create_dir(&folder).unwrap();
        std::os::unix::fs::symlink(root.path(), folder.join("link")).unwrap();
        std::os::unix::fs::symlink("nothing", folder.join("dangling")).unwrap();
        let fetch = |place: &str, foreign: bool| {
            let text = format!("fit.fetch = '{place}'");
            let path = folder.join(DEFAULTS_FILE);
            let content = Content::parse(&path, &text).unwrap();
            Defaults(vec![File { path, content, text, foreign }]).fetch()
        };
        for place in ["out", "./a/b"] {
            assert_eq!(fetch(place, true).unwrap(), Some(folder.join(place)));
        }
        for place in ["../out", "/tmp", "a/../..", "link", "link/out", "dangling", "dangling/out"] {
            assert!(fetch(place, true).unwrap_err().hint_text().unwrap().contains("--fetch"), "{place}");
            assert_eq!(fetch(place, false).unwrap(), Some(folder.join(place)), "the user's own file");
        }
    }

    #[test]
    fn a_model_is_named_by_one_pattern_or_several() {
        let model = |text: &str| defaults(&["fit.model = 'mine'", text]).map(|both| both.model());
        assert_eq!(model("").unwrap(), ["mine"]);
        assert_eq!(model("fit.model = 'models/'").unwrap(), ["models/"]);
        assert_eq!(model("fit.model = ['a', 'b/*.pkl']").unwrap(), ["a", "b/*.pkl"]);
        assert!(model("fit.model = 3").is_err());
    }

    #[test]
    fn a_folder_is_relative_to_the_file_that_names_it() {
        let root = tempfile::tempdir().unwrap();
        let specs = [OptionSpec::new(OptionType::Inputs, "input".into(), "Data".into())];
        let input = |place: &str, foreign: bool| {
            let text = format!("[train.x.input]\ndata = '{place}'");
            let path = root.path().join(DEFAULTS_FILE);
            let content = Content::parse(&path, &text).unwrap();
            let file = Defaults(vec![File { path, content, text, foreign }]);
            file.train_options("x", &specs).map(|options| options[0].value.clone())
        };
        let below = root.path().join("data").display().to_string();
        assert_eq!(input("data", true).unwrap(), below);
        assert_eq!(input("s3://bucket/data", true).unwrap(), "s3://bucket/data");
        for place in ["../data", "/tmp"] {
            let error = input(place, true).unwrap_err();
            assert!(error.hint_text().unwrap().contains("--config.input.data"), "{error}");
            assert!(input(place, false).is_ok(), "the user's own file");
        }
    }

    #[test]
    fn claims_are_what_a_projects_file_asks_for_beyond_the_scripts_arguments() {
        let text = "fit.train-driver = 'sagemaker'\nfit.secrets = ['HF_TOKEN']\n[train.sagemaker]\nrole_name = 'r'\nhyperparameters.a = 1\n\
                    [train.other]\nregion = 'x'\n[build.local]\nbase_image = 'b'";
        let both = defaults(&["", text]).unwrap();
        let all = both.claims(|_, _| true).unwrap();
        assert_eq!(all.0, Path::new("/1"));
        let expected = [
            "build.local.base_image = \"b\"",
            "secret: HF_TOKEN, from your environment",
            "train driver: sagemaker",
            "train.other.region = \"x\"",
            "train.sagemaker.role_name = \"r\"",
        ];
        assert_eq!(all.1.iter().map(String::as_str).collect::<Vec<_>>(), expected);
        let of_run = both.claims(|kind, driver| (kind, driver) == ("build", "local")).unwrap().1;
        assert_eq!(of_run.len(), 2, "the secrets are for any driver");
        assert_eq!(both.secrets(), ["HF_TOKEN"]);
        assert!(defaults(&[text]).unwrap().claims(|_, _| true).is_none(), "the user's own file");
    }

    #[test]
    fn no_file_undoes_what_another_requires() {
        let (required, not) = ("plugins.require-signatures = true", "plugins.require-signatures = false");
        for (texts, by) in [([required, not], "/0"), ([not, required], "/1"), ([required, required], "/0")] {
            let both = defaults(&texts).unwrap();
            assert_eq!(both.signatures_required_by().unwrap(), Path::new(by).join(DEFAULTS_FILE));
        }
        assert_eq!(defaults(&[not, ""]).unwrap().signatures_required_by(), None);
    }

    #[test]
    fn a_driver_may_be_called_by_its_other_name() {
        let path = Path::new("alekseylearn.toml");
        let named = Content::parse(path, "fit.train-driver = 'vertex-ai'\n[train.vertex-ai]\na = 1").unwrap();
        assert_eq!(named.fit.train_driver.as_deref(), Some("ml-engine"));
        assert!(named.train.contains_key("ml-engine"));
        let twice = Content::parse(path, "[train.vertex-ai]\na = 1\n[train.ml-engine]\na = 1").err().unwrap();
        assert!(twice.message().ends_with("has two sections for ml-engine"), "{twice}");
    }

    #[test]
    fn errors_name_the_file_and_line() {
        for text in ["[fitt]", "fit.train-drivr = 'x'", "fit =", "train.sagemaker = 3"] {
            let error = defaults(&[&format!("# A comment.\n{text}")]).unwrap_err();
            assert_eq!(error.message(), "/0/alekseylearn.toml:2 is not valid", "{text}");
            assert!(error.details_text().is_some() && error.hint_text().is_some(), "{text}");
        }
        for value in ["[1, 2]", "{ a = { b = 1 } }", "2026-01-01"] {
            let error = defaults(&[&format!("\ntrain.x.key = {value}")])
                .unwrap()
                .train_options("x", &[])
                .unwrap_err();
            assert!(error.message().contains("[train.x] of /0/alekseylearn.toml:2"), "{value}: {error}");
        }
    }
}
