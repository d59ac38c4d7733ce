//! Turns a project into a submitted job.

use super::{
    Context, Details, Fit, Record,
    findings::{find, refuse},
    installed::installed,
    push::push,
    submit::{Submission, SubmitRequest, submit},
    task::{ResolvedRun, open},
};
use crate::{
    capability::Image,
    error::{Kind, Result},
    plugin::{BuildDriver, Destination, Repository, Training},
    project::{Dependencies, long_ago},
};

/// Reads the project, checks the options, builds and pushes the image, and submits the job.
///
/// # Errors
/// Any step fails. Before the submission, only an image remains; after it, the job is in the record.
pub async fn fit<'a>(context: &'a Context, record: &Record, fit: &Fit) -> Result<Submission<'a>> {
    let ResolvedRun { builder, trainer, training, build_options, train_options, has_no_engine } =
        open(context, fit).await?;
    refuse(context, &find(context, &trainer, &training, &train_options).await?)?;
    let (destination, repository) = trainer.prepare(training.with(&train_options, None)).await?;
    let code = training.hash(context)?;
    let (image, installed) = match destination {
        Destination::None => {
            context.ui.stage(&format!("{} needs no image: skipping the build", trainer.name()));
            (None, None)
        }
        Destination::Engine | Destination::Repository { .. } => {
            if has_no_engine {
                context.ui.stage(
                    "No Docker engine answers: the image is made without one (--build-driver daemonless)",
                );
            }
            let (image, installed) =
                image(context, &builder, training.with(&build_options, None), repository).await?;
            (Some(image), installed)
        }
    };

    // An image's name has its digest or hash, and so stands for its content.
    let content = image.clone().unwrap_or_else(|| {
        let dependencies =
            training.project.dependencies.as_ref().map(Dependencies::choices).unwrap_or_default();
        format!("{} {code} {dependencies}", training.project.description())
    });
    let details = Details {
        driver_digest: Some(trainer.digest()),
        driver_identity: Some(trainer.identity().clone()),
        build_driver: Some(builder.name().to_owned()),
        build_options: build_options.given().to_vec(),
        code: Some(code),
        installed,
        project: training.project.known(),
        ..Details::default()
    };
    submit(
        context,
        record,
        SubmitRequest { trainer, training, options: train_options, image, content, details },
    )
    .await
}

/// Builds the image, and pushes it if it goes to a repository. Returns its name, and the packages installed in it.
async fn image(
    context: &Context,
    builder: &BuildDriver<'_>,
    training: Training,
    repository: Option<Repository>,
) -> Result<(String, Option<Vec<String>>)> {
    let by = match &training.project.recipe {
        Some(recipe) => format!(" from {}", recipe.dockerfile_path().display()),
        None => String::new(),
    };
    context.ui.stage(&format!("Building the image {}{by}", training.project.tag));
    let folder = training.project.folder();
    let is_new = training.project.dependencies.as_ref().is_some_and(|found| found.as_of.is_none());
    let image =
        builder.build(training).await.map_err(|error| match long_ago(&folder).filter(|_| is_new) {
            Some(day)
                if error.kind() == Kind::Invalid
                    && error.message().starts_with("cannot install the dependencies") =>
            {
                let hint = error.hint_text().unwrap_or_default().to_owned();
                error.hint(format!(
                    "the project's last commit is old: `--as-of {day}` installs the versions of that day; else {hint}"
                ))
            }
            _ => error,
        })?;
    if image.reused() {
        context.ui.stage(&format!("Nothing changed: reusing the image {}", image.reference()));
    }
    let installed = installed(context, &image).await;
    let name = match (repository, image) {
        (Some(repository), image) => push(context, &image, &repository).await?,
        (None, Image::InEngine(image)) => image.reference,
        (None, Image::Assembled(image)) => {
            context.ui.stage("Loading the image into the Docker engine");
            context.services.docker().await?.load(&image).await?.reference
        }
    };
    Ok((name, installed))
}
