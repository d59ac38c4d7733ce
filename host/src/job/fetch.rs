//! A job's results, brought home.

use std::path::Path;

use super::{Context, Known, record::FETCHED};
use crate::{
    capability::{
        Listener, Progress,
        transfer::{self, Arriving, Brought, Staging, Unpack},
    },
    error::{Error, Kind, Result},
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
pub struct Fetched {
    /// The files, and their size.
    pub brought: Brought,
    /// Goes when the user was told: a program that is killed before that tells it the next time.
    _staging: Staging,
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
    let all_of_it = fetch.output_data || of(ArtifactKind::OutputData).is_none();
    let name = &known.job.name;
    let wanted = [(model, "model.tar.gz", ""), (output, "output.tar.gz", "output-data")];
    let what = format!("{} {}", fetch.no_extract, fetch.output_data);
    let mut staging = Staging::open(fetch.folder, name)?;
    let brought = match staging.left(&what)? {
        Some(brought) => brought,
        None => {
            let mut all = Brought::default();
            for (artifact, archive, subfolder) in wanted {
                let Some(artifact) = artifact else { continue };
                let brought = bring(context, known, fetch, &staging, artifact, archive, subfolder).await;
                let brought = brought.inspect_err(|error| {
                    if error.kind() == Kind::Unavailable {
                        staging.keep();
                    }
                })?;
                all.size += brought.size;
                let folder = Path::new(if fetch.no_extract { "" } else { subfolder });
                all.files.extend(brought.files.iter().map(|file| folder.join(file)));
            }
            all
        }
    };
    staging.publish(&what, &brought, fetch.overwrite)?;
    if all_of_it {
        // Without it, `clean` says once too often that there is something to fetch.
        let _ = std::fs::write(known.job.folder.with_extension(FETCHED), "");
    }
    Ok(Fetched { brought, _staging: staging })
}

/// A job's folder holds results of which there may be no other copy.
pub fn has_unfetched(folder: &Path) -> bool {
    let results = |path: &Path| path.extension().is_some_and(|extension| extension == "gz");
    let mut entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    !folder.with_extension(FETCHED).exists() && entries.any(|entry| results(&entry.path()))
}

/// One archive into the staging's tree, unpacked if it is to be.
async fn bring(
    context: &Context,
    known: &Known<'_>,
    fetch: &Fetch<'_>,
    staging: &Staging,
    artifact: &Artifact,
    archive: &str,
    subfolder: &str,
) -> Result<Brought> {
    let show: Listener<'_> = &|progress| {
        if let Progress::Bytes { what, done, total } = progress {
            context.ui.say(&Event::Progress { what, done, total });
        }
    };
    let first = if fetch.no_extract { archive } else { subfolder };
    if !fetch.overwrite {
        staging.refuse(Path::new(first))?;
    }
    if fetch.no_extract {
        let target = staging.tree().join(archive);
        match &artifact.place {
            Place::JobFile(file) => transfer::copy(&known.job.folder.join(file), &target)?,
            Place::S3(place) => {
                context.ui.stage(&format!("Fetching {place}"));
                let aws = &context.services.aws;
                transfer::download(&aws.object(place).await, &staging.archive(), show, |_| Ok(())).await?;
                staging.take_archive(&target)?;
            }
            Place::Web(address) => {
                let file = known.driver.web_file(&known.job, address);
                context.ui.stage(&format!("Fetching {file}"));
                transfer::download(&file, &staging.archive(), show, |_| Ok(())).await?;
                staging.take_archive(&target)?;
            }
        }
        let size = target.metadata().map(|data| data.len()).unwrap_or(0);
        return Ok(Brought { files: vec![archive.into()], size });
    }
    let beside = (!fetch.overwrite && subfolder.is_empty()).then(|| fetch.folder.to_owned());
    let unpack = Unpack { name: archive.to_owned(), tree: staging.tree().join(subfolder), beside };
    let read = move |archive: Arriving| unpack.run(archive.size(), archive);
    let brought = match &artifact.place {
        Place::JobFile(file) => {
            context.ui.stage(&format!("Unpacking {archive}"));
            transfer::local(&known.job.folder.join(file), show, read).await?
        }
        Place::S3(place) => {
            context.ui.stage(&format!("Fetching {place}"));
            let object = context.services.aws.object(place).await;
            transfer::download(&object, &staging.archive(), show, read).await?
        }
        Place::Web(address) => {
            let file = known.driver.web_file(&known.job, address);
            context.ui.stage(&format!("Fetching {file}"));
            transfer::download(&file, &staging.archive(), show, read).await?
        }
    };
    staging.drop_archive();
    Ok(brought)
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
