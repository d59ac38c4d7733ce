//! What a run would do, found out without doing any of it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{
    Context, Fit,
    findings::{find, refuse},
    push::pushed,
    task::{DEFAULT_DRIVER, Opened, Task, open, project_of},
    trust::trust_own_dockerfile,
    write_recipe,
};
use crate::{
    capability::docker::{BuildContext, Hashed, Image, Step},
    config::{Defaults, Designation, Values, mask_request, validate},
    error::{Error, Kind, Result},
    plugin::{Destination, Finding, Repository},
    project::{Indexes, RECIPE_FOLDER, RUNNER, Recipe},
};

/// An engine that does not answer at once is as good as none: a plan can do without.
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
    /// What the script is called with, after its hyperparameters.
    pub arguments: Vec<String>,
    /// The names of its secrets.
    pub secrets: Vec<String>,
    /// What the run may touch because an option names it, and who named it.
    pub touches: Vec<Designation>,
    /// What was found that speaks for the run, and against it.
    pub findings: Vec<Finding>,
    /// What the train driver would ask its service for.
    pub request: serde_json::Value,
    /// The image; none where the train driver needs none.
    pub image: Option<ImagePlan>,
}

/// What would be built, and what would become of it.
#[derive(Debug)]
pub struct ImagePlan {
    /// All that goes in.
    pub context: BuildContext,
    /// The image's name, its hash included.
    pub reference: String,
    /// What the engine has of it.
    pub engine: InEngine,
    /// Its size in bytes, as far as that can be told from the engine's images: without what is installed anew.
    pub estimate: Option<u64>,
    /// Where it goes.
    pub push: Push,
}

/// What the engine has of an image.
#[derive(Debug)]
pub enum InEngine {
    /// Docker cannot be asked, for this reason.
    Unknown(String),
    /// That very image: nothing would be built.
    Ready,
    /// Not that image.
    Steps {
        /// The image of the tag that has most in common with it: its name, and the second it was built in.
        before: Option<(String, i64)>,
        /// The build's steps; true where that image has the very same one.
        steps: Vec<(Step, bool)>,
    },
}

/// Where an image goes.
#[derive(Debug)]
pub enum Push {
    /// It stays in the engine.
    None,
    /// To a repository that is still to be made, at this address.
    New(String),
    /// To the repository at this address.
    Needed(String),
    /// The repository at this address has it already.
    Skipped(String),
}

/// Understands the folder, checks the options, and tells what would be built and asked for. Builds and spends nothing.
///
/// # Errors
/// What would make the run fail.
pub async fn plan(context: &Context, fit: &Fit) -> Result<Plan> {
    let opened = open(context, fit).await?;
    let findings = find(context, &opened.trainer, &opened.training, &opened.train_options).await?;
    refuse(context, &findings)?;
    plan_of(context, opened, findings).await
}

/// What either driver may touch.
pub(super) fn touches(build: &Values, train: &Values) -> Vec<Designation> {
    [build.designated(), train.designated()].concat()
}

/// The plan of a run that was looked at.
pub(super) async fn plan_of(context: &Context, opened: Opened<'_>, findings: Vec<Finding>) -> Result<Plan> {
    let Opened { builder, trainer, training, build_options, train_options } = opened;
    let request = trainer.preview(training.with(&train_options, None)).await?;
    let mut request = serde_json::from_str(&request).map_err(|error| {
        Error::new(Kind::Plugin, format!("the driver {} previews no JSON", trainer.name()))
            .hint("this is a fault of the plugin: tell its author what is said here")
            .source(error)
    })?;
    mask_request(&mut request, train_options.given());
    let (destination, repository, exists) = trainer.rehearse(training.with(&train_options, None)).await?;
    let image = match destination {
        Destination::None => None,
        Destination::Engine | Destination::Repository { .. } => {
            let build = builder.rehearse(training.with(&build_options, None)).await?;
            Some(image(context, build, repository, exists).await?)
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
    let late = || Err(Error::new(Kind::Unavailable, "the Docker engine does not answer in time"));
    let (engine, image, estimate) = match asked.unwrap_or_else(|_| late()) {
        Ok(known) => known,
        Err(error) if error.kind() == Kind::Unavailable => (InEngine::Unknown(error.chain()), None, None),
        Err(error) => return Err(error),
    };
    let push = match (repository, image) {
        (None, _) => Push::None,
        (Some(repository), _) if !exists => Push::New(repository.address),
        (Some(repository), Some(image)) if pushed(context, &image, &repository).await?.is_some() => {
            Push::Skipped(repository.address)
        }
        (Some(repository), _) => Push::Needed(repository.address),
    };
    Ok(ImagePlan { context: build, reference, engine, estimate, push })
}

async fn in_engine(
    context: &Context,
    build: &BuildContext,
    hashed: &Hashed,
    reference: &str,
) -> Result<(InEngine, Option<Image>, Option<u64>)> {
    let engine = context.services.docker().await?;
    if let Some(image) = engine.image(reference).await? {
        let size = engine.size_of(reference).await?;
        return Ok((InEngine::Ready, Some(image), size));
    }
    let steps = build.steps(hashed);
    // The one that has most in common with the build; of several such the newest, which come last.
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

/// Writes the Dockerfile and the runner that the build driver would use into the training folder, and tells which
/// files these are.
///
/// # Errors
/// The folder or an option is wrong, or something is in the way.
pub async fn init(context: &Context, fit: &Fit, overwrite: bool) -> Result<Vec<PathBuf>> {
    let defaults = Defaults::read(&context.environment)?;
    let mut project = project_of(context, fit, &defaults)?;
    // What the driver itself would use, whatever is there.
    project.recipe = None;
    let root = project.folder();
    let folder = root.join(RECIPE_FOLDER);
    let driver = fit.build_driver.as_deref().or(defaults.build_driver()).unwrap_or(DEFAULT_DRIVER);
    let builder = context.plugins.build_driver(driver).await?;
    let specs = builder.options().await?;
    let defaults = defaults.build_options(builder.name(), &specs)?;
    let [options] = validate(&fit.options, [builder.chosen(&specs, &defaults)])?;
    // Nothing is installed, so nobody logs in.
    let packages = &context.environment.packages;
    let indexes = Indexes::read(packages, &project.folders, project.dependencies.as_ref())?;
    let task = Task::new(context, project, indexes)?.asked_by(fit);
    let build = builder.rehearse(task.with(&Arc::new(options), None)).await?;
    let runner = build.extra.into_iter().filter(|(path, _)| path.starts_with(RUNNER));
    let recipe = Recipe { folder, dockerfile: build.dockerfile, files: runner.collect() };
    let written = write_recipe(&recipe, overwrite)?;
    trust_own_dockerfile(context, &root)?;
    Ok(written)
}
