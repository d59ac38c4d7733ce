pub(super) mod amount;

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use amount::{age, size};

use super::completions;
use crate::{
    disk::{Folder, What},
    error::{Context as _, Error, Result},
    job::{self, Context, Query, Record},
    ui::bytes,
};

/// List and remove stored images, jobs and caches
///
/// Without options, lists everything. Removes only what the options select, after you confirm. Keeps jobs that have not
/// ended, and the images that they run. Considers only images that alekseylearn built. Does not touch results in S3.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Only images and jobs with these tags, such as models/train
    #[arg(add = completions::tags())]
    tags: Vec<String>,

    /// Remove images from the Docker engine
    #[arg(long)]
    images: bool,

    /// Remove ended jobs from the record, and their results on this machine
    #[arg(long)]
    jobs: bool,

    /// Remove compiled drivers, and layers of images made without Docker; they are made again when needed
    #[arg(long, conflicts_with = "tags")]
    caches: bool,

    /// Only items older than this, such as 30d, 12h or 2w
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Option<Duration>,

    /// Only items larger than this, such as 1GB or 500MB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    larger_than: Option<u64>,

    /// Only list what would be removed
    #[arg(long, alias = "dry_run", conflicts_with = "yes")]
    dry_run: bool,

    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
}

const EXAMPLES: &str = "\
Examples:
  List everything and its size:
    alekseylearn clean

  Remove images older than a month:
    alekseylearn clean --images --older-than 30d

  Remove everything of one experiment:
    alekseylearn clean --images --jobs models/train";

/// The folder of the cache with the layers of images that were made without Docker.
const LAYERS: &str = "/oci";

/// One stored item.
#[derive(Debug, Serialize)]
struct Kept {
    kind: Kind,
    /// The name in the engine, the record or the file system.
    name: String,
    age_seconds: u64,
    bytes: u64,
    /// Why the item is kept, or what is removed with it.
    note: Option<String>,
    #[serde(skip)]
    stays: bool,
    removed: bool,
}

impl Kept {
    /// The name for people, with digests shortened.
    fn short_name(&self) -> String {
        match self.kind {
            Kind::Cache if self.name.ends_with(LAYERS) => "layers of images".to_owned(),
            Kind::Cache => {
                let file = self.name.rsplit('/').next().unwrap_or(&self.name);
                format!("driver {}", file.get(..12).unwrap_or(file))
            }
            _ if self.name.starts_with("sha256:") => self.name.get(..19).unwrap_or(&self.name).to_owned(),
            _ => self.name.clone(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Image,
    Job,
    Cache,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Job => "job",
            Self::Cache => "cache",
        }
    }
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let record = Record::open(&context.environment)?;
    let wants = wanted(arguments);
    let mut kept = images(context, &record, arguments, wants.contains(&Kind::Image)).await?;
    kept.extend(jobs(&record, arguments)?);
    if arguments.tags.is_empty() {
        kept.extend(caches(&context.environment.cache)?);
    }
    kept.retain(|kept| {
        arguments.older_than.is_none_or(|age| kept.age_seconds > age.as_secs())
            && arguments.larger_than.is_none_or(|size| kept.bytes > size)
            && (wants.is_empty() || wants.contains(&kept.kind))
    });
    let goes = |kept: &Kept| wants.contains(&kept.kind) && !kept.stays;
    let count = kept.iter().filter(|kept| goes(kept)).count();
    let total = bytes(kept.iter().filter(|kept| goes(kept)).map(|kept| kept.bytes).sum());
    if count == 0 || arguments.dry_run {
        let end = if wants.is_empty() {
            "Nothing was removed. Select what to remove with --images, --jobs or --caches.".to_owned()
        } else if count == 0 {
            "Nothing to remove.".to_owned()
        } else {
            format!("Would remove {count} of these, {total}.")
        };
        return tell(context, &kept, &end);
    }
    if !arguments.yes {
        let question = format!("{}\n\nRemove {count} of these, {total}?", listed(context, &kept));
        if !context.ui.ask(&question)? {
            return Err(
                Error::invalid("nothing was removed").hint("add --yes to remove without confirmation")
            );
        }
    }
    for job in kept.iter().filter(|kept| goes(kept) && kept.kind == Kind::Job) {
        if let Some(note) = &job.note {
            context.ui.warning(&format!("removing {} {note}", job.name));
        }
    }
    for kept in kept.iter_mut().filter(|kept| goes(kept)) {
        remove(context, &record, kept).await?;
    }
    let removed = kept.iter().filter(|kept| kept.removed).count();
    tell(context, &kept, &format!("Removed {removed}, up to {total}: images share layers."))
}

fn wanted(arguments: &Arguments) -> Vec<Kind> {
    let kinds =
        [(arguments.images, Kind::Image), (arguments.jobs, Kind::Job), (arguments.caches, Kind::Cache)];
    kinds.into_iter().filter_map(|(wanted, kind)| wanted.then_some(kind)).collect()
}

/// Lists the images. An engine that does not respond is an error only if images are to be removed.
async fn images(
    context: &Context,
    record: &Record,
    arguments: &Arguments,
    wanted: bool,
) -> Result<Vec<Kept>> {
    let listed = async { context.services.docker().await?.kept_images(None).await };
    let mut images = match listed.await {
        Ok(images) => images,
        Err(error) if wanted => return Err(error),
        Err(error) => {
            context.ui.warning(&format!("cannot list images: {}", error.chain()));
            return Ok(Vec::new());
        }
    };
    let tags = &arguments.tags;
    images.retain(|image| tags.is_empty() || tags.iter().any(|tag| image.is_of(tag)));
    let unfinished = Query { unfinished: true, ..Query::default() };
    let running: BTreeSet<String> =
        record.list(&unfinished)?.into_iter().filter_map(|job| job.image).collect();
    let now = Timestamp::now().as_second();
    let kept = images.into_iter().flat_map(|image| {
        let names = if image.names.is_empty() { vec![image.id] } else { image.names };
        let running = &running;
        names.into_iter().map(move |name| {
            let stays = running.contains(&name);
            Kept {
                kind: Kind::Image,
                age_seconds: now.saturating_sub(image.created).try_into().unwrap_or(0),
                bytes: image.size,
                note: stays.then(|| "used by a job that has not ended".to_owned()),
                stays,
                removed: false,
                name,
            }
        })
    });
    Ok(kept.collect())
}

fn jobs(record: &Record, arguments: &Arguments) -> Result<Vec<Kept>> {
    let tags = &arguments.tags;
    let mut jobs = record.all()?;
    jobs.retain(|job| tags.is_empty() || tags.contains(&job.tag));
    let now = Timestamp::now();
    let kept = jobs.into_iter().map(|job| {
        let stays = job.finished.is_none();
        let folder = record.place(&job.name);
        let note = if stays {
            Some(format!("kept: {}", job.state))
        } else if job::has_unfetched(&folder) {
            Some("with results that were not fetched".to_owned())
        } else {
            None
        };
        let age_seconds = now.duration_since(job.created).as_secs().try_into().unwrap_or(0);
        Kept {
            kind: Kind::Job,
            name: job.name,
            age_seconds,
            bytes: Folder::open(&folder).map_or(0, |folder| weight(&folder)),
            note,
            stays,
            removed: false,
        }
    });
    Ok(kept.collect())
}

fn caches(cache: &Path) -> Result<Vec<Kept>> {
    Ok(drivers(cache)?.into_iter().chain(layers(cache)).collect())
}

/// The layers of images that were made without Docker, as one item.
fn layers(cache: &Path) -> Option<Kept> {
    let name = format!("{}{LAYERS}", cache.display());
    let folder = Folder::open(Path::new(&name)).ok()?;
    let used = fs::metadata(folder.path().join("layers")).and_then(|data| data.modified()).ok()?;
    let age_seconds = used.elapsed().unwrap_or_default().as_secs();
    let bytes = weight(&folder);
    Some(Kept { kind: Kind::Cache, name, age_seconds, bytes, note: None, stays: false, removed: false })
}

fn drivers(cache: &Path) -> Result<Vec<Kept>> {
    let folder = cache.join("drivers");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).context(|| format!("cannot read {}", folder.display())),
    };
    let kept = entries.flatten().filter_map(|entry| {
        let data = entry.metadata().ok()?;
        Some(Kept {
            kind: Kind::Cache,
            name: entry.path().display().to_string(),
            age_seconds: data.modified().ok()?.elapsed().unwrap_or_default().as_secs(),
            bytes: data.len(),
            note: None,
            stays: false,
            removed: false,
        })
    });
    Ok(kept.collect())
}

/// The size of a folder's content, in bytes.
fn weight(folder: &Folder) -> u64 {
    let entries = folder.entries().unwrap_or_default();
    let weights =
        entries.iter().map(|entry| (Path::new(&entry.name), entry.what)).map(|(name, what)| match what {
            What::Folder => folder.below(name).map_or(0, |below| weight(&below)),
            _ => folder.facts(name).map_or(0, |facts| facts.size),
        });
    weights.sum()
}

async fn remove(context: &Context, record: &Record, kept: &mut Kept) -> Result<()> {
    kept.removed = match kept.kind {
        Kind::Image => context.services.docker().await?.remove_image(&kept.name).await?,
        Kind::Job => record.remove(&kept.name)?,
        Kind::Cache => {
            let path = Path::new(&kept.name);
            let (folder, name) = (path.parent().unwrap_or(path), path.file_name().unwrap_or_default());
            let removed = Folder::open(folder).and_then(|folder| folder.remove_all(Path::new(name)));
            removed.context(|| format!("cannot remove {}", kept.name))?;
            true
        }
    };
    if !kept.removed {
        kept.note = Some("kept: in use".to_owned());
    }
    Ok(())
}

fn tell(context: &Context, kept: &[Kept], end: &str) -> Result<()> {
    let text = format!("{}\n{end}", listed(context, kept));
    context.ui.result(text.trim_start(), json!({ "kept": kept }));
    Ok(())
}

fn listed(context: &Context, kept: &[Kept]) -> String {
    if kept.is_empty() {
        return String::new();
    }
    let rows: Vec<[String; 5]> = kept
        .iter()
        .map(|kept| {
            let note = kept.note.clone().unwrap_or_default();
            let size = bytes(kept.bytes);
            [kept.kind.name().to_owned(), amount::told(kept.age_seconds), size, kept.short_name(), note]
        })
        .collect();
    context.ui.table(["KIND", "AGE", "SIZE", "NAME", "NOTE"], &rows)
}
