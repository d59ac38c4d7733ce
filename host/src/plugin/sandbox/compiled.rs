//! The cache of compiled drivers. A driver is compiled once and reused until it or the engine changes.
//!
//! A compiled driver is native code that runs with all rights of this program. So a file is used only if nobody but
//! this user can have written it, and only if it is complete: it ends with a checksum over its content, the component's
//! digest and the engine's version.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use crc_fast::{CrcAlgorithm, Digest};
use wasmtime::{Engine, component::Component};

use crate::{
    disk::{self, Folder, PRIVATE, is_private},
    environment::Environment,
    error::{Context, Result},
};

/// Detects every change of a few bits or bytes, at the speed of memory.
const CHECKSUM: CrcAlgorithm = CrcAlgorithm::Crc64Nvme;
const CHECKSUM_BYTES: u64 = 8;
/// Small enough to fit a core's cache, and to need no memory mapping.
const CHUNK: usize = 64 << 10;
/// Files that were compiled longer ago are removed, such as those of older versions.
const MAX_KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// The folder of compiled drivers.
pub(crate) struct Compiled {
    folder: PathBuf,
}

impl Compiled {
    /// Opens the cache. Does not touch the disk yet.
    pub(crate) fn new(cache: &Path) -> Self {
        Self { folder: cache.join("drivers") }
    }

    /// The compiled form of the component with that digest; `None` if it is missing or cannot be trusted.
    pub(crate) fn load(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let name = name(engine, digest);
        let path = self.folder.join(&name);
        if !is_private(&self.folder.metadata().ok()?) || !is_whole(&path, &name).ok()? {
            return None;
        }
        // SAFETY: the checksum shows that `keep` below wrote the file, and its owner and mode show that this user did.
        // Whoever can write as this user can change this program too.
        unsafe { Component::deserialize_file(engine, path) }.ok()
    }

    /// Stores a compiled component.
    ///
    /// # Errors
    /// If the folder belongs to another user, or the disk is full.
    pub(crate) fn keep(&self, engine: &Engine, digest: &str, code: &[u8]) -> Result<()> {
        let name = name(engine, digest);
        let path = self.folder.join(&name);
        let failed = || format!("cannot write {}", path.display());
        Environment::private_folder(&self.folder)?;
        if !is_private(&self.folder.metadata().context(failed)?) {
            fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700)).context(failed)?;
        }
        self.tidy();
        let folder = Folder::open(&self.folder).context(failed)?;
        let mut partial = folder.begin(Path::new(&name), PRIVATE).context(failed)?;
        let mut checksum = Digest::new(CHECKSUM);
        checksum.update(code);
        partial.file_mut().write_all(code).context(failed)?;
        partial.file_mut().write_all(&finish(checksum, &name)).context(failed)?;
        // Not synced: after a power cut, the checksum detects a partial file.
        partial.commit_unsynced().context(failed)
    }

    /// Removes the compiled forms of a component that was uninstalled.
    pub(crate) fn forget(&self, digest: &str) {
        self.remove(|name, _| name.starts_with(&prefix(digest)));
    }

    /// Removes partial files of killed processes, and files that were compiled long ago.
    fn tidy(&self) {
        self.remove(|name, path| {
            if name.ends_with(".part") {
                return disk::open(path).is_ok_and(|partial| partial.try_lock().is_ok());
            }
            let age = path.metadata().and_then(|data| data.modified()).map(|made| made.elapsed());
            age.is_ok_and(|age| age.is_ok_and(|age| age > MAX_KEPT))
        });
    }

    fn remove(&self, which: impl Fn(&str, &Path) -> bool) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_name().to_str().is_some_and(|name| which(name, &path)) {
                // If this fails, the next run tries again.
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// Whether the file is private, and is what `keep` wrote under that name.
fn is_whole(path: &Path, name: &str) -> io::Result<bool> {
    let mut file = disk::open(path)?;
    let data = file.metadata()?;
    let Some(length) = data.len().checked_sub(CHECKSUM_BYTES) else { return Ok(false) };
    if !is_private(&data) {
        return Ok(false);
    }
    let mut checksum = Digest::new(CHECKSUM);
    let mut code = (&mut file).take(length);
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = code.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        checksum.update(&chunk[..read]);
    }
    let mut expected = [0; CHECKSUM_BYTES as usize];
    file.read_exact(&mut expected)?;
    Ok(expected == finish(checksum, name))
}

fn finish(mut checksum: Digest, name: &str) -> [u8; CHECKSUM_BYTES as usize] {
    checksum.update(name.as_bytes());
    checksum.finalize().to_le_bytes()
}

fn name(engine: &Engine, digest: &str) -> String {
    let mut version = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut version);
    format!("{}{:016x}.cwasm", prefix(digest), version.finish())
}

fn prefix(digest: &str) -> String {
    format!("{}-", digest.trim_start_matches("sha256:"))
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::unix::fs::MetadataExt};

    use wasmtime::Config;

    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";
    const DIGEST: &str = "sha256:00";

    struct Kept {
        _root: tempfile::TempDir,
        compiled: Compiled,
        engine: Engine,
        path: PathBuf,
        content: Vec<u8>,
    }

    fn code(engine: &Engine) -> Vec<u8> {
        engine.precompile_component(EMPTY).unwrap()
    }

    fn kept() -> Kept {
        let root = tempfile::tempdir().unwrap();
        let compiled = Compiled::new(root.path());
        let engine = Engine::default();
        compiled.keep(&engine, DIGEST, &code(&engine)).unwrap();
        let path = compiled.folder.join(name(&engine, DIGEST));
        let content = fs::read(&path).unwrap();
        Kept { _root: root, compiled, engine, path, content }
    }

    impl Kept {
        fn is_taken(&self) -> bool {
            self.compiled.load(&self.engine, DIGEST).is_some()
        }
    }

    #[test]
    fn a_stored_driver_is_loaded() {
        let kept = kept();
        assert!(kept.is_taken());
        assert_eq!(kept.compiled.folder.metadata().unwrap().mode() & 0o777, 0o700);
        assert_eq!(kept.path.metadata().unwrap().mode() & 0o777, 0o600);
        assert!(kept.compiled.load(&kept.engine, "sha256:01").is_none());
        kept.compiled.forget("sha256:0");
        assert!(kept.is_taken(), "another component's name has the same prefix");
        kept.compiled.forget(DIGEST);
        assert!(!kept.is_taken());
    }

    #[test]
    fn a_changed_bit_or_length_is_detected() {
        let kept = kept();
        for at in (0..kept.content.len()).step_by(97).chain(kept.content.len() - 9..kept.content.len()) {
            let mut content = kept.content.clone();
            content[at] ^= 1 << (at % 8);
            fs::write(&kept.path, content).unwrap();
            assert!(!kept.is_taken(), "byte {at}");
        }
        for length in [0, 1, 7, 8, 9, 64, kept.content.len() / 2, kept.content.len() - 1] {
            fs::write(&kept.path, &kept.content[..length]).unwrap();
            assert!(!kept.is_taken(), "{length} bytes");
        }
        fs::write(&kept.path, [&kept.content[..], &[0]].concat()).unwrap();
        assert!(!kept.is_taken(), "a byte too many");
        fs::write(&kept.path, &kept.content).unwrap();
        assert!(kept.is_taken());
    }

    #[test]
    fn another_components_or_engines_file_is_not_loaded() {
        let kept = kept();
        fs::copy(&kept.path, kept.compiled.folder.join(name(&kept.engine, "sha256:01"))).unwrap();
        assert!(kept.compiled.load(&kept.engine, "sha256:01").is_none(), "another component's file");
        let mut config = Config::new();
        config.epoch_interruption(true);
        let other = Engine::new(&config).unwrap();
        assert!(kept.compiled.load(&other, DIGEST).is_none(), "another engine's file has another name");
        fs::copy(&kept.path, kept.compiled.folder.join(name(&other, DIGEST))).unwrap();
        assert!(kept.compiled.load(&other, DIGEST).is_none(), "and another checksum");
    }

    #[test]
    fn a_file_that_others_can_write_is_not_loaded() {
        let kept = kept();
        let allow = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for mode in [0o620, 0o602, 0o666] {
            allow(&kept.path, mode);
            assert!(!kept.is_taken(), "{mode:o}");
        }
        allow(&kept.path, 0o600);
        for mode in [0o770, 0o707, 0o777, 0o1777] {
            allow(&kept.compiled.folder, mode);
            assert!(!kept.is_taken(), "{mode:o}");
        }
        // Storing it again fixes the permissions.
        kept.compiled.keep(&kept.engine, DIGEST, &code(&kept.engine)).unwrap();
        assert!(kept.is_taken());
        let root = rustix::process::geteuid().is_root();
        if root {
            std::os::unix::fs::chown(&kept.path, Some(12345), None).unwrap();
            assert!(!kept.is_taken(), "somebody else's file");
            kept.compiled.keep(&kept.engine, DIGEST, &code(&kept.engine)).unwrap();
            assert!(kept.is_taken());
            std::os::unix::fs::chown(&kept.compiled.folder, Some(12345), None).unwrap();
            assert!(!kept.is_taken(), "somebody else's folder");
        }
    }

    #[test]
    fn partial_files_of_killed_processes_are_removed_and_open_ones_are_kept() {
        let kept = kept();
        let [left, written] =
            ["left", "written"].map(|name| kept.compiled.folder.join(name).with_extension("part"));
        fs::write(&left, "half").unwrap();
        let writing = File::create(&written).unwrap();
        writing.lock().unwrap();
        kept.compiled.tidy();
        assert!(!left.exists() && written.exists() && kept.is_taken());
        drop(writing);
        kept.compiled.tidy();
        assert!(!written.exists());
    }
}
