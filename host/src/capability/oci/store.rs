//! Layers and what is known about images, in the cache folder. A layer is named by its digest. Files appear whole or not at
//! all, so that several programs can share the folder, and a killed one leaves nothing broken.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::{
    disk::{Folder, PRIVATE, Partial},
    environment::Environment,
    error::{Context, Error, Result},
};

/// Changes if records, or what is made from the same inputs, change: what an older version kept is not read.
pub(super) const FORMAT: u32 = 1;
/// Maximum size of a record in bytes.
const MAX_RECORD: u64 = 16 << 20;
/// How long a record stays without being used.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// A record that was used within this time is not marked again.
const MARKED: Duration = Duration::from_secs(24 * 3600);
/// A layer that no record names is kept this long: another program may be about to name it.
const SPARED: Duration = Duration::from_secs(3600);

/// A layer that was made on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// The digest of the compressed layer, `sha256:…`.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
    /// The digest of the uncompressed layer, `sha256:…`.
    pub diff_id: String,
    /// The file's identity and times when it was hashed. If they differ, it is hashed again.
    pub(super) stamp: Option<[i64; 4]>,
}

/// The folder with the layers and records.
#[derive(Clone, Debug)]
pub(super) struct Store {
    folder: PathBuf,
    layers: Folder,
    records: Folder,
}

impl Store {
    pub(super) fn open(cache: &Path) -> Result<Self> {
        let folder = cache.join("oci");
        let open = |name: &str| -> Result<Folder> {
            let path = folder.join(name);
            Environment::private_folder(&path)?;
            Folder::open(&path).context(|| format!("cannot open the folder {}", path.display()))
        };
        Ok(Self { layers: open("layers")?, records: open("records")?, folder })
    }

    /// The folder for other files, such as the installer's.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What is known under a key; `None` if nothing is, or the file is damaged.
    pub(super) fn record<T: DeserializeOwned>(&self, kind: &str, key: &str) -> Option<T> {
        let name = name_of(kind, key);
        let bytes = self.records.read(Path::new(&name), MAX_RECORD).ok()?;
        let (sum, text) = bytes.split_at_checked(64)?;
        if hex::encode(Sha256::digest(text)).as_bytes() != sum {
            return None;
        }
        let known = serde_json::from_slice(text).ok()?;
        let file = self.records.open_file(Path::new(&name)).ok()?;
        if age(&file).is_some_and(|age| age > MARKED) {
            // If it cannot be marked as used, it is only removed sooner.
            let _ = self.write(&name, text);
        }
        Some(known)
    }

    /// Keeps what is known under a key. If that fails, it is only found out again.
    pub(super) fn keep<T: Serialize>(&self, kind: &str, key: &str, known: &T) {
        if let Ok(text) = serde_json::to_vec(known) {
            let _ = self.write(&name_of(kind, key), &text);
        }
    }

    fn write(&self, name: &str, text: &[u8]) -> io::Result<()> {
        let mut partial = self.records.begin(Path::new(name), PRIVATE)?;
        partial.file_mut().write_all(hex::encode(Sha256::digest(text)).as_bytes())?;
        partial.file_mut().write_all(text)?;
        partial.commit_unsynced()
    }

    pub(super) fn begin(&self) -> io::Result<Partial> {
        self.layers.begin(Path::new("layer"), PRIVATE)
    }

    /// Names a complete layer by its digest.
    pub(super) fn commit(&self, partial: Partial, layer: Layer) -> io::Result<Layer> {
        partial.commit_as(OsStr::new(hex_of(&layer.digest)))?;
        let stamp = stamp(&self.open_layer(&layer.digest)?);
        Ok(Layer { stamp, ..layer })
    }

    pub(super) fn open_layer(&self, digest: &str) -> io::Result<File> {
        self.layers.open_file(Path::new(hex_of(digest)))
    }

    /// Whether a layer is here and undamaged. It is read only if its file has changed since it was hashed.
    pub(super) fn has(&self, layer: &Layer) -> bool {
        let Ok(file) = self.open_layer(&layer.digest) else { return false };
        if file.metadata().map_or(true, |data| data.len() != layer.size) {
            return false;
        }
        (layer.stamp.is_some() && stamp(&file) == layer.stamp) || self.is_undamaged(layer)
    }

    /// Whether a layer has the content that its name says.
    pub(super) fn is_undamaged(&self, layer: &Layer) -> bool {
        let file = self.open_layer(&layer.digest);
        file.and_then(|mut file| digest_of(&mut file)).is_ok_and(|digest| digest == layer.digest)
    }

    /// Removes a damaged layer.
    pub(super) fn drop_layer(&self, digest: &str) {
        let _ = self.layers.remove_file(Path::new(hex_of(digest)));
    }

    /// Removes records that were not used for a month, and layers that no record names.
    pub(super) fn tidy(&self) {
        let mut named = Vec::new();
        for entry in self.records.entries().unwrap_or_default() {
            let path = Path::new(&entry.name);
            let Ok(mut file) = self.records.open_file(path) else { continue };
            if age(&file).is_some_and(|age| age > KEPT) {
                let _ = self.records.remove_file(path);
                continue;
            }
            let mut text = String::new();
            if (&mut file).take(MAX_RECORD).read_to_string(&mut text).is_ok() {
                named.push(text);
            }
        }
        for entry in self.layers.entries().unwrap_or_default() {
            let Some(name) = entry.name.to_str().filter(|name| name.len() == 64) else { continue };
            let file = self.layers.open_file(Path::new(name)).ok();
            let is_old = file.and_then(|file| age(&file)).is_some_and(|age| age > SPARED);
            if is_old && !named.iter().any(|text| text.contains(name)) {
                let _ = self.layers.remove_file(Path::new(name));
            }
        }
    }
}

/// The error for a layer that cannot be written.
pub(super) fn cannot_write(error: io::Error) -> Error {
    let hint = "free some disk space if the disk is full, or set XDG_CACHE_HOME to a folder on another disk";
    Error::failed("cannot write a layer of the image").hint(hint).source(error)
}

/// The hash of a file from its current position, `sha256:…`.
fn digest_of(file: &mut File) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(format!("sha256:{}", hex::encode(hash.finalize()))),
            read => hash.update(&buffer[..read]),
        }
    }
}

fn name_of(kind: &str, key: &str) -> String {
    format!("{kind}-{FORMAT}-{key}.json")
}

fn hex_of(digest: &str) -> &str {
    digest.strip_prefix("sha256:").unwrap_or(digest)
}

fn age(file: &File) -> Option<Duration> {
    SystemTime::now().duration_since(file.metadata().ok()?.modified().ok()?).ok()
}

fn stamp(file: &File) -> Option<[i64; 4]> {
    use std::os::unix::fs::MetadataExt;
    let data = file.metadata().ok()?;
    Some([data.ino().cast_signed(), data.mtime(), data.mtime_nsec(), data.dev().cast_signed()])
}
