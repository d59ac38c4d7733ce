//! What goes into a build: hashed, so that an equal build is found again, and streamed, so that a large folder needs
//! no memory.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read, Write},
};

use sha2::{Digest, Sha256};

use crate::{
    error::{Context, Result},
    project::File,
};

/// The inputs of one build.
#[derive(Clone, Debug, Default)]
pub struct BuildContext {
    /// The image's name, without a tag: the hash makes that.
    pub name: String,
    /// The Dockerfile's text.
    pub dockerfile: String,
    /// `os/architecture`.
    pub platform: String,
    /// Files that the driver adds, by their paths.
    pub extra: BTreeMap<String, Vec<u8>>,
    /// The training folder's files, under `code/`.
    pub files: Vec<File>,
    /// Build even where an equal build is there.
    pub anew: bool,
}

impl BuildContext {
    /// The hash of all that decides the image, in hex.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn hash(&self) -> Result<String> {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(self.platform.as_bytes());
        part(self.dockerfile.as_bytes());
        for (path, content) in &self.extra {
            part(path.as_bytes());
            part(content);
        }
        for file in &self.files {
            part(file.path.as_bytes());
            part(&[u8::from(file.executable)]);
            part(&file_hash(file)?);
        }
        Ok(hex::encode(hash.finalize()))
    }

    /// As a tar stream. Times and owners are left out: they would make equal folders differ.
    ///
    /// # Errors
    /// A file cannot be read, or changed its size meanwhile.
    pub(super) fn write(&self, out: impl Write) -> io::Result<()> {
        let mut tar = tar::Builder::new(out);
        append(&mut tar, "Dockerfile", self.dockerfile.len() as u64, false, self.dockerfile.as_bytes())?;
        for (path, content) in &self.extra {
            append(&mut tar, path, content.len() as u64, false, content.as_slice())?;
        }
        // The folder is there even where it is empty.
        let mut folder = tar::Header::new_gnu();
        folder.set_entry_type(tar::EntryType::Directory);
        folder.set_mode(0o755);
        folder.set_size(0);
        tar.append_data(&mut folder, "code/", io::empty())?;
        for file in &self.files {
            let source = fs::File::open(&file.source)?;
            let size = source.metadata()?.len();
            append(&mut tar, &format!("code/{}", file.path), size, file.executable, source.take(size))?;
        }
        tar.into_inner()?.flush()
    }
}

fn append<W: Write>(
    tar: &mut tar::Builder<W>,
    path: &str,
    size: u64,
    executable: bool,
    content: impl Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(if executable { 0o755 } else { 0o644 });
    tar.append_data(&mut header, path, content)
}

fn file_hash(file: &File) -> Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut source =
        fs::File::open(&file.source).context(|| format!("cannot read {}", file.source.display()))?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = source.read(&mut buffer).context(|| format!("cannot read {}", file.source.display()))?;
        if read == 0 {
            return Ok(hash.finalize().into());
        }
        hash.update(&buffer[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(code: &str) -> (tempfile::TempDir, BuildContext) {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("train.py");
        fs::write(&source, code).unwrap();
        let file = File { path: "train.py".into(), source, size: code.len() as u64, executable: false };
        let context = BuildContext {
            name: "models/train".into(),
            dockerfile: "FROM scratch\n".into(),
            platform: "linux/amd64".into(),
            extra: [("runner/a.py".into(), b"a".to_vec())].into(),
            files: vec![file],
            anew: false,
        };
        (folder, context)
    }

    #[test]
    fn equal_folders_have_equal_hashes_and_streams() {
        let (_a, one) = context("print(1)");
        let (_b, two) = context("print(1)");
        let (_c, three) = context("print(2)");
        assert_eq!(one.hash().unwrap(), two.hash().unwrap());
        assert_ne!(one.hash().unwrap(), three.hash().unwrap());
        let stream = |context: &BuildContext| {
            let mut out = Vec::new();
            context.write(&mut out).unwrap();
            out
        };
        assert_eq!(stream(&one), stream(&two));
    }

    #[test]
    fn every_input_counts() {
        let (_folder, context) = context("print(1)");
        let changed = [
            BuildContext { dockerfile: "FROM busybox\n".into(), ..context.clone() },
            BuildContext { platform: "linux/arm64".into(), ..context.clone() },
            BuildContext { extra: BTreeMap::new(), ..context.clone() },
        ];
        for other in changed {
            assert_ne!(context.hash().unwrap(), other.hash().unwrap());
        }
    }
}
