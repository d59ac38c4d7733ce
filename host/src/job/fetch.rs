//! Downloads a job's results.

use std::path::Path;

use url::Url;

use super::{Context, JobHandle, fetch_manifest::FetchManifest, record::FETCHED};
use crate::{
    capability::{
        Listener, Progress,
        transfer::{self, At, Destination, Downloaded, Staging, StreamReader, Unpack},
    },
    disk::{self, Folder, PRIVATE},
    error::{Context as _, Error, Kind, Result},
    plugin::{Archive, Artifact, ArtifactKind, Folder as Files, Place},
    ui::Event,
};

/// What to download, and where to.
#[derive(Clone, Debug)]
pub struct Fetch<'a> {
    /// The target folder.
    pub folder: &'a Path,
    /// Keep archives packed.
    pub no_extract: bool,
    /// Also download what the training wrote to `/opt/ml/output/data`.
    pub output_data: bool,
    /// Also download what the training wrote to `/opt/ml/checkpoints`.
    pub checkpoints: bool,
    /// Replace existing files.
    pub overwrite: bool,
    /// Replace files of an earlier download that have not changed since.
    pub replace_earlier: bool,
    /// Succeed if there is nothing to download.
    pub may_be_nothing: bool,
}

/// What was downloaded.
pub struct Fetched {
    /// The files, and their size.
    pub brought: Downloaded,
    /// Removed once the user has been told. If the program is killed before, its next run tells the user.
    _staging: Option<Staging>,
}

/// Downloads a job's model into a folder, and writes nowhere else.
///
/// # Errors
/// There is no model, it is damaged or malicious, or a file already exists.
pub async fn fetch(context: &Context, known: &JobHandle<'_>, fetch: &Fetch<'_>) -> Result<Fetched> {
    let name = &known.job.name;
    let artifacts = match (known.driver.artifacts(&known.job).await, &known.entry) {
        (Ok(artifacts), _) => artifacts,
        (Err(error), entry) => {
            // If this terminal uses another account or engine than the job, that is the cause.
            if let Some(entry) = entry {
                entry.details.home.check(context, name, known.job.options.aws()).await?;
            }
            return Err(error);
        }
    };
    let wanted = [
        (ArtifactKind::Model, "model.tar.gz", "", true),
        (ArtifactKind::OutputData, "output.tar.gz", "output-data", fetch.output_data),
        (ArtifactKind::Checkpoints, "checkpoints.tar.gz", "checkpoints", fetch.checkpoints),
    ];
    let of = |kind| artifacts.iter().find(|artifact| artifact.kind == kind);
    let results: Vec<Wanted<'_>> = wanted
        .into_iter()
        .filter(|(_, _, _, is_wanted)| *is_wanted)
        .filter_map(|(kind, archive, folder, _)| Some(Wanted { artifact: of(kind)?, archive, folder }))
        .collect();
    if results.is_empty() {
        if fetch.may_be_nothing {
            return Ok(Fetched { brought: Downloaded::default(), _staging: None });
        }
        return Err(nothing(known, fetch, &artifacts));
    }
    if of(ArtifactKind::Model).is_none() {
        context.ui.warning("there is no model: the training wrote nothing to /opt/ml/model");
    }
    if fetch.checkpoints && of(ArtifactKind::Checkpoints).is_none() {
        context.ui.warning(
            "there are no checkpoints: the training wrote none, or the job has no location for them",
        );
    }
    let all_of_it = results.len() == artifacts.len();
    let what = format!("{} {} {}", fetch.no_extract, fetch.output_data, fetch.checkpoints);
    let mut staging = Staging::open(fetch.folder, name)?;
    let earlier = fetch.replace_earlier.then(|| FetchManifest::of(&context.environment, fetch.folder));
    let replaceable = || earlier.as_ref().map(FetchManifest::unchanged).unwrap_or_default();
    staging.may_replace(replaceable());
    let brought = match staging.left(&what)? {
        Some(brought) => brought,
        None => {
            let mut all = Downloaded::default();
            for result in &results {
                let brought = bring(context, known, fetch, &staging, result).await;
                let brought = brought.inspect_err(|error| {
                    if error.kind() == Kind::Unavailable {
                        staging.keep();
                    }
                })?;
                all.size += brought.size;
                all.files.extend(brought.files);
                all.left_out.extend(brought.left_out);
            }
            all
        }
    };
    if !brought.left_out.is_empty() {
        context.ui.warning(&format!(
            "these files were skipped: {}; `alekseylearn fetch DIR {name} --no-extract` downloads the archive itself",
            brought.left_out.join(", ")
        ));
    }
    // Checked again: the download may have taken a while.
    staging.may_replace(replaceable());
    staging.publish(&what, &brought, fetch.overwrite)?;
    FetchManifest::keep(&context.environment, fetch.folder, name, &brought.files)?;
    if all_of_it {
        // If this fails, `clean` only reports once more that there are results to fetch.
        let _ = disk::write(&known.job.folder.with_extension(FETCHED), PRIVATE, |_| Ok(()));
    }
    Ok(Fetched { brought, _staging: Some(staging) })
}

/// Whether a job's folder holds results of which there may be no other copy.
pub fn has_unfetched(folder: &Path) -> bool {
    let is_result = |name: &Path| name.extension().is_some_and(|extension| extension == "gz");
    let entries = Folder::open(folder).and_then(|folder| folder.entries()).unwrap_or_default();
    !folder.with_extension(FETCHED).exists() && entries.iter().any(|entry| is_result(Path::new(&entry.name)))
}

/// A result to download.
struct Wanted<'a> {
    artifact: &'a Artifact,
    /// The archive's name in the target folder, if it stays packed.
    archive: &'static str,
    /// The subfolder for its files otherwise; empty for the target folder itself.
    folder: &'static str,
}

/// Downloads one result into the staging folder, and unpacks it if wanted. Returns the paths of its files in the
/// target folder.
async fn bring(
    context: &Context,
    known: &JobHandle<'_>,
    fetch: &Fetch<'_>,
    staging: &Staging,
    wanted: &Wanted<'_>,
) -> Result<Downloaded> {
    let Wanted { artifact, archive, folder } = *wanted;
    let show: Listener<'_> = &|progress| {
        if let Progress::Bytes { what, done, total } = progress {
            context.ui.say(&Event::Progress { what, done, total });
        }
    };
    let archive_as_it_is = match &artifact.place {
        Place::Archive(place) if fetch.no_extract => Some(place),
        Place::Archive(_) | Place::Folder(_) => None,
    };
    if !fetch.overwrite {
        staging.refuse(Path::new(if archive_as_it_is.is_some() { archive } else { folder }))?;
    }
    if let Some(place) = archive_as_it_is {
        let target = At::new(&staging.tree()?, archive);
        bring_packed(context, known, staging, place, &target, show).await?;
        let size = target.folder.facts(&target.name).map(|facts| facts.size).unwrap_or(0);
        return Ok(Downloaded { files: vec![archive.into()], size, ..Downloaded::default() });
    }
    let tree = staging.tree()?.make_below(Path::new(folder));
    let tree = tree.context(|| format!("cannot create {folder} in {}", fetch.folder.display()))?;
    let beside = (!fetch.overwrite && folder.is_empty()).then(|| staging.beside());
    let mut brought = match &artifact.place {
        Place::Archive(place) => {
            let unpack = Unpack { name: archive.to_owned(), tree, beside };
            let read = move |archive: StreamReader| unpack.run(archive.size(), archive);
            read_archive(context, known, staging, place, show, read).await?
        }
        Place::Folder(files) => {
            let name = match files {
                Files::S3(place) => place.to_string(),
                Files::Web(_) => format!("the {} of the job {}", artifact.kind.name(), known.job.name),
            };
            context.ui.stage(&format!("Downloading {name}"));
            let to = Destination { name, coming: staging.coming()?, tree, beside };
            match files {
                Files::S3(place) => {
                    let objects = context.services.aws(known.job.options.aws()).objects_below(place).await?;
                    transfer::download_all(objects, &to, show).await?
                }
                Files::Web(files) => {
                    let object = |(name, size, address): &(String, u64, Url)| {
                        (name.clone(), *size, known.driver.web_file(&known.job, address))
                    };
                    transfer::download_all(files.iter().map(object).collect(), &to, show).await?
                }
            }
        }
    };
    staging.drop_archive();
    brought.files = brought.files.iter().map(|file| Path::new(folder).join(file)).collect();
    Ok(brought)
}

/// Reads an archive while it is still being downloaded.
async fn read_archive<T: Send + 'static>(
    context: &Context,
    known: &JobHandle<'_>,
    staging: &Staging,
    place: &Archive,
    show: Listener<'_>,
    read: impl FnOnce(StreamReader) -> Result<T> + Send + 'static,
) -> Result<T> {
    match place {
        Archive::JobFile(file) => {
            context.ui.stage(&format!("Unpacking {file}"));
            transfer::local(&job_file(known, file)?, show, read).await
        }
        Archive::S3(place) => {
            context.ui.stage(&format!("Downloading {place}"));
            let object = context.services.aws(known.job.options.aws()).object(place).await?;
            transfer::download(&object, &staging.archive(), show, read).await
        }
        Archive::Web(address) => {
            let file = known.driver.web_file(&known.job, address);
            context.ui.stage(&format!("Downloading {file}"));
            transfer::download(&file, &staging.archive(), show, read).await
        }
    }
}

/// Downloads an archive and keeps it packed.
async fn bring_packed(
    context: &Context,
    known: &JobHandle<'_>,
    staging: &Staging,
    place: &Archive,
    target: &At,
    show: Listener<'_>,
) -> Result<()> {
    if let Archive::JobFile(file) = place {
        return transfer::copy(&job_file(known, file)?, target).map(drop);
    }
    read_archive(context, known, staging, place, show, |_| Ok(())).await?;
    staging.take_archive(target)
}

/// A file in the job's folder, to which its driver can write.
fn job_file(known: &JobHandle<'_>, file: &str) -> Result<At> {
    let folder = Folder::open(&known.job.folder);
    let folder = folder.map_err(|error| disk::cannot_read(&known.job.folder, error))?;
    Ok(At::new(&folder, file))
}

fn nothing(known: &JobHandle<'_>, fetch: &Fetch<'_>, artifacts: &[Artifact]) -> Error {
    let name = &known.job.name;
    let left = |kind| artifacts.iter().any(|artifact| artifact.kind == kind);
    let what = match (fetch.output_data, fetch.checkpoints) {
        (false, false) => "no model",
        (true, false) => "no model and no output data",
        (false, true) => "no model and no checkpoints",
        (true, true) => "no files",
    };
    let error = Error::new(Kind::NotFound, format!("the job {name} left {what}"));
    let other = if !fetch.output_data && left(ArtifactKind::OutputData) {
        " --output-data"
    } else if !fetch.checkpoints && left(ArtifactKind::Checkpoints) {
        " --checkpoints"
    } else {
        return error.hint(format!(
            "`alekseylearn status {name}` shows how it ended, and `alekseylearn logs {name}` shows its log"
        ));
    };
    error.hint(format!("download its other data: `alekseylearn fetch DIR {name}{other}`"))
}
