//! The build context: hashed, so that an equal build is found again, and streamed, so that a large project needs no
//! memory.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

use super::{Secrets, hashes::Hashes, steps::base};
use crate::{
    capability::oci::LayerWriter,
    disk::cannot_read,
    error::{Error, Result},
    project::{Content, File, Project, RUNNER, Recipe},
};

const DOCKERFILE: &str = "Dockerfile";
/// Digits of the hash in a tag.
const TAG_LENGTH: usize = 16;

/// Whether a tag is the one that [`BuildContext::reference`] makes of the hash.
pub(super) fn is_tag_of(tag: &str, hash: &str) -> bool {
    tag.len() == TAG_LENGTH && hash.starts_with(tag)
}

/// The hashes of a context.
#[derive(Debug)]
pub struct Hashed {
    /// The hash of all inputs of the image, in hex.
    pub whole: String,
    /// The hashes of the user's files, by path in the context.
    pub(super) contents: HashMap<String, Sum>,
}

impl Hashed {
    /// The hash of a file of the project.
    pub fn of(&self, path: &str) -> Option<[u8; 32]> {
        self.contents.get(&format!("code/{path}")).map(|sum| sum.hash)
    }

    /// The hash of a file that dependencies are installed from.
    pub fn of_dependency(&self, path: &str) -> Option<[u8; 32]> {
        self.contents.get(&format!("dependencies/{path}")).map(|sum| sum.hash)
    }
}

/// The hash of a file's first bytes. If a log grows while it is read, the next run gets the new lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) size: u64,
    pub(super) hash: [u8; 32],
}

/// A file has changed since it was hashed.
#[derive(Debug)]
pub struct Changed(PathBuf);

impl Changed {
    /// The changed file, if it is the cause of an error.
    pub fn of(error: &io::Error) -> Option<&Path> {
        let changed = error.get_ref()?.downcast_ref::<Self>()?;
        Some(&changed.0)
    }
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} changed during the transfer", self.0.display())
    }
}

impl std::error::Error for Changed {}

/// The inputs of one build.
#[derive(Clone, Debug, Default)]
pub struct BuildContext {
    /// The image's name without the tag, which comes from the hash.
    pub name: String,
    /// The Dockerfile's text.
    pub dockerfile: String,
    /// The platform, as `os/architecture`.
    pub platform: String,
    /// Files that the driver adds, by path.
    pub extra: BTreeMap<String, Vec<u8>>,
    /// The project's files, below `code/`.
    pub files: Vec<File>,
    /// The project's empty folders, below `code/`.
    pub folders: Vec<String>,
    /// The files that dependencies are installed from, below `dependencies/`.
    pub dependencies: Vec<File>,
    /// Secrets of the installers, which no layer keeps. Not hashed, so that a new password gives no new image.
    pub secrets: Secrets,
    /// The cache file for the hashes of unchanged files; `None` for no cache.
    pub known: Option<PathBuf>,
    /// Whether to build even if an equal build exists.
    pub anew: bool,
    /// The user's own Dockerfile, and the files that belong to it.
    pub recipe: Option<Recipe>,
}

impl BuildContext {
    /// The context of a project, without a Dockerfile.
    pub fn of(project: &Project) -> Self {
        let mut context = Self {
            name: project.tag.clone(),
            platform: "linux/amd64".into(),
            files: project.files.clone(),
            folders: project.empty_folders.clone(),
            recipe: project.recipe.clone(),
            ..Self::default()
        };
        for (path, content) in project.dependencies.iter().flat_map(|found| &found.files) {
            match content {
                Content::File(file) => context.dependencies.push(file.clone()),
                Content::Text(text) => {
                    context.extra.insert(format!("dependencies/{path}"), text.clone().into_bytes());
                }
            }
        }
        context
    }

    /// The size of the user's files in bytes.
    pub fn size(&self) -> u64 {
        self.placed().map(|(_, file)| file.size).sum()
    }

    /// The base image, if the Dockerfile names it literally.
    pub fn base(&self) -> Option<String> {
        base(&self.dockerfile)
    }

    /// Packs the files as a `.tar.gz`, for a service without images.
    ///
    /// # Errors
    /// A file cannot be read, or `out` cannot be written to.
    pub fn pack(&self, out: impl Write) -> io::Result<()> {
        let gzip = self.write_files(tar::Builder::new(GzEncoder::new(out, Compression::default())), None)?;
        gzip.finish()?.flush()
    }

    /// Applies the user's recipe: it replaces the driver's Dockerfile, its whole runner, and other files of the same
    /// name.
    pub fn settled(mut self) -> Self {
        let Some(recipe) = &self.recipe else { return self };
        self.dockerfile.clone_from(&recipe.dockerfile);
        if recipe.files.keys().any(|path| path.starts_with(RUNNER)) {
            self.extra.retain(|path, _| !path.starts_with(RUNNER));
        }
        self.extra.extend(recipe.files.clone());
        self
    }

    /// The image's name, with the hash as the tag.
    pub fn reference(&self, hash: &str) -> String {
        format!("{}:{}", self.name, &hash[..TAG_LENGTH])
    }

    /// The hash of all inputs of the image, in hex.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn hash(&self) -> Result<String> {
        Ok(self.hashed()?.whole)
    }

    /// The hash of all inputs, and of each file.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn hashed(&self) -> Result<Hashed> {
        self.check_names()?;
        let mut contents = HashMap::new();
        let mut hashes = match &self.known {
            Some(known) => Hashes::open(known),
            None => Hashes::default(),
        };
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
        for (place, file) in self.placed() {
            part(place.as_bytes());
            if let Some(target) = &file.link {
                part(b"link");
                part(target.as_bytes());
                continue;
            }
            part(&[u8::from(file.executable)]);
            let content = match &file.cleaned {
                Some(text) => Sum { size: text.len() as u64, hash: Sha256::digest(text).into() },
                None => hashes.of(&file.source, || sum(file))?,
            };
            part(&content.hash);
            contents.insert(place, content);
        }
        for folder in &self.folders {
            part(b"folder");
            part(folder.as_bytes());
        }
        hashes.keep();
        Ok(Hashed { whole: hex::encode(hash.finalize()), contents })
    }

    /// Checks that no two files have the same name, because the later one would replace the other.
    fn check_names(&self) -> Result<()> {
        let own = [DOCKERFILE.to_owned()].into_iter().chain(self.extra.keys().cloned());
        let mut names: Vec<String> = own.chain(self.placed().map(|(place, _)| place)).collect();
        names.sort_unstable();
        let clash = names.iter().enumerate().find(|(at, name)| {
            let later = &names[at + 1..];
            let below = format!("{name}/");
            later.first() == Some(name)
                || later[later.partition_point(|other| *other < below)..]
                    .first()
                    .is_some_and(|other| other.starts_with(&below))
        });
        match clash {
            None => Ok(()),
            Some((_, name)) => Err(Error::invalid(format!("the build context has two files named {name}"))
                .hint("rename your file; if neither is yours, report it to the author of the build driver")),
        }
    }

    /// The user's files, by path in the context.
    pub(super) fn placed(&self) -> impl Iterator<Item = (String, &File)> {
        let dependencies = self.dependencies.iter().map(|file| (format!("dependencies/{}", file.path), file));
        dependencies.chain(self.files.iter().map(|file| (format!("code/{}", file.path), file)))
    }

    /// Writes the context as a tar stream, without times and owners, which would make equal projects differ.
    ///
    /// # Errors
    /// A file cannot be read, or has changed since it was hashed.
    pub(super) fn write(&self, out: impl Write, hashed: &Hashed) -> io::Result<()> {
        let mut tar = tar::Builder::new(out);
        append(&mut tar, DOCKERFILE, self.dockerfile.len() as u64, false, self.dockerfile.as_bytes())?;
        self.write_files(tar, Some(hashed))?.flush()
    }

    /// Writes the project's files to a layer of an image, below a folder of it.
    ///
    /// # Errors
    /// A file cannot be read, or has changed since it was hashed, or the disk is full.
    pub fn write_project(&self, layer: &mut LayerWriter, place: &str, hashed: &Hashed) -> Result<()> {
        let cannot_write = |error| {
            Error::failed("cannot write a layer of the image")
                .hint("free some disk space if the disk is full")
                .source(error)
        };
        layer.folder(place).map_err(cannot_write)?;
        for folder in &self.folders {
            layer.folder(&format!("{place}/{folder}")).map_err(cannot_write)?;
        }
        for file in &self.files {
            let to = format!("{place}/{}", file.path);
            if let Some(target) = &file.link {
                layer.link(&to, target).map_err(cannot_write)?;
                continue;
            }
            if let Some(text) = &file.cleaned {
                layer.file(&to, text.len() as u64, file.executable, text.as_slice()).map_err(cannot_write)?;
                continue;
            }
            let source = file.open().map_err(|error| cannot_read(&file.source, error))?;
            let sum = hashed.contents.get(&format!("code/{}", file.path));
            let Some(&Sum { size, hash }) = sum else { continue };
            let mut source = Hashing { source: source.take(size), hash: Sha256::new(), read: 0 };
            let written = layer.file(&to, size, file.executable, &mut source);
            let is_short = matches!(&written, Err(error) if error.kind() == io::ErrorKind::UnexpectedEof);
            // Otherwise the image's content would not match its name, and later runs would reuse it.
            if is_short || written.is_ok() && source.hash.finalize()[..] != hash {
                return Err(Error::failed("cannot read the project")
                    .hint("stop the program that writes to it, or add the file to .dockerignore")
                    .source(io::Error::other(Changed(file.source.clone()))));
            }
            written.map_err(cannot_write)?;
        }
        Ok(())
    }

    fn write_files<W: Write>(&self, mut tar: tar::Builder<W>, hashed: Option<&Hashed>) -> io::Result<W> {
        for (path, content) in &self.extra {
            append(&mut tar, path, content.len() as u64, false, content.as_slice())?;
        }
        // These two folders exist even if they are empty.
        let own = ["code/", "dependencies/"].map(str::to_owned);
        for place in own.into_iter().chain(self.folders.iter().map(|folder| format!("code/{folder}/"))) {
            let mut folder = tar::Header::new_gnu();
            folder.set_entry_type(tar::EntryType::Directory);
            folder.set_mode(0o755);
            folder.set_size(0);
            tar.append_data(&mut folder, place, io::empty())?;
        }
        for (place, file) in self.placed() {
            if let Some(target) = &file.link {
                let mut header = tar::Header::new_gnu();
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_mode(0o777);
                header.set_size(0);
                tar.append_link(&mut header, place, target)?;
                continue;
            }
            if let Some(text) = &file.cleaned {
                append(&mut tar, &place, text.len() as u64, file.executable, text.as_slice())?;
                continue;
            }
            let source = file.open()?;
            let expected = hashed.and_then(|hashed| hashed.contents.get(&place));
            let size = match expected {
                Some(sum) => sum.size,
                None => source.metadata()?.len(),
            };
            let mut source = Hashing { source: source.take(size), hash: Sha256::new(), read: 0 };
            append(&mut tar, &place, size, file.executable, &mut source)?;
            // Otherwise the image's content would not match its name, and later builds would reuse it.
            let same = expected.is_none_or(|sum| source.hash.finalize()[..] == sum.hash);
            if source.read != size || !same {
                return Err(io::Error::other(Changed(file.source.clone())));
            }
        }
        tar.into_inner()
    }
}

/// A reader that hashes what is read.
struct Hashing<R> {
    source: R,
    hash: Sha256,
    read: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(to)?;
        self.hash.update(&to[..read]);
        self.read += read as u64;
        Ok(read)
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

/// The hash of a file's current content.
fn sum(file: &File) -> Result<Sum> {
    let failed = |error| cannot_read(&file.source, error);
    let source = file.open().map_err(failed)?;
    let size = source.metadata().map_err(failed)?.len();
    let mut source = Hashing { source: source.take(size), hash: Sha256::new(), read: 0 };
    let mut buffer = vec![0; 1 << 16];
    while source.read(&mut buffer).map_err(failed)? > 0 {}
    Ok(Sum { size: source.read, hash: source.hash.finalize().into() })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn context(code: &str) -> (tempfile::TempDir, BuildContext) {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("train.py");
        fs::write(&source, code).unwrap();
        let size = code.len() as u64;
        let file =
            File { path: "train.py".into(), source, size, executable: false, link: None, cleaned: None };
        let context = BuildContext {
            name: "models/train".into(),
            dockerfile: "FROM scratch\n".into(),
            platform: "linux/amd64".into(),
            extra: [("runner/a.py".into(), b"a".to_vec())].into(),
            files: vec![file],
            ..BuildContext::default()
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
            context.write(&mut out, &context.hashed().unwrap()).unwrap();
            out
        };
        assert_eq!(stream(&one), stream(&two));
    }

    #[test]
    fn a_file_that_changed_since_it_was_hashed_is_not_sent() {
        let (_folder, context) = context("print(1)");
        let hashed = context.hashed().unwrap();
        for text in ["print(2)", "print("] {
            fs::write(&context.files[0].source, text).unwrap();
            let error = context.write(io::sink(), &hashed).unwrap_err();
            assert!(error.to_string().contains("train.py changed during the transfer"), "{error}");
            assert_eq!(Changed::of(&error), Some(context.files[0].source.as_path()));
        }
    }

    #[test]
    fn a_log_that_grows_is_sent_as_far_as_it_was_hashed() {
        let (_folder, context) = context("line 1\n");
        let hashed = context.hashed().unwrap();
        fs::write(&context.files[0].source, "line 1\nline 2\n").unwrap();
        let mut out = Vec::new();
        context.write(&mut out, &hashed).unwrap();
        let mut archive = tar::Archive::new(out.as_slice());
        let entries = archive.entries().unwrap().map(Result::unwrap);
        let mut train =
            entries.into_iter().find(|entry| entry.path().unwrap().ends_with("train.py")).unwrap();
        let mut text = String::new();
        train.read_to_string(&mut text).unwrap();
        assert_eq!(text, "line 1\n");
    }

    #[test]
    fn empty_folders_are_in_the_context_and_count() {
        let (_folder, plain) = context("print(1)");
        let with = BuildContext { folders: vec!["out/deep".into()], ..plain.clone() };
        assert_ne!(plain.hash().unwrap(), with.hash().unwrap());
        let mut out = Vec::new();
        with.write(&mut out, &with.hashed().unwrap()).unwrap();
        let mut archive = tar::Archive::new(out.as_slice());
        let is_it = |entry: io::Result<tar::Entry<'_, &[u8]>>| {
            let entry = entry.unwrap();
            entry.path().unwrap() == Path::new("code/out/deep/") && entry.header().entry_type().is_dir()
        };
        assert!(archive.entries().unwrap().any(is_it));
    }

    #[test]
    fn a_recipe_replaces_the_drivers_files() {
        let (_folder, mut context) = context("print(1)");
        context.extra.insert("artifact.json".into(), b"{}".to_vec());
        assert_eq!(context.clone().settled().dockerfile, "FROM scratch\n");
        context.recipe = Some(Recipe {
            folder: "/x/alekseylearn".into(),
            dockerfile: "FROM mine\n".into(),
            files: [("runner/b.py".to_owned(), b"b".to_vec())].into(),
        });
        let settled = context.settled();
        assert_eq!(settled.dockerfile, "FROM mine\n");
        assert_eq!(settled.extra.keys().collect::<Vec<_>>(), ["artifact.json", "runner/b.py"]);
    }

    /// Whatever the parts are named, the context has all files, and no two with the same name.
    #[test]
    fn no_two_files_of_a_context_have_the_same_name() {
        let (_folder, context) = context("print(1)");
        let pieces = ["Dockerfile", "code", "a", "train.py", "b", "dependencies"];
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        let mut below = |most: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % most as u64) as usize
        };
        let (mut refused, mut sent) = (0, 0);
        for _ in 0..2_000 {
            let mut context = context.clone();
            for _ in 0..below(4) {
                let parts: Vec<&str> = (0..=below(2)).map(|_| pieces[below(pieces.len())]).collect();
                context.extra.insert(parts.join("/"), Vec::new());
            }
            let Ok(hashed) = context.hashed() else {
                refused += 1;
                continue;
            };
            let mut stream = Vec::new();
            context.write(&mut stream, &hashed).unwrap();
            let mut tar = tar::Archive::new(stream.as_slice());
            let entries = tar.entries().unwrap().map(Result::unwrap);
            let files = entries.filter(|entry| !entry.header().entry_type().is_dir());
            let mut names: Vec<String> =
                files.map(|entry| entry.path().unwrap().to_str().unwrap().to_owned()).collect();
            let count = names.len();
            assert_eq!(count, 1 + context.extra.len() + context.files.len());
            names.sort();
            names.dedup();
            assert_eq!(names.len(), count);
            let clash =
                names.iter().any(|name| names.iter().any(|other| other.starts_with(&format!("{name}/"))));
            assert!(!clash, "{names:?}");
            sent += 1;
        }
        assert!(refused > 100 && sent > 100, "{refused} refused, {sent} sent");
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
