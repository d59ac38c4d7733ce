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

/// List and remove what alekseylearn keeps: images, jobs and caches
///
/// Lists all of it where nothing is said; removes only what is asked for, after one question. Jobs that have not ended
/// stay, and so do the images that they run. Of the images in the engine only those that alekseylearn built are looked
/// at. Results in S3 are not touched.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Only of these tags, such as models/train
    #[arg(add = completions::tags())]
    tags: Vec<String>,

    /// Remove images from the Docker engine
    #[arg(long)]
    images: bool,

    /// Remove ended jobs from the record, and the results of those that ran on this machine
    #[arg(long)]
    jobs: bool,

    /// Remove compiled drivers, which are made again when they are needed
    #[arg(long, conflicts_with = "tags")]
    caches: bool,

    /// Only what is older than this, such as 30d, 12h or 2w
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Option<Duration>,

    /// Only what is larger than this, such as 1GB or 500MB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    larger_than: Option<u64>,

    /// Only list what would be removed
    #[arg(long, alias = "dry_run", conflicts_with = "yes")]
    dry_run: bool,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

const EXAMPLES: &str = "\
Examples:
  What is kept, and how much it takes:
    alekseylearn clean

  Remove images that are older than a month:
    alekseylearn clean --images --older-than 30d

  Remove all that is left of one experiment:
    alekseylearn clean --images --jobs models/train";

/// One thing that is kept.
#[derive(Debug, Serialize)]
struct Kept {
    kind: Kind,
    /// As the engine, the record or the disk has it.
    name: String,
    age_seconds: u64,
    bytes: u64,
    /// Why it stays, or what goes with it.
    note: Option<String>,
    #[serde(skip)]
    stays: bool,
    removed: bool,
}

impl Kept {
    /// For people: a digest's beginning tells as much as all of it.
    fn short_name(&self) -> String {
        match self.kind {
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
        let end = match () {
            () if wants.is_empty() => "Nothing was removed: --images, --jobs and --caches remove.".to_owned(),
            () if count == 0 => "There is nothing to remove.".to_owned(),
            () => format!("These would be removed: {count}, {total}."),
        };
        return tell(context, &kept, &end);
    }
    if !arguments.yes {
        let question = format!("{}\n\nRemove {count} of these, {total}?", listed(context, &kept));
        if !context.ui.ask(&question)? {
            return Err(Error::invalid("nothing was removed").hint("--yes removes without a question"));
        }
    }
    for job in kept.iter().filter(|kept| goes(kept) && kept.kind == Kind::Job) {
        if let Some(note) = &job.note {
            context.ui.warning(&format!("{} goes {note}", job.name));
        }
    }
    for kept in kept.iter_mut().filter(|kept| goes(kept)) {
        remove(context, &record, kept).await?;
    }
    let removed = kept.iter().filter(|kept| kept.removed).count();
    tell(context, &kept, &format!("Removed {removed}, {total} at most: images share layers."))
}

fn wanted(arguments: &Arguments) -> Vec<Kind> {
    let kinds =
        [(arguments.images, Kind::Image), (arguments.jobs, Kind::Job), (arguments.caches, Kind::Cache)];
    kinds.into_iter().filter_map(|(wanted, kind)| wanted.then_some(kind)).collect()
}

/// An engine that does not answer is only in the way of who wants to remove images.
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
            context.ui.warning(&format!("images are left out: {}", error.chain()));
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
                note: stays.then(|| "a job that has not ended runs it".to_owned()),
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
        let created = job.created.parse().unwrap_or(now);
        let stays = job.finished.is_none();
        let folder = record.place(&job.name);
        let note = match () {
            () if stays => Some(format!("it stays: {}", job.state)),
            () if job::has_unfetched(&folder) => Some("with results that were not fetched".to_owned()),
            () => None,
        };
        let age_seconds = now.duration_since(created).as_secs().try_into().unwrap_or(0);
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

/// What lies in a folder, in bytes.
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
            fs::remove_file(&kept.name).context(|| format!("cannot remove {}", kept.name))?;
            true
        }
    };
    if !kept.removed {
        kept.note = Some("it stays: it is in use".to_owned());
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
