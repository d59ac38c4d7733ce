//! Finds out what a run would do, without doing any of it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{
    Context, Fit,
    findings::{find, refuse},
    push::pushed,
    task::{DEFAULT_DRIVER, ResolvedRun, Task, open, project_of},
    trust::trust_own_dockerfile,
    write_recipe,
};
use crate::{
    capability::{
        Image,
        docker::{self, BuildContext, Hashed, Step},
        oci::Assembly,
    },
    config::{Defaults, Designation, Values, mask_request, validate},
    error::{Error, Kind, Result},
    plugin::{Destination, Finding, Rehearsed, Repository},
    project::{Indexes, RECIPE_FOLDER, RUNNER, Recipe},
};

/// How long to wait for the Docker engine: a plan can do without it.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a run would do.
#[derive(Debug)]
pub struct Plan {
    /// The image's name, without its hash.
    pub tag: String,
    /// The build driver's name.
    pub build_driver: String,
    /// The train driver's name.
    pub train_driver: String,
    /// The folder that is sent.
    pub root: PathBuf,
    /// How the artifact is started, and in which folder: what the runner reads.
    pub start: serde_json::Value,
    /// The script's arguments, after its hyperparameters.
    pub arguments: Vec<String>,
    /// The names of its secrets.
    pub secrets: Vec<String>,
    /// What the run may access because an option names it, and who set that option.
    pub touches: Vec<Designation>,
    /// The findings of the checks.
    pub findings: Vec<Finding>,
    /// The request that the train driver would send to its service.
    pub request: serde_json::Value,
    /// The image; `None` if the train driver needs no image.
    pub image: Option<ImagePlan>,
}

/// An image that would be built.
#[derive(Debug)]
pub struct ImagePlan {
    /// The build context.
    pub context: BuildContext,
    /// The image's name, its hash included.
    pub reference: String,
    /// What the Docker engine already has of it.
    pub engine: InEngine,
    /// Estimated size in bytes, from the engine's images: without packages that are newly installed.
    pub estimate: Option<u64>,
    /// Where it goes.
    pub push: Push,
}

/// What the engine has of an image.
#[derive(Debug)]
pub enum InEngine {
    /// Docker cannot be queried, for this reason.
    Unknown(String),
    /// The image itself: nothing would be built.
    SubmitRequest,
    /// It is not asked: the image is assembled on this machine. Whether that was done before.
    NotNeeded(bool),
    /// Not the image, but perhaps some of its steps.
    Steps {
        /// The image with the same tag that has the most steps in common: its name, and when it was built, in seconds
        /// since the Unix epoch.
        before: Option<(String, i64)>,
        /// The build's steps, each with whether that image has the same one.
        steps: Vec<(Step, bool)>,
    },
}

/// Where an image goes.
#[derive(Debug)]
pub enum Push {
    /// It stays in the engine.
    None,
    /// To a repository at this address, which does not exist yet.
    New(String),
    /// To the repository at this address.
    Needed(String),
    /// The repository at this address has it already.
    Skipped(String),
}

/// Reads the project, checks the options, and returns what would be built and requested. Builds and spends nothing.
///
/// # Errors
/// Anything that would make the run fail.
pub async fn plan(context: &Context, fit: &Fit) -> Result<Plan> {
    let opened = open(context, fit).await?;
    let findings = find(context, &opened.trainer, &opened.training, &opened.train_options).await?;
    refuse(context, &findings)?;
    plan_of(context, opened, findings).await
}

/// What the drivers may access.
pub(super) fn touches(build: &Values, train: &Values) -> Vec<Designation> {
    [build.designated(), train.designated()].concat()
}

/// Returns the plan of a run that has been checked.
pub(super) async fn plan_of(
    context: &Context,
    opened: ResolvedRun<'_>,
    findings: Vec<Finding>,
) -> Result<Plan> {
    let ResolvedRun { builder, trainer, training, build_options, train_options, .. } = opened;
    let request = trainer.preview(training.with(&train_options, None)).await?;
    let mut request = serde_json::from_str(&request).map_err(|error| {
        Error::new(Kind::Plugin, format!("the preview of the driver {} is not JSON", trainer.name()))
            .hint("this is a bug in the plugin: report it to its author")
            .source(error)
    })?;
    mask_request(&mut request, train_options.given());
    let (destination, repository, exists) = trainer.rehearse(training.with(&train_options, None)).await?;
    let image = match destination {
        Destination::None => None,
        Destination::Engine | Destination::Repository { .. } => {
            let build = builder.rehearse(training.with(&build_options, None)).await?;
            Some(match build {
                Rehearsed::Build(build) => image(context, *build, repository, exists).await?,
                Rehearsed::Assembly(assembly) => assembled(context, &assembly, repository, exists).await?,
            })
        }
    };
    Ok(Plan {
        tag: training.project.tag.clone(),
        build_driver: builder.name().to_owned(),
        train_driver: trainer.name().to_owned(),
        root: training.project.root.clone(),
        start: training.project.description(),
        arguments: training.told.arguments.clone(),
        secrets: training.secrets.names(),
        touches: touches(&build_options, &train_options),
        findings,
        request,
        image,
    })
}

async fn image(
    context: &Context,
    build: BuildContext,
    repository: Option<Repository>,
    exists: bool,
) -> Result<ImagePlan> {
    let hashed = build.hashed()?;
    let reference = build.reference(&hashed.whole);
    let asked = tokio::time::timeout(PATIENCE, in_engine(context, &build, &hashed, &reference)).await;
    let late = || Err(Error::new(Kind::Unavailable, "the Docker engine did not answer in time"));
    let (engine, image, estimate) = match asked.unwrap_or_else(|_| late()) {
        Ok(known) => known,
        Err(error) if error.kind() == Kind::Unavailable => (InEngine::Unknown(error.chain()), None, None),
        Err(error) => return Err(error),
    };
    let push = push_of(context, repository, image.map(Image::InEngine), exists).await?;
    Ok(ImagePlan { context: build, reference, engine, estimate, push })
}

async fn push_of(
    context: &Context,
    repository: Option<Repository>,
    image: Option<Image>,
    exists: bool,
) -> Result<Push> {
    Ok(match (repository, image) {
        (None, _) => Push::None,
        (Some(repository), _) if !exists => Push::New(repository.address),
        (Some(repository), Some(image)) if pushed(context, &image, &repository).await?.is_some() => {
            Push::Skipped(repository.address)
        }
        (Some(repository), _) => Push::Needed(repository.address),
    })
}

async fn assembled(
    context: &Context,
    assembly: &Assembly,
    repository: Option<Repository>,
    exists: bool,
) -> Result<ImagePlan> {
    let (reference, image) = assembly.known(&context.services.for_assembly(true))?;
    let engine = InEngine::NotNeeded(image.is_some());
    let image = image.map(|image| Image::Assembled(Arc::new(image)));
    let push = push_of(context, repository, image, exists).await?;
    let build = BuildContext { dockerfile: assembly.text(), ..assembly.context.clone() };
    Ok(ImagePlan { context: build, reference, engine, estimate: None, push })
}

async fn in_engine(
    context: &Context,
    build: &BuildContext,
    hashed: &Hashed,
    reference: &str,
) -> Result<(InEngine, Option<docker::Image>, Option<u64>)> {
    let engine = context.services.docker().await?;
    if let Some(image) = engine.image(reference).await? {
        let size = engine.size_of(reference).await?;
        return Ok((InEngine::SubmitRequest, Some(image), size));
    }
    let steps = build.steps(hashed);
    // The image that has the most steps in common; the newest of several, which comes last.
    let mut images = engine.kept_images(Some(&build.name)).await?;
    images.reverse();
    let before = images
        .into_iter()
        .max_by_key(|image| steps.iter().filter(|step| image.steps.contains(&step.hash)).count());
    let known = before.as_ref().map(|image| image.steps.as_slice()).unwrap_or_default();
    let steps = steps.into_iter().map(|step| {
        let same = known.contains(&step.hash);
        (step, same)
    });
    let steps = steps.collect();
    let estimate = match (&before, build.base()) {
        (Some(before), _) => Some(before.size),
        (None, Some(base)) => engine.size_of(&base).await?.map(|size| size + build.size()),
        (None, None) => None,
    };
    let before = before.and_then(|image| Some((image.names.into_iter().next()?, image.created)));
    Ok((InEngine::Steps { before, steps }, None, estimate))
}

/// Writes the Dockerfile and the runner that the build driver would use into the project. Returns the written files.
///
/// # Errors
/// The project or an option is invalid, or a file already exists.
pub async fn init(context: &Context, fit: &Fit, overwrite: bool) -> Result<Vec<PathBuf>> {
    let defaults = Defaults::read(&context.environment)?;
    let mut project = project_of(context, fit, &defaults)?;
    // The driver's own files, even if the project already has a recipe.
    project.recipe = None;
    let root = project.folder();
    let folder = root.join(RECIPE_FOLDER);
    let driver = fit.build_driver.as_deref().or(defaults.build_driver()).unwrap_or(DEFAULT_DRIVER);
    let builder = context.plugins.build_driver(driver).await?;
    let specs = builder.options().await?;
    let defaults = defaults.build_options(builder.name(), &specs)?;
    let [options] = validate(&fit.options, [builder.chosen(&specs, &defaults)])?;
    // Nothing is installed, so no logins are needed.
    let packages = &context.environment.packages;
    let indexes = Indexes::read(packages, &project.folders, project.dependencies.as_ref())?;
    let task = Task::new(context, project, indexes)?.asked_by(fit);
    let Rehearsed::Build(build) = builder.rehearse(task.with(&Arc::new(options), None)).await? else {
        return Err(Error::new(
            Kind::Unsupported,
            format!("the driver {} uses no Dockerfile", builder.name()),
        )
        .hint("choose one that does: `alekseylearn init PATH --build-driver local`"));
    };
    let runner = build.extra.into_iter().filter(|(path, _)| path.starts_with(RUNNER));
    let recipe = Recipe { folder, dockerfile: build.dockerfile, files: runner.collect() };
    let written = write_recipe(&recipe, overwrite)?;
    trust_own_dockerfile(context, &root, None)?;
    Ok(written)
}
