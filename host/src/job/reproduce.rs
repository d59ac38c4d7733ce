//! A job once more: the same image by its digest, the same driver and options, whatever became of the folder.

use std::{path::Path, sync::Arc};

use super::{
    Context, Details, Entry, Record, Told,
    findings::{find, refuse},
    secrets::require_shipped,
    submit::{Ready, Submission, submit},
    task::{Task, takes_arguments},
};
use crate::{
    config::{AskedSecrets, Assignment, Values},
    error::{Error, Kind, Result},
    project::{Indexes, Project, Start},
    shell::command,
};

/// What is to be other than it was.
#[derive(Debug)]
pub struct Again {
    /// Options that are to be others.
    pub changes: Vec<Assignment>,
    /// In the place of the job's own arguments, unless there are none.
    pub arguments: Vec<String>,
    /// Where secrets are, for those that are no variables of the user's.
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
            format!("{} trains without an image, by the files themselves", entry.driver),
        )
        .hint(format!("`{}` trains them as they are now", command(["alekseylearn", "fit", &entry.artifact])))
    })?;
    let before = entry.details.driver_digest.as_ref();
    if before.is_some_and(|before| *before != trainer.digest()) {
        context.ui.warning(&format!("the driver {} is another build than the job's was", entry.driver));
    }
    let mut options = entry.assignments();
    options.extend(again.changes);
    let options = Arc::new(Values::new(trainer.chosen(&trainer.options().await?, &[]), &options)?);
    let project = Project::of_image(Path::new(&entry.artifact), &entry.tag);
    let arguments = match again.arguments.is_empty() {
        true => entry.details.arguments.clone(),
        false => again.arguments,
    };
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
    submit(context, record, Ready { trainer, training, options, image: Some(image), content, details }).await
}
