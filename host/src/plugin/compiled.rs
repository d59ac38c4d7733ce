//! Compiled drivers, kept: made once, and used for as long as nothing about them changed. All of it can be made again.
//!
//! A compiled driver is code that runs with every right of this program. So a file is taken for one only where nobody
//! but this user could have written it, and only where it is whole: it ends in a checksum over what it holds, whose
//! component it is of, and for which engine.

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

/// Finds every change of a few bits or bytes, as fast as memory is read.
const CHECKSUM: CrcAlgorithm = CrcAlgorithm::Crc64Nvme;
const CHECKSUM_BYTES: u64 = 8;
/// Small enough to stay in a core's own cache, and to be no mapping of its own.
const CHUNK: usize = 64 << 10;
/// What no program has used for so long, such as an older one's, goes.
const LONGEST_KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// The folder of compiled drivers.
pub(super) struct Compiled {
    folder: PathBuf,
}

impl Compiled {
    /// Touches nothing yet.
    pub(super) fn new(cache: &Path) -> Self {
        Self { folder: cache.join("drivers") }
    }

    /// The compiled form of the component with that digest: none where there is none, or none to be trusted.
    pub(super) fn load(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let name = name(engine, digest);
        let path = self.folder.join(&name);
        if !is_private(&self.folder.metadata().ok()?) || !is_whole(&path, &name).ok()? {
            return None;
        }
        // SAFETY: what the file holds was written by `keep` below, as the checksum tells, and by this user, as its owner
        // and mode tell. Whoever can write as this user can change this program as well.
        unsafe { Component::deserialize_file(engine, path) }.ok()
    }

    /// Keeps a compiled component.
    ///
    /// # Errors
    /// The folder is somebody else's, or the disk is full.
    pub(super) fn keep(&self, engine: &Engine, digest: &str, code: &[u8]) -> Result<()> {
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
        // Not synced: what a power cut leaves of it the checksum tells.
        partial.commit_unsynced().context(failed)
    }

    /// The component is not installed any more.
    pub(super) fn forget(&self, digest: &str) {
        self.remove(|name, _| name.starts_with(&prefix(digest)));
    }

    /// Removes what a program that was killed left half-written, and what was not made again for a long time.
    fn tidy(&self) {
        self.remove(|name, path| {
            if name.ends_with(".part") {
                return disk::open(path).is_ok_and(|partial| partial.try_lock().is_ok());
            }
            let age = path.metadata().and_then(|data| data.modified()).map(|made| made.elapsed());
            age.is_ok_and(|age| age.is_ok_and(|age| age > LONGEST_KEPT))
        });
    }

    fn remove(&self, which: impl Fn(&str, &Path) -> bool) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_name().to_str().is_some_and(|name| which(name, &path)) {
                // Another try is made the next time.
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// Private, and what `keep` wrote under that name.
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
    fn what_was_kept_is_taken() {
        let kept = kept();
        assert!(kept.is_taken());
        assert_eq!(kept.compiled.folder.metadata().unwrap().mode() & 0o777, 0o700);
        assert_eq!(kept.path.metadata().unwrap().mode() & 0o777, 0o600);
        assert!(kept.compiled.load(&kept.engine, "sha256:01").is_none());
        kept.compiled.forget("sha256:0");
        assert!(kept.is_taken(), "another one's name begins alike");
        kept.compiled.forget(DIGEST);
        assert!(!kept.is_taken());
    }

    #[test]
    fn no_bit_of_it_may_change() {
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
    fn it_is_of_this_component_and_this_engine() {
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
    fn nobody_else_may_have_written_it() {
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
        // Made again, it is mended.
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
    fn what_a_killed_program_left_goes_and_what_is_being_written_stays() {
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
