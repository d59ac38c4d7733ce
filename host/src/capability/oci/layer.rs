//! Writes layers: the same files give the same bytes, on any machine and at any time. A layer goes to its file while it is
//! written, whatever its size.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufWriter, Read, Write},
    path::Path,
};

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

use super::store::{Layer, Store};
use crate::disk::Partial;

/// The time of all files: 1980-01-02, because ZIP files, and so wheels, know no earlier one.
const TIME: u64 = 315_619_200;

/// A layer in the making.
pub struct LayerWriter {
    store: Store,
    partial: Partial,
    tar: tar::Builder<Hashing<GzEncoder<BufWriter<Hashing<File>>>>>,
    folders: BTreeSet<String>,
}

impl LayerWriter {
    pub(super) fn begin(store: &Store) -> io::Result<Self> {
        let partial = store.begin()?;
        let file = BufWriter::with_capacity(1 << 18, Hashing::new(partial.file().try_clone()?));
        let tar = tar::Builder::new(Hashing::new(GzEncoder::new(file, Compression::fast())));
        Ok(Self { store: store.clone(), partial, tar, folders: BTreeSet::new() })
    }

    /// Adds a file, with the folders above it. `path` is absolute in the image.
    ///
    /// # Errors
    /// The disk is full, or `content` has less than `size` bytes.
    pub fn file(&mut self, path: &str, size: u64, executable: bool, content: impl Read) -> io::Result<()> {
        self.parents(path)?;
        let mut header = header(tar::EntryType::Regular, if executable { 0o755 } else { 0o644 });
        header.set_size(size);
        let mut content = Counting { content: content.take(size), read: 0 };
        self.tar.append_data(&mut header, relative(path), &mut content)?;
        if content.read == size {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read"))
        }
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// The disk is full.
    pub fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.parents(path)?;
        let mut header = header(tar::EntryType::Symlink, 0o777);
        self.tar.append_link(&mut header, relative(path), target)
    }

    /// Adds a folder.
    ///
    /// # Errors
    /// The disk is full.
    pub fn folder(&mut self, path: &str) -> io::Result<()> {
        self.parents(&format!("{}/", path.trim_end_matches('/')))
    }

    /// Adds the folders above a path once. Those at the top, such as `/opt`, belong to the base image.
    fn parents(&mut self, path: &str) -> io::Result<()> {
        let path = relative(path);
        for (at, _) in path.match_indices('/').skip(1) {
            let folder = &path[..=at];
            if self.folders.insert(folder.to_owned()) {
                let mut header = header(tar::EntryType::Directory, 0o755);
                self.tar.append_data(&mut header, Path::new(folder), io::empty())?;
            }
        }
        Ok(())
    }

    /// Completes the layer.
    ///
    /// # Errors
    /// The disk is full.
    pub fn finish(self) -> io::Result<Layer> {
        let diff = self.tar.into_inner()?;
        let (gzip, diff_id) = diff.finish();
        let packed = gzip.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        let size = packed.written;
        let (_, digest) = packed.finish();
        self.store.commit(self.partial, Layer { digest, size, diff_id, stamp: None })
    }
}

fn relative(path: &str) -> &str {
    path.trim_start_matches('/')
}

fn header(kind: tar::EntryType, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(TIME);
    header.set_size(0);
    header
}

/// Hashes what is written to the inner writer.
struct Hashing<W> {
    out: W,
    hash: Sha256,
    written: u64,
}

impl<W: Write> Hashing<W> {
    fn new(out: W) -> Self {
        Self { out, hash: Sha256::new(), written: 0 }
    }

    /// The inner writer, and the digest of all that was written to it.
    fn finish(self) -> (W, String) {
        (self.out, format!("sha256:{}", hex::encode(self.hash.finalize())))
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

struct Counting<R> {
    content: R,
    read: u64,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(to)?;
        self.read += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use flate2::read::GzDecoder;

    use super::*;

    fn layer(store: &Store) -> Layer {
        let mut layer = LayerWriter::begin(store).unwrap();
        layer.file("/opt/a/b/run.sh", 2, true, &b"hi"[..]).unwrap();
        layer.link("/opt/a/python", "/usr/bin/python3").unwrap();
        layer.folder("/opt/a/empty").unwrap();
        layer.finish().unwrap()
    }

    #[test]
    fn equal_files_give_equal_layers() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [one, two] = folders.each_ref().map(|folder| layer(&Store::open(folder.path()).unwrap()));
        assert_eq!((&one.digest, &one.diff_id, one.size), (&two.digest, &two.diff_id, two.size));
        let file = Store::open(folders[0].path()).unwrap().open_layer(&one.digest).unwrap();
        let mut archive = tar::Archive::new(GzDecoder::new(file));
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.mtime().unwrap()), (0, TIME));
            (entry.path().unwrap().display().to_string(), header.mode().unwrap())
        });
        let expected = [
            ("opt/a/", 0o755),
            ("opt/a/b/", 0o755),
            ("opt/a/b/run.sh", 0o755),
            ("opt/a/python", 0o777),
            ("opt/a/empty/", 0o755),
        ];
        assert_eq!(entries.collect::<Vec<_>>(), expected.map(|(path, mode)| (path.to_owned(), mode)));
    }

    #[test]
    fn a_damaged_layer_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let layer = layer(&store);
        assert!(store.has(&layer) && store.has(&Layer { stamp: None, ..layer.clone() }));
        let path = folder.path().join("oci/layers").join(layer.digest.trim_start_matches("sha256:"));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[20] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(!store.has(&layer));
        store.drop_layer(&layer.digest);
        assert!(!store.has(&layer));
    }

    #[test]
    fn a_file_that_became_shorter_is_not_packed() {
        let folder = tempfile::tempdir().unwrap();
        let mut layer = LayerWriter::begin(&Store::open(folder.path()).unwrap()).unwrap();
        assert!(layer.file("/opt/a/b", 3, false, &b"hi"[..]).is_err());
    }
}
