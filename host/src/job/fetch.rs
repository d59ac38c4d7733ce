//! A job's results, brought home.

use std::path::{Path, PathBuf};

use super::{Context, Known};
use crate::{
    capability::{Listener, Progress, transfer},
    error::{Context as _, Error, Kind, Result},
    plugin::{Artifact, ArtifactKind, Place},
    ui::Event,
};

/// What was asked for, and where to.
#[derive(Clone, Debug)]
pub struct Fetch<'a> {
    /// The user's folder.
    pub folder: &'a Path,
    /// Leave the archives as they are.
    pub no_extract: bool,
    /// What the training wrote to `/opt/ml/output/data` too.
    pub output_data: bool,
    /// Replace what is in the way.
    pub overwrite: bool,
}

/// What came.
#[derive(Debug, Default)]
pub struct Fetched {
    /// The files, relative to the folder.
    pub files: Vec<PathBuf>,
    /// In bytes.
    pub size: u64,
}

/// Brings a job's model into a folder, and nowhere else.
///
/// # Errors
/// There is no model, it is damaged or hostile, or something is in the way.
pub async fn fetch(context: &Context, known: &Known<'_>, fetch: &Fetch<'_>) -> Result<Fetched> {
    let artifacts = known.driver.artifacts(&known.job).await?;
    let of = |kind| artifacts.iter().find(|artifact| artifact.kind == kind);
    let model = of(ArtifactKind::Model);
    let output = of(ArtifactKind::OutputData).filter(|_| fetch.output_data);
    if model.is_none() && output.is_none() {
        return Err(nothing(known, !fetch.output_data && of(ArtifactKind::OutputData).is_some()));
    }
    if model.is_none() {
        context.ui.warning("there is no model: the training wrote nothing to /opt/ml/model");
    }
    std::fs::create_dir_all(fetch.folder)
        .context(|| format!("cannot make the folder {}", fetch.folder.display()))?;
    let mut fetched = Fetched::default();
    if let Some(model) = model {
        bring(context, known, fetch, model, Path::new("model.tar.gz"), Path::new(""), &mut fetched).await?;
    }
    if let Some(output) = output {
        bring(
            context,
            known,
            fetch,
            output,
            Path::new("output.tar.gz"),
            Path::new("output-data"),
            &mut fetched,
        )
        .await?;
    }
    Ok(fetched)
}

async fn bring(
    context: &Context,
    known: &Known<'_>,
    fetch: &Fetch<'_>,
    artifact: &Artifact,
    archive: &Path,
    subfolder: &Path,
    fetched: &mut Fetched,
) -> Result<()> {
    let target = fetch.folder.join(archive);
    if fetch.no_extract && !fetch.overwrite && target.symlink_metadata().is_ok() {
        return Err(Error::new(Kind::Conflict, format!("{} is there already", target.display()))
            .hint("fetch into another folder, or replace it with --overwrite"));
    }
    let show: Listener<'_> = &|progress| {
        if let Progress::Bytes(done, total) = progress {
            context.ui.say(&Event::Progress { done, total });
        }
    };
    // Beside its place, so that moving it there is only renaming; gone when it is dropped.
    let staging = tempfile::Builder::new()
        .prefix(".alekseylearn-")
        .tempdir_in(fetch.folder)
        .context(|| format!("cannot write to {}", fetch.folder.display()))?;
    let arrived = match &artifact.place {
        Place::JobFile(file) => known.job.folder.join(file),
        Place::S3(place) => {
            context.ui.stage(&format!("Fetching {place}"));
            let arrived = staging.path().join(archive);
            transfer::download(&context.services.aws, place, &arrived, show).await?;
            arrived
        }
    };
    if fetch.no_extract {
        let staged = staging.path().join(archive);
        if arrived != staged {
            std::fs::copy(&arrived, &staged)
                .context(|| format!("cannot write to {}", fetch.folder.display()))?;
        }
        fetched.size += staged.metadata().map(|data| data.len()).unwrap_or(0);
        std::fs::rename(&staged, &target).context(|| format!("cannot write {}", target.display()))?;
        fetched.files.push(archive.to_owned());
        return Ok(());
    }
    let unpacked = transfer::unpack(&arrived, &fetch.folder.join(subfolder), fetch.overwrite)?;
    fetched.size += unpacked.size;
    fetched.files.extend(unpacked.files.iter().map(|file| subfolder.join(file)));
    Ok(())
}

fn nothing(known: &Known<'_>, output: bool) -> Error {
    let name = &known.job.name;
    let error = Error::new(Kind::NotFound, format!("the job {name} has left no model"));
    match output {
        true => error.hint(format!("it left other data: `alekseylearn fetch DIR {name} --output-data`")),
        false => error.hint(format!(
            "`alekseylearn status {name}` tells whether it has ended; a script leaves a model by writing to /opt/ml/model"
        )),
    }
}
