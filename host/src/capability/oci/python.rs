//! The Python of a base image, found without running it: by the variables of Python's official images, or else by the names
//! of the files in the base image's layers.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, BufRead, BufReader, Read},
};

use flate2::read::MultiGzDecoder;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use super::{
    Environment,
    base::{Base, Descriptor},
    config::variables,
    store::Store,
};
use crate::{
    capability::{Listener, Progress, stream::blocking},
    error::{Error, Kind, Result},
};

/// The search path of an image that sets none.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How many links a path may have.
const MAX_LINKS: usize = 16;

/// The Python of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Python {
    /// Its version, such as `3.11`.
    pub version: String,
    /// Its absolute path in the image.
    pub path: String,
    /// The modules that are installed with it; `None` if nobody looked.
    pub modules: Option<BTreeSet<String>>,
    /// Whether the image has musl instead of glibc.
    pub musl: bool,
}

impl Python {
    /// Finds the Python of a base image. `with_modules` says whether its modules are needed.
    pub(super) async fn find(
        base: &Base,
        environment: &Environment,
        store: &Store,
        with_modules: bool,
        listener: Listener<'_>,
    ) -> Result<Self> {
        if let Some(python) = Self::official(base).filter(|_| !with_modules) {
            return Ok(python);
        }
        let key = base.digest.trim_start_matches("sha256:");
        if let Some(python) = store.record("python", key) {
            return Ok(python);
        }
        let files = Files::read(base, environment, listener).await?;
        let path = variables(&base.config).remove("PATH").unwrap_or_else(|| USUAL_PATH.to_owned());
        let python = files.python(&path).ok_or_else(|| {
            Error::invalid(format!("the base image {} has no Python 3", base.name))
                .hint("set --config.base_image=IMAGE to one with Python 3, such as python:3.11-slim")
        })?;
        store.keep("python", key, &python);
        Ok(python)
    }

    /// The Python of an official image, or of one that starts from it.
    fn official(base: &Base) -> Option<Self> {
        let variables = variables(&base.config);
        variables.get("PYTHON_SHA256")?;
        let mut numbers = variables.get("PYTHON_VERSION")?.split('.');
        let version = format!("{}.{}", numbers.next()?, numbers.next()?);
        let musl = base.name.contains("alpine");
        Some(Self { path: "/usr/local/bin/python3".to_owned(), version, modules: None, musl })
    }
}

/// The files of a base image that matter here.
#[derive(Debug, Default)]
struct Files {
    /// Programs whose names begin with `python3`, and links at the top, with their targets. Without the first `/`.
    paths: BTreeMap<String, Option<String>>,
    /// The modules of each Python version, or of `3`.
    modules: BTreeMap<String, BTreeSet<String>>,
    musl: bool,
}

impl Files {
    async fn read(base: &Base, environment: &Environment, listener: Listener<'_>) -> Result<Self> {
        let registry = base.registry(environment).await?;
        let total = base.layers.iter().map(|layer| layer.size).sum();
        let mut done = 0;
        let mut files = Self::default();
        for Descriptor { media_type, digest, .. } in &base.layers {
            if media_type.contains("zstd") {
                return Err(Error::new(
                    Kind::Unsupported,
                    format!("the layers of the base image {} are compressed with zstd", base.name),
                )
                .hint("choose another base image, or build with a Docker engine: --build-driver local"));
            }
            let stream = registry.client.pull_blob_stream(&registry.image, digest.as_str()).await;
            let stream = stream.map_err(|error| registry.explain(error))?;
            let stream = stream.inspect(|part| {
                done += part.as_ref().map_or(0, |part| part.len() as u64);
                listener(Progress::Bytes { what: "reading the base image", done, total: Some(total) });
            });
            let layer = blocking(stream, move |layer| files.add(layer).map(|()| files)).await;
            files = layer.map_err(|error| {
                Error::new(Kind::Unavailable, format!("cannot read the base image {}", base.name))
                    .hint("check the network, and run the same command again")
                    .source(error)
            })?;
        }
        Ok(files)
    }

    /// Adds the names in a layer. The contents are skipped.
    fn add(&mut self, layer: impl Read) -> io::Result<()> {
        let mut layer = BufReader::with_capacity(1 << 16, layer);
        let is_gzip = layer.fill_buf()?.starts_with(&[0x1f, 0x8b]);
        let layer: &mut dyn Read = if is_gzip { &mut MultiGzDecoder::new(&mut layer) } else { &mut layer };
        let mut archive = tar::Archive::new(&mut *layer);
        for entry in archive.entries()? {
            let entry = entry?;
            let path = entry.path()?.to_string_lossy().trim_start_matches("./").trim_matches('/').to_owned();
            let target = match entry.header().entry_type() {
                tar::EntryType::Symlink => {
                    entry.link_name()?.map(|target| target.to_string_lossy().into_owned())
                }
                // The target of a hard link is a path from the top.
                tar::EntryType::Link => entry
                    .link_name()?
                    .map(|target| format!("/{}", target.to_string_lossy().trim_start_matches("./"))),
                _ => None,
            };
            self.take(&path, target);
        }
        // To the end, so that the digest is checked.
        io::copy(layer, &mut io::sink())?;
        Ok(())
    }

    fn take(&mut self, path: &str, target: Option<String>) {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        if let Some(hidden) = name.strip_prefix(".wh.") {
            let hidden = if parent.is_empty() { hidden.to_owned() } else { format!("{parent}/{hidden}") };
            self.paths.remove(&hidden);
            return;
        }
        if name.starts_with("python3") || (parent.is_empty() && target.is_some()) {
            self.paths.insert(path.to_owned(), target);
        }
        self.musl |= name.starts_with("ld-musl-");
        let above = parent.rsplit('/').collect::<Vec<_>>();
        if let [packages, python, ..] = above[..]
            && matches!(packages, "site-packages" | "dist-packages")
            && let Some(version) = python.strip_prefix("python")
        {
            let module = name.split('.').next().unwrap_or(name);
            self.modules.entry(version.to_owned()).or_default().insert(module.to_owned());
        }
    }

    /// The first `python3` of a search path.
    fn python(&self, search: &str) -> Option<Python> {
        let (path, version) = search.split(':').find_map(|folder| {
            let path = format!("{}/python3", folder.trim_matches('/'));
            let found = self.resolved(&path)?;
            let name = found.rsplit('/').next()?;
            let of_name = name.strip_prefix("python").filter(|version| version.contains('.'));
            // A `python3` that is no link: the versioned name lies beside it.
            let beside = || {
                let mut names = self.paths.keys().filter_map(|path| path.strip_prefix(&format!("{found}.")));
                names
                    .find(|minor| minor.bytes().all(|byte| byte.is_ascii_digit()))
                    .map(|minor| format!("3.{minor}"))
            };
            let version = of_name.map(str::to_owned).or_else(beside)?;
            Some((path, version))
        })?;
        let modules = [version.as_str(), "3"].into_iter().filter_map(|version| self.modules.get(version));
        let modules = modules.flatten().cloned().collect();
        Some(Python { version, path: format!("/{path}"), modules: Some(modules), musl: self.musl })
    }

    /// The path behind links; `None` if there is no such file.
    fn resolved(&self, path: &str) -> Option<String> {
        let mut path = path.to_owned();
        for _ in 0..MAX_LINKS {
            // Folders at the top may be links, such as `bin` to `usr/bin`.
            if let Some((top, rest)) = path.split_once('/')
                && let Some(Some(target)) = self.paths.get(top)
            {
                path = format!("{}/{rest}", target.trim_matches('/'));
                continue;
            }
            match self.paths.get(&path)? {
                None => return Some(path),
                Some(target) if target.starts_with('/') => path = target.trim_matches('/').to_owned(),
                Some(target) => {
                    let mut parts: Vec<&str> = path.split('/').collect();
                    parts.pop();
                    for part in target.split('/') {
                        match part {
                            ".." => drop(parts.pop()),
                            "." | "" => {}
                            name => parts.push(name),
                        }
                    }
                    path = parts.join("/");
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, Option<&str>)], search: &str) -> Option<(String, String)> {
        let mut all = Files::default();
        for (path, target) in files {
            all.take(path, target.map(str::to_owned));
        }
        all.python(search).map(|python| (python.version, python.path))
    }

    #[test]
    fn the_first_python_of_the_search_path_is_found() {
        let debian =
            [("bin", Some("usr/bin")), ("usr/bin/python3", Some("python3.11")), ("usr/bin/python3.11", None)];
        let of = |path: &str| Some(("3.11".to_owned(), path.to_owned()));
        assert_eq!(found(&debian, "/usr/local/bin:/usr/bin"), of("/usr/bin/python3"));
        assert_eq!(found(&debian, "/bin"), of("/bin/python3"));
        assert_eq!(found(&debian, "/usr/local/bin"), None);
        let conda = [
            ("usr/bin/python3", Some("/etc/alternatives/python3")),
            ("etc/alternatives/python3", Some("/usr/bin/python3.9")),
            ("usr/bin/python3.9", None),
            ("opt/conda/bin/python3", None),
            ("opt/conda/bin/python3.12", Some("python3")),
            ("opt/conda/bin/python3-config", None),
        ];
        let expected = Some(("3.12".to_owned(), "/opt/conda/bin/python3".to_owned()));
        assert_eq!(found(&conda, "/opt/conda/bin:/usr/bin"), expected);
        assert_eq!(found(&conda, "/usr/bin").unwrap().0, "3.9");
        let circle = [("usr/bin/python3", Some("python3.1")), ("usr/bin/python3.1", Some("python3"))];
        assert_eq!(found(&circle, "/usr/bin"), None);
    }

    #[test]
    fn a_removed_python_does_not_count_and_modules_do() {
        let files = [
            ("usr/bin/python3", Some("python3.11")),
            ("usr/bin/python3.11", None),
            ("usr/bin/.wh.python3", None),
        ];
        assert_eq!(found(&files, "/usr/bin"), None);
        let mut all = Files::default();
        for path in [
            "usr/bin/python3",
            "usr/bin/python3.11",
            "usr/lib/python3/dist-packages/torch/__init__.py",
            "usr/lib/python3/dist-packages/torch",
            "usr/local/lib/python3.11/site-packages/six.py",
            "usr/local/lib/python3.9/site-packages/other",
        ] {
            all.take(path, None);
        }
        let modules = all.python("/usr/bin").unwrap().modules.unwrap();
        assert_eq!(modules.iter().map(String::as_str).collect::<Vec<_>>(), ["six", "torch"]);
    }
}
