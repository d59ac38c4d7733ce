//! Resolves a run before anything is done for it: its project, its drivers and their options.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::{Timestamp, civil::Date};

use super::{
    Context, Told,
    fetch_manifest::results_near,
    flag, kept_back, name, secrets,
    trust::{self, Asks},
};
use crate::{
    capability::{certificates, docker::BuildContext},
    config::{
        AskedSecrets, Assignment, Defaults, Designated, NO_IMAGE, Origin, SecretValues, Values, validate,
        without_image,
    },
    environment::CertificateBundle,
    error::{Error, Kind, Result},
    plugin::{BuildDriver, Identity, LOCK_FILE, TrainDriver, Training, read_lock},
    project::{Asked, Choice, Form, Indexes, Named, Project, Start, Wanted},
    ui::bytes,
};

/// The driver if neither the command line nor a file names one.
pub const DEFAULT_DRIVER: &str = "local";
/// The build driver that needs no Docker engine.
const DAEMONLESS: &str = "daemonless";
/// How long to wait for the Docker engine before the build driver is chosen.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct Fit {
    /// The training artifact.
    pub artifact: Named,
    /// What to install besides, or instead of, what the project's files declare.
    pub wanted: Wanted,
    /// The project root, if the user names one.
    pub root: Option<PathBuf>,
    /// Patterns of files to send although an ignore file excludes them.
    pub include: Vec<String>,
    /// Name of the build driver, if it is on the command line.
    pub build_driver: Option<String>,
    /// Name of the train driver, if it is on the command line.
    pub train_driver: Option<String>,
    /// `--config.KEY=VALUE`, as given.
    pub options: Vec<Assignment>,
    /// What the user sets for the script besides its hyperparameters.
    pub told: Told,
    /// Names of hyperparameters that were given without a value.
    pub flags: Vec<String>,
    /// Build a new image even if nothing changed.
    pub build_anew: bool,
    /// Only report what would be done.
    pub dry_run: bool,
    /// Secrets for the script.
    pub secrets: AskedSecrets,
    /// The user trusts what the project's own files ask for.
    pub trust: bool,
}

/// A run whose project, drivers and options are known.
pub(super) struct ResolvedRun<'a> {
    pub(super) builder: BuildDriver<'a>,
    pub(super) trainer: TrainDriver<'a>,
    pub(super) training: Task,
    pub(super) build_options: Arc<Values>,
    pub(super) train_options: Arc<Values>,
    /// Whether the build driver was chosen because no Docker engine answers.
    pub(super) has_no_engine: bool,
}

pub(super) async fn open<'a>(context: &'a Context, fit: &Fit) -> Result<ResolvedRun<'a>> {
    let defaults = Defaults::read(&context.environment)?;
    let project = project_of(context, fit, &defaults)?;
    tell(context, &project);
    for path in defaults.paths() {
        context.ui.detail(&format!("Defaults come from {}", path.display()));
    }
    let name = |given: &Option<String>, default: Option<&str>| match given {
        Some(name) => name.clone(),
        None => default.unwrap_or(DEFAULT_DRIVER).to_owned(),
    };
    let mut build_driver = name(&fit.build_driver, defaults.build_driver());
    let mut train_driver = name(&fit.train_driver, defaults.train_driver());
    if build_driver == NO_IMAGE {
        let without = without_image(&train_driver).ok_or_else(|| {
            Error::invalid(format!("the train driver {train_driver} needs an image"))
                .hint("leave out --build-driver none")
        })?;
        (build_driver, train_driver) = (DEFAULT_DRIVER.to_owned(), without.to_owned());
    }
    let packages = &context.environment.packages;
    let indexes = Indexes::read(packages, &project.folders, project.dependencies.as_ref())?;
    let asks = Asks {
        defaults: &defaults,
        indexes: &indexes,
        project: &project,
        build_driver: &build_driver,
        train_driver: &train_driver,
    };
    trust::require(context, &asks, fit.trust)?;
    let secrets = fit.secrets.read(&defaults.secrets(), &context.environment.current)?;
    let trainer = context.plugins.train_driver(&train_driver).await?;
    let is_named = fit.build_driver.is_some() || defaults.build_driver().is_some();
    let has_no_engine = !is_named && can_do_without(&trainer, &project) && !answers(context).await;
    let build_driver = if has_no_engine { DAEMONLESS.to_owned() } else { build_driver };
    let builder = context.plugins.build_driver(&build_driver).await?;
    secrets::require_shipped(&builder, &secrets)?;
    if let Some(file) = defaults.names_build_driver().filter(|_| fit.build_driver.is_none()) {
        hold_to_lock(file, builder.identity(), &builder.digest())?;
    }
    if let Some(file) = defaults.names_train_driver().filter(|_| fit.train_driver.is_none()) {
        hold_to_lock(file, trainer.identity(), &trainer.digest())?;
    }
    let (build_specs, train_specs) = (builder.options().await?, trainer.options().await?);
    let build_defaults = defaults.build_options(builder.name(), &build_specs)?;
    let train_defaults = defaults.train_options(trainer.name(), &train_specs)?;
    let (mut told, options) = with_flags(fit, project.start == Start::Notebook)?;
    if told.model.is_empty() {
        told.model = defaults.model();
    }
    let [build_options, train_options] = validate(
        &options,
        [builder.chosen(&build_specs, &build_defaults), trainer.chosen(&train_specs, &train_defaults)],
    )?;
    for named in train_options.designated() {
        if let Designated::Folder(folder) = &named.thing
            && !Path::new(folder).is_dir()
        {
            return Err(Error::new(Kind::NotFound, format!("there is no folder {folder}"))
                .hint(format!("set --config.{} to a folder on this machine", named.option)));
        }
    }
    secrets::warn_of_options(context, &train_options);
    let train_options = Arc::new(train_options);
    if builder.name() != DAEMONLESS {
        warn_of_indexes(context, &indexes);
    }
    let training =
        Task::new(context, project, indexes.confirmed()?)?.asked_by(fit).told(told).with_secrets(secrets);
    let build_options = Arc::new(build_options);
    Ok(ResolvedRun { builder, trainer, training, build_options, train_options, has_no_engine })
}

/// Whether an image for this driver can be made without a Docker engine.
fn can_do_without(trainer: &TrainDriver<'_>, project: &Project) -> bool {
    !trainer.uses_engine() && project.recipe.is_none()
}

/// Whether a Docker engine answers, or may answer later.
async fn answers(context: &Context) -> bool {
    match tokio::time::timeout(PATIENCE, context.services.docker()).await {
        Ok(Err(error)) => !matches!(error.kind(), Kind::Unavailable | Kind::Denied),
        _ => true,
    }
}

/// Warns of package indexes that a build in the Docker engine cannot reach.
pub(super) fn warn_of_indexes(context: &Context, indexes: &Indexes) {
    for address in &indexes.unreachable {
        let why = "a build runs in its own network, and cannot reach it";
        context.ui.warning(&format!("the package index {address} is on this machine: {why}"));
    }
}

/// Refuses a driver that a project's file names, if the lock file beside it has another plugin of that name: the file
/// itself has only the name.
fn hold_to_lock(file: &Path, identity: &Identity, digest: &str) -> Result<()> {
    let folder = file.parent().unwrap_or(file);
    if !folder.join(LOCK_FILE).is_file() {
        return Ok(());
    }
    let locked = read_lock(folder)?;
    let of_name = locked.iter().find(|locked| locked.name == identity.name);
    match of_name.filter(|locked| !locked.is(identity, digest)) {
        None => Ok(()),
        Some(locked) => Err(Error::new(
            Kind::Denied,
            format!(
                "{} names the driver {}, which is locked to {} in {LOCK_FILE}, but {identity} is installed",
                file.display(),
                identity.name,
                locked.source
            ),
        )
        .hint("install the locked plugin: `alekseylearn plugin install --locked`")),
    }
}

/// Puts flags before the arguments that the user typed. For a notebook, which has no arguments, a flag is a variable
/// that is set to true.
fn with_flags(fit: &Fit, notebook: bool) -> Result<(Told, Vec<Assignment>)> {
    let (mut told, mut options) = (fit.told.clone(), fit.options.clone());
    if notebook {
        takes_arguments(notebook, &told)?;
        let variable = |name: &String| Assignment {
            key: format!("hyperparameters.{name}"),
            value: "true".to_owned(),
            origin: Origin::CommandLine,
        };
        options.extend(fit.flags.iter().map(variable));
        return Ok((told, options));
    }
    told.arguments.splice(..0, fit.flags.iter().map(|name| flag(name)));
    Ok((told, options))
}

/// Checks that a notebook is given no arguments.
///
/// # Errors
/// A notebook is given arguments.
pub(super) fn takes_arguments(notebook: bool, told: &Told) -> Result<()> {
    if notebook && !told.arguments.is_empty() {
        Err(Error::invalid("a notebook takes no arguments")
            .hint("set its variables with --config.hyperparameters.NAME=VALUE"))
    } else {
        Ok(())
    }
}

/// Opens the project, with the root and the dependency file that the command line or the defaults name.
pub(super) fn project_of(context: &Context, fit: &Fit, defaults: &Defaults) -> Result<Project> {
    let wanted = defaults.complete(&fit.wanted)?;
    if let Some(day) =
        wanted.as_of.as_ref().filter(|day| day.parse::<Date>().is_err() && day.parse::<Timestamp>().is_err())
    {
        return Err(
            Error::invalid(format!("`{day}` is not a date")).hint("give --as-of a date such as 2023-05-31")
        );
    }
    let root = match &fit.root {
        Some(root) => Some(root.clone()),
        None => defaults.root()?,
    };
    let include = fit.include.iter().cloned().chain(defaults.include()).collect();
    let folder = match &fit.artifact {
        Named::Path(path) => context.environment.resolve(path.parent().unwrap_or(path)),
        Named::Module(_) => context.environment.current.clone(),
    };
    let results = results_near(&context.environment, &folder);
    let secrets = fit.secrets.places(&context.environment.current).collect();
    let choice = Choice { include, results, secrets };
    let open = |wanted: &Wanted| {
        Project::open(Asked {
            artifact: &fit.artifact,
            wanted,
            root: root.as_deref(),
            arguments: &fit.told.arguments,
            current: &context.environment.current,
            home: &context.environment.packages.home,
            choice: &choice,
        })
    };
    let project = open(&wanted)?;
    let Some(unsure) = project.unsure.first().filter(|_| project.takes_none()) else { return Ok(project) };
    let name = unsure.file_name().unwrap_or_default().to_string_lossy();
    if context.ui.ask(&format!("{name} is not a usual name for a dependency file; install from it?"))? {
        return open(&Wanted { env_file: Some(unsure.clone()), ..wanted });
    }
    Ok(project)
}

/// Reports what is sent of the project, and what is not and why.
fn tell(context: &Context, project: &Project) {
    let root = project.root.display();
    let count = match project.files.len() {
        1 => "1 file".to_owned(),
        many => format!("{many} files"),
    };
    let working = match project.workdir.as_str() {
        "" => String::new(),
        folder => format!(", working folder {folder}"),
    };
    context.ui.stage(&format!("Project {root}: {count}, {}{working}", bytes(project.size())));
    if project.is_large() {
        context.ui.warning(&format!(
            "{root} is a large project, and all of it is read and sent; \
             exclude what the training does not need in .dockerignore, or choose a smaller folder with --root"
        ));
    }
    if let Some(dependencies) = project.dependencies.as_ref().filter(|found| found.form != Form::None) {
        context.ui.detail(&format!("Dependencies come from {}", dependencies.origin));
    }
    for path in project.unsure.iter().filter(|_| project.takes_none()) {
        let name = path.strip_prefix(&project.root).unwrap_or(path).display();
        context.ui.warning(&format!(
            "{name} is not used: not the name of a dependency file; to install from it, use --env-file \
             '{name}'"
        ));
    }
    for line in &project.told {
        context.ui.stage(line);
    }
    for note in &project.notes {
        context.ui.warning(note);
    }
    if let Some(python) = &project.python {
        context.ui.detail(&format!("The project requires {}; using {}", python.origin, python.versions[0]));
    }
    kept_back::tell(&context.ui, project);
}

/// What all steps of one run have in common.
pub(super) struct Task {
    pub(super) project: Arc<Project>,
    pub(super) job_name: String,
    /// What the user sets for the script besides its hyperparameters.
    pub(super) told: Told,
    pub(super) secrets: Arc<SecretValues>,
    certificates: Option<String>,
    indexes: Arc<Indexes>,
    build_anew: bool,
    dry_run: bool,
}

impl Task {
    pub(super) fn new(context: &Context, project: Project, indexes: Indexes) -> Result<Self> {
        Ok(Self {
            job_name: name::new(&project.tag, Timestamp::now()),
            project: Arc::new(project),
            told: Told::default(),
            secrets: Arc::default(),
            certificates: certificates(context, &indexes)?,
            indexes: Arc::new(indexes),
            build_anew: false,
            dry_run: false,
        })
    }

    pub(super) fn asked_by(self, fit: &Fit) -> Self {
        Self { build_anew: fit.build_anew, dry_run: fit.dry_run, ..self }
    }

    pub(super) fn told(self, told: Told) -> Self {
        Self { told, ..self }
    }

    pub(super) fn with_secrets(self, secrets: SecretValues) -> Self {
        Self { secrets: Arc::new(secrets), ..self }
    }

    /// The hash of all files that are sent.
    pub(super) fn hash(&self, context: &Context) -> Result<String> {
        let known = context.services.known_hashes(&self.project.root);
        let folder = BuildContext { known, ..BuildContext::of(&self.project) };
        folder.hash()
    }

    pub(super) fn with(&self, options: &Arc<Values>, image: Option<String>) -> Training {
        Training {
            project: self.project.clone(),
            options: options.clone(),
            job_name: self.job_name.clone(),
            runner_environment: self.told.environment(options),
            secrets: self.secrets.clone(),
            image,
            certificates: self.certificates.clone(),
            indexes: self.indexes.clone(),
            build_anew: self.build_anew,
            dry_run: self.dry_run,
        }
    }
}

/// The certificates that a build and a plugin trust besides the system's, in PEM.
fn certificates(context: &Context, indexes: &Indexes) -> Result<Option<String>> {
    let of_pip = || {
        let path = indexes.certificates.clone()?;
        Some(CertificateBundle { named_by: "`cert` in pip's configuration".to_owned(), path })
    };
    let bundle = context.environment.certificates.clone().or_else(of_pip);
    bundle.map(|bundle| certificates::read(&bundle).map(|found| certificates::in_pem(&found))).transpose()
}
