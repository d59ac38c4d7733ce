//! Files in and out of containers, by the engine's tar streams: nothing is mounted, so nothing on the user's disk is
//! ever owned by root, and it works the same with an engine on another machine.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use bollard::query_parameters::DownloadFromContainerOptionsBuilder;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;

use super::{Engine, explain, failure};
use crate::{
    disk::{Folder, PRIVATE, Partial},
    error::{Context, Error, Result},
};

/// As much of one file as `read` gives.
const LONGEST_READ: u64 = 64 << 10;

/// A tar stream of a few small files.
pub(super) fn of_files(files: &[(String, Vec<u8>)]) -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let path = Path::new(path.trim_start_matches('/'));
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, content.as_slice())
            .context(|| format!("cannot send {} to the container", path.display()))?;
    }
    tar.into_inner().context(|| "cannot send files to the container".into())
}

impl Engine {
    /// The beginning of a file in a container; none where there is no such file.
    ///
    /// # Errors
    /// There is no such container, or the engine does not answer.
    pub async fn read(&self, name: &str, path: &str) -> Result<Option<Vec<u8>>> {
        let Some(stream) = self.download(name, path).await? else { return Ok(None) };
        let mask = self.secrets_of(name).await?;
        blocking(stream, move |tar| {
            let mut archive = tar::Archive::new(tar);
            for entry in archive.entries()? {
                let entry = entry?;
                if entry.header().entry_type().is_file() {
                    let mut content = Vec::new();
                    entry.take(LONGEST_READ).read_to_end(&mut content)?;
                    return Ok(Some(mask.bytes(content)));
                }
            }
            Ok(None)
        })
        .await
        .context(|| format!("cannot read {path} of the container {name}"))
    }

    /// A folder's content in all of these containers together, as a `.tar.gz`, flat: the folder itself has no part in
    /// the names. Of what several have under one name, the first one's is taken. False where there is no such folder,
    /// or an empty one; then no archive is left. `archive` is a path below the folder `to`.
    ///
    /// # Errors
    /// There is no such container, or the disk is full.
    pub async fn collect(&self, names: &[String], folder: &str, to: &Folder, archive: &Path) -> Result<bool> {
        let failed = |name: &str, error| {
            Error::failed(format!("cannot bring {folder} of the container {name} to {}", archive.display()))
                .hint("the container is kept: free some disk if that is full, and ask again")
                .source(error)
        };
        let mut packing = None;
        for name in names {
            let Some(stream) = self.download(name, folder).await? else { continue };
            let mut begun: Packing = match packing.take() {
                Some(packing) => packing,
                None => Packing::begin(to, archive).map_err(|error| failed(name, error))?,
            };
            let packed = blocking(stream, move |tar| begun.add(tar).map(|()| begun)).await;
            packing = Some(packed.map_err(|error| failed(name, error))?);
        }
        let Some(packing) = packing else { return Ok(false) };
        packing.complete().map_err(|error| failed(names.last().map_or("", String::as_str), error))
    }

    /// None where there is no such path.
    async fn download(&self, name: &str, path: &str) -> Result<Option<impl Stream<Item = Part> + use<>>> {
        let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
        let mut stream = Box::pin(self.docker.download_from_container(name, Some(options)));
        match stream.next().await {
            Some(Ok(first)) => Ok(Some(futures_util::stream::iter([Ok(first)]).chain(stream))),
            None => Ok(None),
            Some(Err(error)) if failure::is_not_found(&error) => match self.container(name).await? {
                Some(_) => Ok(None),
                None => Err(failure::no_container(name)),
            },
            Some(Err(error)) => Err(explain(&format!("cannot read {path} of the container {name}"), error)),
        }
    }
}

type Part = std::result::Result<Bytes, bollard::errors::Error>;

/// Hands a stream to code that reads it on a thread of its own.
async fn blocking<T: Send + 'static>(
    stream: impl Stream<Item = Part>,
    read: impl FnOnce(Reader) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (sender, receiver) = mpsc::channel(4);
    let task = tokio::task::spawn_blocking(move || read(Reader { receiver, rest: Bytes::new() }));
    let mut stream = std::pin::pin!(stream);
    while let Some(part) = stream.next().await {
        // The reader may have seen enough.
        if sender.send(part.map_err(io::Error::other)).await.is_err() {
            break;
        }
    }
    drop(sender);
    task.await.map_err(io::Error::other)?
}

struct Reader {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    rest: Bytes,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.receiver.blocking_recv() {
                Some(part) => self.rest = part?,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.rest.len());
        buffer[..length].copy_from_slice(&self.rest.split_to(length));
        Ok(length)
    }
}

/// An archive on its way, from the tar streams of one folder after the other.
struct Packing {
    packed: tar::Builder<GzEncoder<File>>,
    partial: Partial,
    names: HashSet<PathBuf>,
}

impl Packing {
    fn begin(to: &Folder, archive: &Path) -> io::Result<Self> {
        let partial = to.begin(archive, PRIVATE)?;
        let packed = tar::Builder::new(GzEncoder::new(partial.file().try_clone()?, Compression::fast()));
        Ok(Self { packed, partial, names: HashSet::new() })
    }

    fn add(&mut self, tar: impl Read) -> io::Result<()> {
        let packed = &mut self.packed;
        let mut archive = tar::Archive::new(tar);
        for entry in archive.entries()? {
            let mut entry = entry?;
            let Some(path) = without_top(&entry.path()?) else { continue };
            if !self.names.insert(path.clone()) {
                continue;
            }
            let mut header = entry.header().clone();
            // Who owned it in the container means nothing here.
            header.set_uid(0);
            header.set_gid(0);
            header.set_username("root").and_then(|()| header.set_groupname("root"))?;
            match entry.header().entry_type() {
                tar::EntryType::Link => {
                    let target = entry.link_name()?.and_then(|target| without_top(&target));
                    packed.append_link(&mut header, &path, target.unwrap_or_default())?;
                }
                tar::EntryType::Symlink => {
                    let target = entry.link_name()?.unwrap_or_default().into_owned();
                    packed.append_link(&mut header, &path, target)?;
                }
                _ => {
                    // A size beyond 8 GiB stands in an extension of the header.
                    header.set_size(entry.size());
                    packed.append_data(&mut header, &path, &mut entry)?;
                }
            }
        }
        Ok(())
    }

    /// Whether there was anything; else no archive is left.
    fn complete(self) -> io::Result<bool> {
        self.packed.into_inner()?.finish()?.flush()?;
        if self.names.is_empty() {
            return Ok(false);
        }
        self.partial.commit()?;
        Ok(true)
    }
}

/// The engine puts the folder's own name in front of everything.
fn without_top(path: &Path) -> Option<PathBuf> {
    let mut parts = path.components();
    parts.next();
    let rest = parts.as_path();
    (!rest.as_os_str().is_empty()).then(|| rest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar_of(files: &[(&str, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            if path.ends_with('/') {
                header.set_entry_type(tar::EntryType::Directory);
            }
            header.set_uid(1000);
            header.set_mode(0o600);
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, path, content.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap()
    }

    #[test]
    fn packing_drops_the_folder_and_its_owners_and_keeps_the_first_of_each_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.tar.gz");
        let mut packing =
            Packing::begin(&Folder::open(folder.path()).unwrap(), Path::new("model.tar.gz")).unwrap();
        packing.add(tar_of(&[("model/", ""), ("model/a/b.txt", "first")]).as_slice()).unwrap();
        packing
            .add(tar_of(&[("model/", ""), ("model/a/b.txt", "other"), ("model/c", "x")]).as_slice())
            .unwrap();
        assert!(packing.complete().unwrap());
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(File::open(&path).unwrap()));
        let entries: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut content = String::new();
                entry.read_to_string(&mut content).unwrap();
                (entry.path().unwrap().display().to_string(), entry.header().uid().unwrap(), content)
            })
            .collect();
        assert_eq!(entries, [("a/b.txt".into(), 0, "first".into()), ("c".into(), 0, "x".into())]);
    }

    #[test]
    fn of_empty_folders_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let mut packing =
            Packing::begin(&Folder::open(folder.path()).unwrap(), Path::new("model.tar.gz")).unwrap();
        packing.add(tar_of(&[("model/", "")]).as_slice()).unwrap();
        assert!(!packing.complete().unwrap());
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}
