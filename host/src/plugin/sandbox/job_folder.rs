//! The job's folder, which a driver sees as `/job`. It wraps wasmtime-wasi's file system and counts what a plugin
//! writes while this program runs. A call that exceeds the limits fails, and its writes are undone.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use rustix::fs::{AtFlags, statat};
use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::{
    async_trait,
    filesystem::{Descriptor, WasiFilesystemCtxView},
    p2::{
        DynInputStream, DynOutputStream, FsError, FsResult, OutputStream, Pollable, StreamError,
        StreamResult,
        bindings::filesystem::types::{self, HostDescriptor, HostDirectoryEntryStream},
    },
};

use super::{
    limits::{MAX_FILES, MAX_WRITTEN},
    state::CallState,
};
use crate::{
    disk::{Folder, PRIVATE, What},
    error::{Error, Kind},
};

/// What all calls of one plugin have written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    bytes: AtomicU64,
    /// The number of created files, minus the removed ones.
    files: AtomicI64,
}

impl Written {
    fn bytes(&self, more: u64) -> wasmtime::Result<()> {
        // An absurd size must not make the sum wrap around.
        let more = more.min(MAX_WRITTEN + 1);
        if self.bytes.fetch_add(more, Ordering::Relaxed) + more <= MAX_WRITTEN {
            return Ok(());
        }
        Err(too_much(&format!("it wrote more than {} MiB to /job", MAX_WRITTEN >> 20)))
    }

    fn files(&self, more: i64) -> wasmtime::Result<()> {
        if self.files.fetch_add(more, Ordering::Relaxed) + more <= MAX_FILES {
            return Ok(());
        }
        Err(too_much(&format!("it created more than {MAX_FILES} files in /job")))
    }

    fn is_too_much(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > MAX_WRITTEN || self.files.load(Ordering::Relaxed) > MAX_FILES
    }
}

fn too_much(message: &str) -> wasmtime::Error {
    Error::new(Kind::Plugin, message).into()
}

/// The identity of a file, independent of its name: device and inode number.
type Identity = (u64, u64);

/// The changes of one call to the folder.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    written: Arc<Written>,
    made: HashSet<Identity>,
    /// Existing files that were opened for writing, with their sizes before.
    found: HashMap<Identity, u64>,
}

impl Writes {
    pub(crate) fn new(written: Arc<Written>) -> Self {
        Self { written, ..Self::default() }
    }

    /// If the plugin exceeded the limits: removes the files that this call created, and truncates existing ones to
    /// their sizes before.
    pub(crate) fn undo(&self, folder: &Path) {
        if self.written.is_too_much() {
            // If this fails, the leftover is still within the limits.
            let _ = Folder::open(folder).and_then(|folder| self.undo_in(&folder));
        }
    }

    fn undo_in(&self, folder: &Folder) -> io::Result<()> {
        for entry in folder.entries()? {
            let name = Path::new(&entry.name);
            let Ok(facts) = folder.facts(name) else { continue };
            let _ = match (self.made.contains(&facts.identity), facts.what) {
                (true, _) => folder.remove_all(name),
                (false, What::Folder) => folder.below(name).and_then(|below| self.undo_in(&below)),
                (false, What::File) => match self.found.get(&facts.identity) {
                    Some(&length) if facts.size > length => {
                        folder.update(name, PRIVATE).and_then(|file| file.set_len(length))
                    }
                    _ => Ok(()),
                },
                (false, _) => Ok(()),
            };
        }
        Ok(())
    }

    fn opened(&mut self, file: &File, is_new: bool) -> wasmtime::Result<()> {
        let data = file.metadata()?;
        let identity = (data.dev(), data.ino());
        if is_new {
            self.made.insert(identity);
            return self.written.files(1);
        }
        if !self.made.contains(&identity) {
            self.found.entry(identity).or_insert(data.len());
        }
        Ok(())
    }

    fn made_at(&mut self, folder: &Descriptor, path: &str) -> wasmtime::Result<()> {
        if let Descriptor::Dir(folder) = folder {
            let data = statat(&folder.dir, path, AtFlags::SYMLINK_NOFOLLOW)?;
            #[allow(clippy::unnecessary_cast, reason = "their types are not the same on every system")]
            self.made.insert((data.st_dev as u64, data.st_ino as u64));
        }
        self.written.files(1)
    }
}

/// A view of the folder for one host call.
pub(crate) struct View<'a> {
    inner: WasiFilesystemCtxView<'a>,
    writes: &'a mut Writes,
}

/// The type argument for [`types::add_to_linker`].
pub(crate) struct JobFolder;

impl HasData for JobFolder {
    type Data<'a> = View<'a>;
}

impl CallState {
    pub(crate) fn job_folder(&mut self) -> View<'_> {
        let inner = WasiFilesystemCtxView { ctx: self.wasi.filesystem(), table: &mut self.table };
        View { inner, writes: &mut self.writes }
    }
}

impl View<'_> {
    fn counted(&mut self, stream: Resource<DynOutputStream>) -> FsResult<Resource<DynOutputStream>> {
        let inner = self.inner.table.delete(stream)?;
        let counted: DynOutputStream = Box::new(Counted { inner, written: self.writes.written.clone() });
        Ok(self.inner.table.push(counted)?)
    }
}

/// A file's output stream that counts the bytes written.
struct Counted {
    inner: DynOutputStream,
    written: Arc<Written>,
}

impl Counted {
    fn count(&self, bytes: &Bytes) -> StreamResult<()> {
        self.written.bytes(bytes.len() as u64).map_err(StreamError::Trap)
    }
}

#[async_trait]
impl OutputStream for Counted {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.count(&bytes)?;
        self.inner.write(bytes)
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.count(&bytes)?;
        self.inner.blocking_write_and_flush(bytes).await
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.inner.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.inner.check_write()
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

#[async_trait]
impl Pollable for Counted {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

impl types::Host for View<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<types::ErrorCode> {
        self.inner.convert_error_code(error)
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<types::ErrorCode>> {
        self.inner.filesystem_error_code(error)
    }
}

/// Forwards the functions that create nothing.
macro_rules! as_it_is {
    ($(async fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        $(async fn $name(&mut self, $($argument: $type),*) -> $result {
            self.inner.$name($($argument),*).await
        })*
    };
}

impl HostDescriptor for View<'_> {
    as_it_is! {
        async fn advise(file: Resource<Descriptor>, offset: u64, length: u64, advice: types::Advice) -> FsResult<()>;
        async fn sync_data(file: Resource<Descriptor>) -> FsResult<()>;
        async fn get_flags(file: Resource<Descriptor>) -> FsResult<types::DescriptorFlags>;
        async fn get_type(file: Resource<Descriptor>) -> FsResult<types::DescriptorType>;
        async fn set_times(
            file: Resource<Descriptor>, accessed: types::NewTimestamp, modified: types::NewTimestamp
        ) -> FsResult<()>;
        async fn read(file: Resource<Descriptor>, length: u64, offset: u64) -> FsResult<(Vec<u8>, bool)>;
        async fn read_directory(folder: Resource<Descriptor>) -> FsResult<Resource<types::DirectoryEntryStream>>;
        async fn sync(file: Resource<Descriptor>) -> FsResult<()>;
        async fn stat(file: Resource<Descriptor>) -> FsResult<types::DescriptorStat>;
        async fn stat_at(
            folder: Resource<Descriptor>, flags: types::PathFlags, path: String
        ) -> FsResult<types::DescriptorStat>;
        async fn set_times_at(
            folder: Resource<Descriptor>, flags: types::PathFlags, path: String,
            accessed: types::NewTimestamp, modified: types::NewTimestamp
        ) -> FsResult<()>;
        async fn readlink_at(folder: Resource<Descriptor>, path: String) -> FsResult<String>;
        async fn is_same_object(one: Resource<Descriptor>, other: Resource<Descriptor>) -> wasmtime::Result<bool>;
        async fn metadata_hash(file: Resource<Descriptor>) -> FsResult<types::MetadataHashValue>;
        async fn metadata_hash_at(
            folder: Resource<Descriptor>, flags: types::PathFlags, path: String
        ) -> FsResult<types::MetadataHashValue>;
    }

    fn read_via_stream(
        &mut self,
        file: Resource<Descriptor>,
        offset: u64,
    ) -> FsResult<Resource<DynInputStream>> {
        self.inner.read_via_stream(file, offset)
    }

    fn drop(&mut self, file: Resource<Descriptor>) -> wasmtime::Result<()> {
        HostDescriptor::drop(&mut self.inner, file)
    }

    async fn open_at(
        &mut self,
        folder: Resource<Descriptor>,
        path_flags: types::PathFlags,
        path: String,
        how: types::OpenFlags,
        flags: types::DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        let makes = how.contains(types::OpenFlags::CREATE);
        let is_new = makes && self.inner.stat_at(again(&folder), path_flags, path.clone()).await.is_err();
        let file = self.inner.open_at(folder, path_flags, path, how, flags).await?;
        if (makes || flags.contains(types::DescriptorFlags::WRITE))
            && let Descriptor::File(file) = self.inner.table.get(&file)?
        {
            self.writes.opened(&file.file, is_new).map_err(FsError::trap)?;
        }
        Ok(file)
    }

    async fn create_directory_at(&mut self, folder: Resource<Descriptor>, path: String) -> FsResult<()> {
        self.inner.create_directory_at(again(&folder), path.clone()).await?;
        self.writes.made_at(self.inner.table.get(&folder)?, &path).map_err(FsError::trap)
    }

    /// Refused, because the host, the user and other programs would follow a link out of the folder.
    async fn symlink_at(&mut self, _: Resource<Descriptor>, _: String, _: String) -> FsResult<()> {
        Err(types::ErrorCode::NotPermitted.into())
    }

    /// Refused, for the same reason as symbolic links.
    async fn link_at(
        &mut self,
        _: Resource<Descriptor>,
        _: types::PathFlags,
        _: String,
        _: Resource<Descriptor>,
        _: String,
    ) -> FsResult<()> {
        Err(types::ErrorCode::NotPermitted.into())
    }

    async fn rename_at(
        &mut self,
        folder: Resource<Descriptor>,
        path: String,
        new_folder: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        let none = types::PathFlags::empty();
        let replaced = self.inner.stat_at(again(&new_folder), none, new_path.clone()).await.is_ok();
        self.inner.rename_at(again(&folder), path.clone(), new_folder, new_path).await?;
        // Renaming a file to itself, or to another name of the same file, changes nothing.
        let moved = self.inner.stat_at(folder, none, path).await.is_err();
        self.writes.written.files(-i64::from(replaced && moved)).map_err(FsError::trap)
    }

    async fn unlink_file_at(&mut self, folder: Resource<Descriptor>, path: String) -> FsResult<()> {
        self.inner.unlink_file_at(folder, path).await?;
        self.writes.written.files(-1).map_err(FsError::trap)
    }

    async fn remove_directory_at(&mut self, folder: Resource<Descriptor>, path: String) -> FsResult<()> {
        self.inner.remove_directory_at(folder, path).await?;
        self.writes.written.files(-1).map_err(FsError::trap)
    }

    async fn set_size(&mut self, file: Resource<Descriptor>, size: u64) -> FsResult<()> {
        if let Descriptor::File(file) = self.inner.table.get(&file)? {
            let more = size.saturating_sub(file.file.metadata()?.len());
            self.writes.written.bytes(more).map_err(FsError::trap)?;
        }
        self.inner.set_size(file, size).await
    }

    async fn write(&mut self, file: Resource<Descriptor>, bytes: Vec<u8>, offset: u64) -> FsResult<u64> {
        self.writes.written.bytes(bytes.len() as u64).map_err(FsError::trap)?;
        self.inner.write(file, bytes, offset).await
    }

    fn write_via_stream(
        &mut self,
        file: Resource<Descriptor>,
        offset: u64,
    ) -> FsResult<Resource<DynOutputStream>> {
        let stream = self.inner.write_via_stream(file, offset)?;
        self.counted(stream)
    }

    fn append_via_stream(&mut self, file: Resource<Descriptor>) -> FsResult<Resource<DynOutputStream>> {
        let stream = self.inner.append_via_stream(file)?;
        self.counted(stream)
    }
}

fn again(descriptor: &Resource<Descriptor>) -> Resource<Descriptor> {
    Resource::new_borrow(descriptor.rep())
}

impl HostDirectoryEntryStream for View<'_> {
    async fn read_directory_entry(
        &mut self,
        entries: Resource<types::DirectoryEntryStream>,
    ) -> FsResult<Option<types::DirectoryEntry>> {
        self.inner.read_directory_entry(entries).await
    }

    fn drop(&mut self, entries: Resource<types::DirectoryEntryStream>) -> wasmtime::Result<()> {
        HostDirectoryEntryStream::drop(&mut self.inner, entries)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn undo_truncates_existing_files_and_keeps_those_of_the_host() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("old")).unwrap();
        fs::write(at("old/state"), "was").unwrap();
        let mut writes = Writes::default();
        writes.opened(&File::open(at("old/state")).unwrap(), false).unwrap();
        fs::write(at("old/state"), "was and more").unwrap();
        fs::create_dir(at("new")).unwrap();
        let job = File::open(folder.path()).unwrap();
        let job = wasmtime_wasi::filesystem::Dir::new(
            job,
            wasmtime_wasi::FsPerms::ReadWrite,
            wasmtime_wasi::OpenMode::READ,
            false,
        );
        writes.made_at(&Descriptor::Dir(job), "new").unwrap();
        fs::write(at("new/evil"), "").unwrap();
        fs::write(at("model.tar.gz"), "whole").unwrap();
        writes.undo(folder.path());
        assert!(at("new").exists(), "the limit was not exceeded");
        assert!(writes.written.bytes(u64::MAX).is_err() && writes.written.bytes(1).is_err());
        writes.undo(folder.path());
        assert!(!at("new").exists());
        assert_eq!(fs::read(at("old/state")).unwrap(), b"was");
        assert_eq!(fs::read(at("model.tar.gz")).unwrap(), b"whole");
    }
}
