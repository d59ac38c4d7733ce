//! Installs Python packages for another machine, as wheels: no code of a package or of the project runs here. The installer
//! is uv.

mod failure;
mod settings;
mod uv;
mod venv;
mod work;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

pub(super) use uv::VERSION;
pub(super) use venv::write;

use super::{Listener, Progress, oci::Python};
use crate::{
    disk::{Folder, PRIVATE},
    error::{Context, Error, Kind, Result},
    project::{Content, Dependencies, Form, Indexes},
};
use uv::Uv;
use work::Work;

/// Maximum size of a dependency file in bytes.
const MAX_SIZE: u64 = 64 << 20;
const BY_DOCKER: &str = "build with a Docker engine, which has no such limit: --build-driver local";

/// What to install, and for which machine.
pub(super) struct Request<'a> {
    /// The project's dependencies; `None` if it has none.
    pub(super) dependencies: Option<&'a Dependencies>,
    /// Other packages, as requirements.
    pub(super) requirements: &'a [String],
    pub(super) indexes: &'a Indexes,
    /// Whether the logins of the indexes may be used.
    pub(super) logins: bool,
    /// The certificates that this network needs, in PEM.
    pub(super) certificates: Option<&'a str>,
    pub(super) python: &'a Python,
    /// As `os/architecture`.
    pub(super) platform: &'a str,
}

/// The installed packages. The folder is removed with this value.
pub(super) struct Installed {
    work: Work,
    /// Names and versions, as `pip freeze` lists them.
    pub(super) list: Vec<String>,
}

impl Installed {
    /// The folder with the packages.
    pub(super) fn site(&self) -> io::Result<Folder> {
        self.work.folder().below(Path::new(SITE))
    }
}

const SITE: &str = "site";
const PROJECT: &str = "project";

impl Request<'_> {
    /// Whether there is nothing to install.
    pub(super) fn is_empty(&self) -> bool {
        let is_empty = |found: &Dependencies| {
            found.form == Form::None && found.added.is_empty() && found.imported.is_empty()
        };
        self.requirements.is_empty() && self.dependencies.is_none_or(is_empty)
    }

    /// Checks that the dependencies can be installed without running code.
    ///
    /// # Errors
    /// They cannot: the error names what does not work.
    pub(super) fn check(&self) -> Result<()> {
        self.target()?;
        let Some(found) = self.dependencies else { return Ok(()) };
        let unsupported = |what: String| Err(Error::new(Kind::Unsupported, what).hint(BY_DOCKER));
        if found.form == Form::Poetry {
            return unsupported(format!(
                "{} can only be read by Poetry, which runs in a build",
                found.origin
            ));
        }
        if found.place.is_some() {
            return unsupported(format!(
                "{} installs code of the project, which runs in a build",
                found.origin
            ));
        }
        match found.programs().first() {
            Some(program) => {
                unsupported(format!("{} needs {program}, and builds packages from source", found.origin))
            }
            None => Ok(()),
        }
    }

    /// The name of the platform for the installer.
    fn target(&self) -> Result<&'static str> {
        Ok(match (self.platform, self.python.musl) {
            ("linux/amd64", false) => "x86_64-manylinux_2_28",
            ("linux/amd64", true) => "x86_64-unknown-linux-musl",
            ("linux/arm64" | "linux/arm64/v8", false) => "aarch64-manylinux_2_28",
            ("linux/arm64" | "linux/arm64/v8", true) => "aarch64-unknown-linux-musl",
            (other, _) => {
                return Err(Error::new(Kind::Unsupported, format!("cannot install packages for {other}"))
                    .hint(
                        "set --config.platform to linux/amd64 or linux/arm64, or use --build-driver local",
                    ));
            }
        })
    }

    /// Installs everything into a new folder below `folder`.
    ///
    /// # Errors
    /// A package has no wheel for the machine, an index cannot be reached, or the disk is full.
    pub(super) async fn install(&self, folder: &Path, listener: Listener<'_>) -> Result<Installed> {
        self.check()?;
        let work = Work::begin(folder).context(|| format!("cannot write to {}", folder.display()))?;
        let uv = Uv::find(folder, &work, listener).await?;
        let mut run = uv.runner(&work, self).map_err(|error| cannot_write(&work, error))?;
        let mut files = self.prepare(&work).map_err(|error| cannot_write(&work, error))?;
        if let Some(found) = self.dependencies.filter(|found| found.form == Form::UvLock) {
            files.insert(0, self.export(&mut run, &work, found).await?);
        }
        listener(Progress::Step("Installing the dependencies"));
        if !files.is_empty() {
            let mut arguments = self.arguments(&work)?;
            if let Some(found) = self.dependencies.filter(|found| found.form != Form::UvLock) {
                arguments.extend(found.extras.iter().flat_map(|extra| ["--extra".to_owned(), extra.clone()]));
                if found.form == Form::Pyproject {
                    let group = |group: &String| ["--group".to_owned(), format!("{}:{group}", found.main)];
                    arguments.extend(found.groups.iter().flat_map(group));
                }
            }
            arguments.extend(files.iter().flat_map(|file| ["--requirement".to_owned(), file.clone()]));
            run.run(self, &arguments, listener).await?;
        }
        let missing = self.missing(&work).map_err(|error| cannot_write(&work, error))?;
        if !missing.is_empty() {
            let mut arguments = self.arguments(&work)?;
            arguments.push("--".to_owned());
            arguments.extend(missing);
            run.run(self, &arguments, listener).await?;
        }
        let site = work.path(SITE);
        let freeze = ["pip", "freeze", "--quiet", "--path"].map(str::to_owned);
        let list = if work.folder().holds(Path::new(SITE)) {
            run.run(self, &[&freeze[..], &[site]].concat(), &|_| {}).await?
        } else {
            String::new()
        };
        work.folder().make_below(Path::new(SITE)).map_err(|error| cannot_write(&work, error))?;
        Ok(Installed { work, list: list.lines().map(str::to_owned).collect() })
    }

    fn arguments(&self, work: &Work) -> Result<Vec<String>> {
        let mut arguments =
            ["pip", "install", "--only-binary", ":all:", "--target"].map(str::to_owned).to_vec();
        arguments.push(work.path(SITE));
        arguments.extend(["--python-version".to_owned(), self.python.version.clone()]);
        arguments.extend(["--python-platform", self.target()?].map(str::to_owned));
        if let Some(day) = self.dependencies.and_then(|found| found.as_of.as_ref()) {
            arguments.extend(["--exclude-newer".to_owned(), day.clone()]);
        }
        Ok(arguments)
    }

    /// Writes the files to install from. Returns those that list requirements.
    fn prepare(&self, work: &Work) -> io::Result<Vec<String>> {
        let project = work.folder().make_below(Path::new(PROJECT))?;
        let mut files = Vec::new();
        if let Some(found) = self.dependencies {
            for (path, content) in &found.files {
                let path = Path::new(path);
                let text = match content {
                    Content::Text(text) => text.clone().into_bytes(),
                    Content::File(file) => match &file.cleaned {
                        Some(text) => text.clone(),
                        None => file.read(MAX_SIZE)?,
                    },
                };
                project.make_below(path.parent().unwrap_or(Path::new("")))?;
                project.write(path, PRIVATE, |file| file.write_all(&text))?;
            }
            if matches!(found.form, Form::Requirements | Form::Pyproject) {
                files.push(found.main.clone());
            }
        }
        let more = self.requirements.iter().chain(self.dependencies.iter().flat_map(|found| &found.added));
        let more: Vec<&str> = more.map(String::as_str).collect();
        if !more.is_empty() {
            let path = Path::new("more-requirements.txt");
            work.folder().write(path, PRIVATE, |file| writeln!(file, "{}", more.join("\n")))?;
            files.push(work.path("more-requirements.txt"));
        }
        Ok(files)
    }

    /// Makes a list of requirements from a lock file. The project itself is left out.
    async fn export(&self, run: &mut uv::Runner<'_>, work: &Work, found: &Dependencies) -> Result<String> {
        let named = |option: &str, names: &[String]| {
            names.iter().flat_map(|name| [format!("--{option}"), name.clone()]).collect::<Vec<_>>()
        };
        let locked = work.path("locked.txt");
        let mut arguments = ["export", "--quiet", "--frozen", "--no-emit-project", "--no-default-groups"]
            .map(str::to_owned)
            .to_vec();
        if !found.groups.iter().any(|group| group == "dev") {
            arguments.push("--no-dev".to_owned());
        }
        arguments.extend(named("package", found.member.as_slice()));
        arguments.extend(named("extra", &found.extras));
        arguments.extend(named("group", &found.groups));
        arguments.extend(["--output-file".to_owned(), locked.clone()]);
        let parent = Path::new(&found.main).parent().unwrap_or(Path::new(""));
        let project = Path::new(PROJECT).join(parent);
        arguments.extend(["--project".to_owned(), work.path(&project.display().to_string())]);
        run.run(self, &arguments, &|_| {}).await?;
        let text = work.folder().read(Path::new("locked.txt"), MAX_SIZE);
        let text = text.map_err(|error| cannot_write(work, error))?;
        let text = String::from_utf8_lossy(&text);
        let is_local =
            |line: &&str| line.starts_with("-e ") || line.starts_with('.') || line.contains("file:");
        match text.lines().find(is_local) {
            Some(line) => Err(Error::new(
                Kind::Unsupported,
                format!("{} installs code of the project, which runs in a build: {line}", found.origin),
            )
            .hint(BY_DOCKER)),
            None => Ok(locked),
        }
    }

    /// The requirements of imported modules that are neither installed nor in the base image.
    fn missing(&self, work: &Work) -> io::Result<Vec<String>> {
        let site = work.folder().make_below(Path::new(SITE))?;
        let is_there = |module: &str| {
            let in_base = self.python.modules.as_ref().is_some_and(|modules| modules.contains(module));
            in_base || holds(&site, module)
        };
        let imported = self.dependencies.iter().flat_map(|found| &found.imported);
        let missing = imported.filter(|(module, _)| !is_there(module)).map(|(_, wanted)| wanted.clone());
        let mut missing: Vec<String> = missing.collect();
        missing.sort_unstable();
        missing.dedup();
        Ok(missing)
    }
}

/// Whether a folder of packages has a module, such as `google.protobuf`.
fn holds(site: &Folder, module: &str) -> bool {
    let path = PathBuf::from(module.replace('.', "/"));
    let (Some(name), parent) = (path.file_name().and_then(|name| name.to_str()), path.parent()) else {
        return false;
    };
    let entries = site.below(parent.unwrap_or(Path::new(""))).and_then(|folder| folder.entries());
    entries.unwrap_or_default().iter().any(|entry| {
        let entry = entry.name.to_string_lossy();
        let rest = entry.strip_prefix(name);
        rest.is_some_and(|rest| {
            rest.is_empty() || rest == ".py" || (rest.starts_with('.') && rest.ends_with(".so"))
        })
    })
}

fn cannot_write(work: &Work, error: io::Error) -> Error {
    let hint = "free some disk space if the disk is full, or set XDG_CACHE_HOME to a folder on another disk";
    Error::failed(format!("cannot install packages to {}", work.folder().path().display()))
        .hint(hint)
        .source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_a_folder_a_file_or_a_library() {
        let folder = tempfile::tempdir().unwrap();
        for path in
            ["google/protobuf/x.py", "six.py", "lz4.cpython-311-x86_64-linux-gnu.so", "numpy-2.dist-info/x"]
        {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let site = Folder::open(folder.path()).unwrap();
        for (module, is_there) in [
            ("google.protobuf", true),
            ("google", true),
            ("six", true),
            ("lz4", true),
            ("numpy", false),
            ("google.cloud", false),
            ("lz", false),
        ] {
            assert_eq!(holds(&site, module), is_there, "{module}");
        }
    }
}
