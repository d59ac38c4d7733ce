//! From a training folder to a submitted job.

use super::{
    Context, Details, Fit, Record,
    findings::{find, refuse},
    installed::installed,
    push::push,
    submit::{Ready, Submission, submit},
    task::{Opened, open},
};
use crate::{
    error::{Kind, Result},
    plugin::{BuildDriver, Destination, Repository, Training},
    project::{Dependencies, long_ago},
};

/// Understands the folder, checks the options, builds, pushes and submits.
///
/// # Errors
/// Any step fails. Before the submission nothing is left but an image; after it the record knows the job.
pub async fn fit<'a>(context: &'a Context, record: &Record, fit: &Fit) -> Result<Submission<'a>> {
    let Opened { builder, trainer, training, build_options, train_options } = open(context, fit).await?;
    refuse(context, &find(context, &trainer, &training, &train_options).await?)?;
    let (destination, repository) = trainer.prepare(training.with(&train_options, None)).await?;
    let code = training.hash(context)?;
    let (image, installed) = match destination {
        Destination::None => {
            context.ui.stage(&format!("{} needs no image: nothing is built", trainer.name()));
            (None, None)
        }
        Destination::Engine | Destination::Repository { .. } => {
            let (image, installed) =
                image(context, &builder, training.with(&build_options, None), repository).await?;
            (Some(image), installed)
        }
    };

    // An image's name tells all that is in it.
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
    submit(context, record, Ready { trainer, training, options: train_options, image, content, details })
        .await
}

/// The image's name where it is to run, built, and pushed where it goes to a repository; and what is installed in it.
async fn image(
    context: &Context,
    builder: &BuildDriver<'_>,
    training: Training,
    repository: Option<Repository>,
) -> Result<(String, Option<Vec<String>>)> {
    let by = match &training.project.recipe {
        Some(recipe) => format!(" by {}", recipe.dockerfile_path().display()),
        None => String::new(),
    };
    context.ui.stage(&format!("Building the image {}{by}", training.project.tag));
    let folder = training.project.folder();
    let is_new = training.project.dependencies.as_ref().is_some_and(|found| found.as_of.is_none());
    let image = builder.build(training).await.map_err(|error| match long_ago(&folder).filter(|_| is_new) {
        Some(day) if error.kind() == Kind::Invalid && error.message().starts_with("cannot install the dependencies") => {
            let hint = error.hint_text().unwrap_or_default().to_owned();
            error.hint(format!("the project's last commit is old: `--as-of {day}` takes the versions of that day; else {hint}"))
        }
        _ => error,
    })?;
    if image.reused {
        context.ui.stage(&format!("Nothing changed: the image {} is used again", image.reference));
    }
    let installed = installed(context, &image).await;
    let name = match repository {
        Some(repository) => push(context, &image, &repository).await?,
        None => image.reference,
    };
    Ok((name, installed))
}
