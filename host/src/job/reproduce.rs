//! A job once more: the same image by its digest, the same driver and options, whatever became of the folder.

use std::{path::Path, sync::Arc};

use super::{
    Context, Details, Entry, Record, Told,
    findings::{find, refuse},
    submit::{Ready, Submission, submit},
    task::{Task, takes_arguments},
};
use crate::{
    config::{Assignment, Values},
    error::{Error, Kind, Result},
    project::{Indexes, Project, Start},
    shell::command,
};

/// Submits a recorded job again. `changes` are options that are to be others; `arguments` take the place of the job's own
/// unless there are none.
///
/// # Errors
/// The job had no image, its driver is gone, or the service refuses.
pub async fn reproduce<'a>(
    context: &'a Context,
    record: &Record,
    entry: &Entry,
    changes: &[Assignment],
    arguments: Vec<String>,
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
    options.extend_from_slice(changes);
    let options = Arc::new(Values::new(trainer.chosen(&trainer.options().await?, &[]), &options)?);
    let project = Project::of_image(Path::new(&entry.artifact), &entry.tag);
    let arguments = if arguments.is_empty() { entry.details.arguments.clone() } else { arguments };
    let told = Told { arguments, model: entry.details.model.clone() };
    takes_arguments(project.start == Start::Notebook, &told)?;
    let training = Task::new(context, project, Indexes::default())?.told(told);
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
