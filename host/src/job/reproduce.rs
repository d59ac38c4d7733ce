//! Runs an earlier job again: the same image by digest, the same driver and options, even if the project has changed.

use std::{path::Path, sync::Arc};

use super::{
    Context, Details, Entry, Record, Told,
    findings::{find, refuse},
    secrets::require_shipped,
    submit::{Submission, SubmitRequest, submit},
    task::{Task, takes_arguments},
};
use crate::{
    config::{AskedSecrets, Assignment, Values},
    error::{Error, Kind, Result},
    project::{Indexes, Project, Start},
    shell::command,
};

/// What differs from the recorded job.
#[derive(Debug)]
pub struct Again {
    /// Options that override its own.
    pub changes: Vec<Assignment>,
    /// Arguments that replace its own unless they are empty.
    pub arguments: Vec<String>,
    /// Secrets whose values are not in the user's variables.
    pub secrets: AskedSecrets,
}

/// Submits a recorded job again.
///
/// # Errors
/// The job had no image, its driver is gone, a secret of it is missing, or the service refuses.
pub async fn reproduce<'a>(
    context: &'a Context,
    record: &Record,
    entry: &Entry,
    again: Again,
) -> Result<Submission<'a>> {
    let trainer = entry.driver(context).await?;
    let image = entry.image.clone().ok_or_else(|| {
        Error::new(
            Kind::Unsupported,
            format!("{} trains without an image: there is none to run again", entry.driver),
        )
        .hint(format!("`{}` trains the current files", command(["alekseylearn", "fit", &entry.artifact])))
    })?;
    let before = entry.details.driver_digest.as_ref();
    if before.is_some_and(|before| *before != trainer.digest()) {
        context.ui.warning(&format!("the driver {} has changed since the original job", entry.driver));
    }
    let mut options = entry.assignments();
    options.extend(again.changes);
    let options = Arc::new(Values::new(trainer.chosen(&trainer.options().await?, &[]), &options)?);
    let project = Project::of_image(Path::new(&entry.artifact), &entry.tag);
    let arguments =
        if again.arguments.is_empty() { entry.details.arguments.clone() } else { again.arguments };
    let told = Told { arguments, model: entry.details.model.clone() };
    takes_arguments(project.start == Start::Notebook, &told)?;
    let secrets = again.secrets.read(&entry.details.secrets, &context.environment.current)?;
    if let Some(builder) = entry.details.build_driver.as_ref().filter(|_| !secrets.is_empty()) {
        require_shipped(&context.plugins.build_driver(builder).await?, &secrets)?;
    }
    let training = Task::new(context, project, Indexes::default())?.told(told).with_secrets(secrets);
    refuse(context, &find(context, &trainer, &training, &options).await?)?;
    let details = Details {
        driver_digest: Some(trainer.digest()),
        driver_identity: Some(trainer.identity().clone()),
        reproduces: Some(entry.name.clone()),
        ..entry.details.without_outcome()
    };
    let content = image.clone();
    submit(
        context,
        record,
        SubmitRequest { trainer, training, options, image: Some(image), content, details },
    )
    .await
}
