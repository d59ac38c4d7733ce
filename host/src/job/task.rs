//! A run before anything is done for it: its folder, its drivers and their options, understood.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    Context, name,
    trust::{self, Asks},
};
use crate::{
    capability::{certificates, docker::BuildContext},
    config::{Assignment, Defaults, Designated, Values, validate},
    environment::CertificateBundle,
    error::{Error, Kind, Result},
    plugin::{BuildDriver, Identity, LOCK_FILE, TrainDriver, Training, read_lock},
    project::{Indexes, Project, Reason},
    ui::bytes,
};

/// Taken where neither the command line nor a file names another.
pub(super) const DEFAULT_DRIVER: &str = "local";

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct Fit {
    /// The training artifact.
    pub artifact: PathBuf,
    /// Another dependency file than the one that would be found.
    pub env_file: Option<PathBuf>,
    /// By name, where the command line says.
    pub build_driver: Option<String>,
    /// By name, where the command line says.
    pub train_driver: Option<String>,
    /// `--config.KEY=VALUE`, as given.
    pub options: Vec<Assignment>,
    /// Make a new image even where nothing changed.
    pub build_anew: bool,
    /// Only find out what would be done.
    pub dry_run: bool,
    /// The user trusts what the project's own files ask for.
    pub trust: bool,
}

/// All that is known before anything is built.
pub(super) struct Opened<'a> {
    pub(super) builder: BuildDriver<'a>,
    pub(super) trainer: TrainDriver<'a>,
    pub(super) training: Task,
    pub(super) build_options: Arc<Values>,
    pub(super) train_options: Arc<Values>,
}

pub(super) async fn open<'a>(context: &'a Context, fit: &Fit) -> Result<Opened<'a>> {
    let defaults = Defaults::read(&context.environment)?;
    let project = project_of(fit, &defaults)?;
    tell(context, &project);
    for path in defaults.paths() {
        context.ui.detail(&format!("Defaults come from {}", path.display()));
    }
    let name = |given: &Option<String>, default: Option<&str>| match given {
        Some(name) => name.clone(),
        None => default.unwrap_or(DEFAULT_DRIVER).to_owned(),
    };
    let build_driver = name(&fit.build_driver, defaults.build_driver());
    let train_driver = name(&fit.train_driver, defaults.train_driver());
    let asks = Asks {
        defaults: &defaults,
        project: &project,
        build_driver: &build_driver,
        train_driver: &train_driver,
    };
    trust::require(context, &asks, fit.trust)?;
    let builder = context.plugins.build_driver(&build_driver).await?;
    let trainer = context.plugins.train_driver(&train_driver).await?;
    if let Some(file) = defaults.names_build_driver().filter(|_| fit.build_driver.is_none()) {
        hold_to_lock(file, builder.identity(), &builder.digest())?;
    }
    if let Some(file) = defaults.names_train_driver().filter(|_| fit.train_driver.is_none()) {
        hold_to_lock(file, trainer.identity(), &trainer.digest())?;
    }
    let (build_specs, train_specs) = (builder.options().await?, trainer.options().await?);
    let build_defaults = defaults.build_options(builder.name(), &build_specs)?;
    let train_defaults = defaults.train_options(trainer.name(), &train_specs)?;
    let [build_options, train_options] = validate(
        &fit.options,
        [builder.chosen(&build_specs, &build_defaults), trainer.chosen(&train_specs, &train_defaults)],
    )?;
    for named in train_options.designated() {
        if let Designated::Folder(folder) = &named.thing
            && !Path::new(folder).is_dir()
        {
            return Err(Error::new(Kind::NotFound, format!("there is no folder {folder}"))
                .hint(format!("name a folder of this machine as --config.{}", named.option)));
        }
    }
    let train_options = Arc::new(train_options);
    let training = Task::new(context, project)?.asked_by(fit);
    Ok(Opened { builder, trainer, training, build_options: Arc::new(build_options), train_options })
}

/// A project's file names a driver by its name alone. If a lock file beside it says which plugin has that name, another one
/// is not taken for it.
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
                "{} names the driver {}, which is {} in {LOCK_FILE}; here it is {identity}",
                file.display(),
                identity.name,
                locked.source
            ),
        )
        .hint("to install what the project means: `alekseylearn plugin install --locked`")),
    }
}

/// The training folder, with the dependency file that the command line or the defaults name.
pub(super) fn project_of(fit: &Fit, defaults: &Defaults) -> Result<Project> {
    let env_file = match &fit.env_file {
        Some(file) => Some(file.clone()),
        None => defaults.env_file()?,
    };
    Project::open(&fit.artifact, env_file.as_deref())
}

/// What of the folder is sent, and what stays at home and why.
fn tell(context: &Context, project: &Project) {
    let size = project.files.iter().map(|file| file.size).sum();
    let count = project.files.len();
    context.ui.detail(&format!("{count} files of {} are sent: {}", project.folder.display(), bytes(size)));
    if let Some(dependencies) = &project.dependencies {
        context.ui.detail(&format!("Dependencies come from {}", dependencies.origin));
    }
    if !project.proposal.is_empty() {
        context.ui.warning(&format!(
            "nothing says what to install, and the code imports packages; a requirements.txt beside it could hold: {}",
            project.proposal.join(", ")
        ));
    }
    if let Some(python) = &project.python {
        context
            .ui
            .detail(&format!("The project asks for {}: {} is taken", python.origin, python.versions[0]));
    }
    for (reason, left) in &project.left {
        let examples = left.examples.join(", ");
        let more = match left.count - left.examples.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        if *reason == Reason::LeadsOut {
            context.ui.warning(&format!(
                "{examples}{more}: a link out of the training folder leads nowhere in the image; \
                 copy what it leads to, or name it in .dockerignore"
            ));
        } else {
            context.ui.detail(&format!("{examples}{more}: not sent, by {reason}"));
        }
    }
}

/// What stays the same through all steps of one fit.
pub(super) struct Task {
    pub(super) project: Arc<Project>,
    pub(super) job_name: String,
    certificates: Option<String>,
    indexes: Arc<Indexes>,
    build_anew: bool,
    dry_run: bool,
}

impl Task {
    pub(super) fn new(context: &Context, project: Project) -> Result<Self> {
        let packages = &context.environment.packages;
        let indexes = Indexes::read(packages, &project.folder, project.dependencies.as_ref())?;
        for address in &indexes.unreachable {
            let why = "a build has a network of its own, and cannot reach it there";
            context.ui.warning(&format!("the package index {address} is on this machine: {why}"));
        }
        Ok(Self {
            job_name: name::new(&project.tag, Timestamp::now()),
            project: Arc::new(project),
            certificates: certificates(context, &indexes)?,
            indexes: Arc::new(indexes),
            build_anew: false,
            dry_run: false,
        })
    }

    pub(super) fn asked_by(self, fit: &Fit) -> Self {
        Self { build_anew: fit.build_anew, dry_run: fit.dry_run, ..self }
    }

    /// Of all files that are sent.
    pub(super) fn hash(&self, context: &Context) -> Result<String> {
        let known = context.services.known_hashes(&self.project.folder);
        let folder = BuildContext { known, ..BuildContext::of(&self.project) };
        folder.hash()
    }

    pub(super) fn with(&self, options: &Arc<Values>, image: Option<String>) -> Training {
        Training {
            project: self.project.clone(),
            options: options.clone(),
            job_name: self.job_name.clone(),
            image,
            certificates: self.certificates.clone(),
            indexes: self.indexes.clone(),
            build_anew: self.build_anew,
            dry_run: self.dry_run,
        }
    }
}

/// What a build and a plugin trust beside the system's certificates, in PEM.
fn certificates(context: &Context, indexes: &Indexes) -> Result<Option<String>> {
    let of_pip = || {
        let path = indexes.certificates.clone()?;
        Some(CertificateBundle { named_by: "`cert` in pip's configuration".to_owned(), path })
    };
    let bundle = context.environment.certificates.clone().or_else(of_pip);
    bundle.map(|bundle| certificates::read(&bundle).map(|found| certificates::in_pem(&found))).transpose()
}
