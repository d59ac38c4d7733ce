//! Copies files into and out of containers with the engine's tar streams. Nothing is mounted, so no file on the user's
//! disk is owned by root, and an engine on another machine works the same.

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

use super::{Engine, explain, failure};
use crate::{
    capability::stream::blocking,
    disk::{Folder, PRIVATE, Partial},
    error::{Context, Error, Kind, Result},
};

/// Maximum number of bytes that `read` returns.
const MAX_READ: u64 = 64 << 10;

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
    /// The first bytes of a file in a container; `None` if there is no such file.
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
                    entry.take(MAX_READ).read_to_end(&mut content)?;
                    return Ok(Some(mask.bytes(content)));
                }
            }
            Ok(None)
        })
        .await
        .context(|| format!("cannot read {path} of the container {name}"))
    }

    /// Packs a folder of several containers into one `.tar.gz`. Names are relative to the folder. If several containers
    /// have the same name, the first one wins. Returns false if no container has the folder, or all are empty; then no
    /// archive is left. `archive` is a path below the folder `to`.
    ///
    /// # Errors
    /// There is no such container, or the disk is full.
    pub async fn collect(&self, names: &[String], folder: &str, to: &Folder, archive: &Path) -> Result<bool> {
        let failed = |name: &str, error| {
            Error::failed(format!("cannot save {folder} of the container {name} to {}", archive.display()))
                .hint("free some disk space if the disk is full, and run the command again; the container is kept")
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

    /// The tar stream of a path; `None` if there is no such path.
    async fn download(&self, name: &str, path: &str) -> Result<Option<impl Stream<Item = Part> + use<>>> {
        let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
        let mut stream = Box::pin(self.docker.download_from_container(name, Some(options)));
        match stream.next().await {
            Some(Ok(first)) => Ok(Some(futures_util::stream::iter([Ok(first)]).chain(stream))),
            None => Err(Error::new(
                Kind::Unavailable,
                format!("the Docker engine sent nothing of {path} of the container {name}"),
            )
            .hint("run the command again; the container is kept")),
            Some(Err(error)) if failure::is_not_found(&error) => match self.container(name).await? {
                Some(_) => Ok(None),
                None => Err(failure::no_container(name)),
            },
            Some(Err(error)) => Err(explain(&format!("cannot read {path} of the container {name}"), error)),
        }
    }
}

type Part = std::result::Result<Bytes, bollard::errors::Error>;

/// An archive that is written from several tar streams.
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
            // The container's owners do not exist here.
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
                    // A size beyond 8 GiB is in an extension of the header.
                    header.set_size(entry.size());
                    packed.append_data(&mut header, &path, &mut entry)?;
                }
            }
        }
        Ok(())
    }

    /// Finishes the archive. Returns false, and leaves no archive, if it would be empty.
    fn complete(self) -> io::Result<bool> {
        self.packed.into_inner()?.finish()?.flush()?;
        if self.names.is_empty() {
            return Ok(false);
        }
        self.partial.commit()?;
        Ok(true)
    }
}

/// A path without its first part: the engine prefixes all paths with the folder's name.
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
    fn empty_folders_leave_no_archive() {
        let folder = tempfile::tempdir().unwrap();
        let mut packing =
            Packing::begin(&Folder::open(folder.path()).unwrap(), Path::new("model.tar.gz")).unwrap();
        packing.add(tar_of(&[("model/", "")]).as_slice()).unwrap();
        assert!(!packing.complete().unwrap());
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}
