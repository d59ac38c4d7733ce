//! Downloads many objects into a folder, in parallel and each in parts. Code on another machine chose their names, so
//! these are not trusted.

use std::{
    collections::BTreeSet,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    disk_space,
    download::{Part, TICK, verify},
    parts::Parts,
    source::Source,
    staging::{At, Beside, Downloaded},
    unpack::{MAX_ENTRIES, safe_path},
};
use crate::{
    capability::{Listener, Progress},
    disk::Folder,
    error::{Context, Error, Kind, Result},
};

/// Maximum number of parallel objects and parts. Small objects mostly wait for the service.
const AT_ONCE: usize = 16;

/// The destination of objects.
pub struct Destination {
    /// The name of all objects in messages.
    pub name: String,
    /// The folder of the downloads, under our names. The next run resumes those of a killed one.
    pub coming: Folder,
    /// The folder that all are moved to in the end, under their own names.
    pub tree: Folder,
    /// Existing files that must not be replaced; `None` if they may be.
    pub beside: Option<Beside>,
}

/// Downloads all objects, given with names and sizes. The memory that it needs does not depend on their sizes.
///
/// # Errors
/// A name leads out of the folder, an object is gone, changed or damaged, the disk is full, or the service cannot be
/// reached.
pub async fn download_all<S: Source>(
    objects: Vec<(String, u64, S)>,
    to: &Destination,
    listener: Listener<'_>,
) -> Result<Downloaded> {
    let hostile = |what: String| {
        Error::failed(format!("{} is unsafe: {what}", to.name))
            .hint("check who wrote it; nothing was written")
    };
    if objects.len() > MAX_ENTRIES {
        return Err(hostile(format!("it has more than {MAX_ENTRIES} files")));
    }
    let mut names = BTreeSet::new();
    for (name, ..) in &objects {
        let path = safe_path(Path::new(name)).map_err(hostile)?;
        if let Some(beside) = &to.beside {
            beside.refuse(&path)?;
        }
        if !names.insert(path) {
            return Err(hostile(format!("it has {name} twice")));
        }
    }
    // A file's name cannot be a folder's too. After sorting, a folder's entries follow its name.
    let clash = names.iter().zip(names.iter().skip(1)).find(|(one, next)| next.starts_with(one));
    if let Some((one, _)) = clash {
        return Err(hostile(format!("{} is both a file and a folder in it", one.display())));
    }

    let total = objects.iter().fold(0, |total: u64, (_, size, _)| total.saturating_add(*size));
    let done = Arc::new(AtomicU64::new(0));
    let way = Way {
        folder: to.coming.path().into(),
        done: done.clone(),
        at_once: Arc::new(Semaphore::new(AT_ONCE)),
    };
    let mut waiting = objects.iter();
    let mut coming = JoinSet::new();
    let mut ticks = tokio::time::interval(TICK);
    let tell = |done| listener(Progress::Bytes { what: "downloading", done, total: Some(total) });
    disk_space::make_sure_of(total.saturating_sub(size_of(&to.coming)), &to.coming)?;
    loop {
        while coming.len() < AT_ONCE
            && let Some((name, size, from)) = waiting.next()
        {
            let (way, from, at, size) = (way.clone(), from.clone(), At::new(&to.coming, place(name)), *size);
            coming.spawn(async move { way.bring(&from, size, &at).await });
        }
        if coming.is_empty() {
            break;
        }
        tokio::select! {
            Some(came) = coming.join_next() => came.context(|| format!("cannot download {}", to.name))??,
            _ = ticks.tick() => tell(done.load(Ordering::Relaxed)),
        }
    }
    tell(total);
    let mut brought = Downloaded::default();
    for (name, ..) in &objects {
        let path = safe_path(Path::new(name)).map_err(hostile)?;
        let settled = settle(&At::new(&to.coming, place(name)), &to.tree, &path);
        brought.size += settled.map_err(|error| disk_space::cannot_write(to.tree.path(), error))?;
        brought.files.push(path);
    }
    brought.files.sort();
    Ok(brought)
}

/// The download's path for an object of this name.
fn place(name: &str) -> String {
    hex::encode(Sha256::digest(name))
}

/// The size of everything that was already downloaded.
fn size_of(folder: &Folder) -> u64 {
    let entries = folder.entries().unwrap_or_default();
    entries.iter().filter_map(|entry| folder.facts(Path::new(&entry.name)).ok()).map(|facts| facts.size).sum()
}

/// Moves a downloaded object to the tree, and returns its size.
fn settle(from: &At, tree: &Folder, path: &Path) -> io::Result<u64> {
    if let Some(parent) = path.parent() {
        tree.make_below(parent)?;
    }
    from.folder.rename(&from.name, tree, path)?;
    from.folder.remove_file(&from.notes())?;
    Ok(tree.facts(path)?.size)
}

/// What all downloads share.
#[derive(Clone)]
struct Way {
    folder: Arc<Path>,
    done: Arc<AtomicU64>,
    at_once: Arc<Semaphore>,
}

impl Way {
    async fn bring<S: Source>(&self, from: &S, size: u64, at: &At) -> Result<()> {
        let object = from.describe().await?.ok_or_else(|| {
            Error::new(Kind::Conflict, format!("{from} was deleted during the download"))
                .hint("fetch it again; nothing was written")
        })?;
        // An incomplete or changed object must not be used as the result.
        if object.size != size {
            let message = format!("{from} has {} bytes, but was listed with {size}", object.size);
            return Err(Error::new(Kind::Conflict, message).hint("fetch it again; nothing was written"));
        }
        let cannot_write = |error| disk_space::cannot_write(&self.folder, error);
        let (mut parts, file) = Parts::open(at, &object).map_err(cannot_write)?;
        self.done.fetch_add(parts.bytes(), Ordering::Relaxed);
        let part = Part {
            from: from.clone(),
            etag: object.etag.clone(),
            folder: self.folder.clone(),
            file: Arc::new(file),
            algorithm: parts.algorithm(),
            done: self.done.clone(),
        };
        let missing: Vec<_> =
            parts.missing().into_iter().map(|number| (number, parts.range(number))).collect();
        let mut coming = stream::iter(missing)
            .map(|(number, range)| {
                let (part, at_once) = (part.clone(), self.at_once.clone());
                async move {
                    let _permit = at_once.acquire().await.context(|| "the download ended".to_owned())?;
                    Ok::<_, Error>((number, part.bring(range).await?))
                }
            })
            .buffer_unordered(AT_ONCE);
        while let Some((number, sum)) = coming.try_next().await? {
            parts.arrived(number, sum).map_err(cannot_write)?;
        }
        verify(from, &object, &parts)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fmt, ops::Range, path::PathBuf, sync::Mutex};

    use super::*;
    use crate::capability::transfer::{Bytestream, Object};

    type Names = Arc<Mutex<Vec<String>>>;

    /// Objects in memory, and which of them were read.
    #[derive(Clone)]
    struct Kept {
        name: String,
        all: Arc<BTreeMap<String, Vec<u8>>>,
        read: Names,
    }

    impl fmt::Display for Kept {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.name)
        }
    }

    impl Source for Kept {
        async fn describe(&self) -> Result<Option<Object>> {
            let size = self.all[&self.name].len() as u64;
            // One of them is not what its service says.
            let checksum = (self.name == "damaged").then_some((crc_fast::CrcAlgorithm::Crc32IsoHdlc, 1));
            Ok(Some(Object { size, etag: Some("e".into()), checksum, in_parts: true }))
        }

        async fn read(&self, range: Range<u64>, _: Option<String>) -> Result<Bytestream> {
            if self.name == "refused" {
                return Err(Error::new(Kind::Unavailable, "not now"));
            }
            self.read.lock().unwrap().push(self.name.clone());
            let range = range.start as usize..range.end as usize;
            let bytes = self.all[&self.name][range].to_vec();
            Ok(stream::once(async move { Ok(bytes.into()) }).boxed())
        }
    }

    fn objects(names: &[&str]) -> (Vec<(String, u64, Kept)>, Names) {
        let content = |name: &&str| ((*name).to_owned(), name.repeat(3).into_bytes());
        let all: Arc<BTreeMap<_, _>> = Arc::new(names.iter().map(content).collect());
        let read = Names::default();
        let object = |name: &&str| {
            let kept = Kept { name: (*name).to_owned(), all: all.clone(), read: read.clone() };
            ((*name).to_owned(), kept.all[*name].len() as u64, kept)
        };
        (names.iter().map(object).collect(), read)
    }

    fn destination(root: &Path) -> Destination {
        let below = |name| Folder::open(root).unwrap().make_below(Path::new(name)).unwrap();
        Destination { name: "it".into(), coming: below("coming"), tree: below("tree"), beside: None }
    }

    #[tokio::test]
    async fn objects_of_an_earlier_run_are_not_downloaded_again() {
        let root = tempfile::tempdir().unwrap();
        let to = destination(root.path());
        let (all, _) = objects(&["a", "deep/er/b", "refused"]);
        assert_eq!(download_all(all, &to, &|_| {}).await.unwrap_err().kind(), Kind::Unavailable);
        assert_eq!(to.tree.entries().unwrap().len(), 0);
        let (all, read) = objects(&["a", "deep/er/b", "c"]);
        let brought = download_all(all, &to, &|_| {}).await.unwrap();
        assert_eq!(brought.files, ["a", "c", "deep/er/b"].map(PathBuf::from));
        assert_eq!(brought.size, 3 + 3 + 27);
        assert_eq!(to.tree.read(Path::new("c"), 10).unwrap(), b"ccc");
        let read = read.lock().unwrap().clone();
        assert!(read.contains(&"c".to_owned()) && read.len() <= 3, "{read:?}");
    }

    #[tokio::test]
    async fn an_object_with_another_size_than_listed_is_refused() {
        for wrong in [0, 2, 50_000] {
            let root = tempfile::tempdir().unwrap();
            let to = destination(root.path());
            let (mut all, _) = objects(&["a", "b"]);
            all[1].1 = wrong;
            let error = download_all(all, &to, &|_| {}).await.unwrap_err();
            assert!(
                error.message().contains(&format!("has 3 bytes, but was listed with {wrong}")),
                "{error}"
            );
            assert_eq!(to.tree.entries().unwrap().len(), 0);
        }
    }

    #[tokio::test]
    async fn hostile_names_and_damaged_objects_leave_nothing() {
        for names in [
            &["ok", "../evil"][..],
            &["/evil"],
            &["a/../../evil"],
            &["a", "a/b"],
            &["a//b", "a/b"],
            &["a", "./a"],
            &[".alekseylearn-job/x"],
            &["ok", "damaged"],
        ] {
            let root = tempfile::tempdir().unwrap();
            let to = destination(root.path());
            let error = download_all(objects(names).0, &to, &|_| {}).await.unwrap_err();
            let said = error.message();
            assert!(
                said.contains("is unsafe") || said.contains("was damaged in transit"),
                "{names:?}: {error}"
            );
            assert_eq!(to.tree.entries().unwrap().len(), 0, "{names:?}");
        }
    }
}
