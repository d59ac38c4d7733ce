//! Installs a project's dependencies: the part of the Dockerfile that only the first stage has.

use alekseylearn_sdk::Error;
use runner::{POETRY, POETRY_EXPORT, UV};
use serde_json::json;

use crate::image::{in_code, quoted};

/// Packages that run a notebook. Unpinned, because the project may pin any version of them.
pub(crate) const NOTEBOOK_REQUIREMENTS: &str = "papermill\nipykernel\n";
/// A script that prints which imported packages are missing.
pub(crate) const MISSING: &str = include_str!("missing.py");
/// Folder of the dependency files during the installation. It does not depend on where they are in the project, so that
/// equal dependencies give an equal layer.
const DECLARED: &str = "/opt/alekseylearn/project";
/// Network settings of this machine for the installers.
const MACHINE: &str = "/opt/alekseylearn/machine";
/// Where a build mounts the tools' caches, which become part of no layer.
const CACHES: &str = "/var/cache/alekseylearn";
/// A lock file's packages, as requirements.
const LOCKED: &str = "/opt/locked-requirements.txt";
/// List of the installed packages and versions, which the host reads.
const INSTALLED: &str = "/opt/alekseylearn/venv/installed.txt";
const PYTHON: &str = "/opt/alekseylearn/venv/bin/python";

/// What to install, and how.
#[derive(Default)]
pub(crate) struct Installation {
    /// Dependencies that a file of the project declares.
    pub(crate) declared: Option<Declared>,
    /// Packages that the user added, as requirements.
    pub(crate) added: Vec<String>,
    /// Modules that the code imports, each with the requirement that provides it.
    pub(crate) imported: Vec<(String, String)>,
    /// The day whose newest versions are chosen.
    pub(crate) as_of: Option<String>,
    /// System programs that the installation needs.
    pub(crate) programs: Vec<String>,
    /// Whether the training artifact is a notebook.
    pub(crate) notebook: bool,
    /// The platform whose downloads are cached between builds; `None` if the builder has no cache.
    pub(crate) cache: Option<String>,
}

/// Dependencies that a file of the project declares.
pub(crate) struct Declared {
    pub(crate) form: Form,
    /// The file's path from the folder that holds it.
    pub(crate) file: String,
    /// That folder's path in the project, if the project's own code is installed from there.
    pub(crate) place: Option<String>,
    /// The member of a uv workspace whose dependencies are installed.
    pub(crate) member: Option<String>,
    pub(crate) extras: Vec<String>,
    pub(crate) groups: Vec<String>,
}

pub(crate) enum Form {
    Requirements,
    Pyproject,
    UvLock,
    Poetry { locked: bool },
}

impl Installation {
    pub(crate) fn of(found: Option<&alekseylearn_sdk::Dependencies>) -> Result<Self, Error> {
        let Some(found) = found else { return Ok(Self::default()) };
        Ok(Self {
            declared: Declared::of(found)?,
            added: found.added(),
            imported: found.imported(),
            as_of: found.as_of(),
            programs: found.programs(),
            notebook: false,
            cache: None,
        })
    }

    /// Whether there is nothing to install.
    pub(crate) fn is_empty(&self) -> bool {
        self.declared.is_none() && self.added.is_empty() && self.imported.is_empty() && !self.notebook
    }

    /// Files that the build needs besides those of the project.
    pub(crate) fn files(&self) -> Vec<(&'static str, String)> {
        let mut files = Vec::new();
        if self.notebook {
            files.push(("notebook-requirements.txt", NOTEBOOK_REQUIREMENTS.to_owned()));
        }
        if !self.added.is_empty() {
            files.push(("added-requirements.txt", format!("{}\n", self.added.join("\n"))));
        }
        if !self.imported.is_empty() {
            let lines = self.imported.iter().map(|(module, requirement)| format!("{module} {requirement}\n"));
            files.push(("imported/modules.txt", lines.collect()));
            files.push(("imported/missing.py", MISSING.to_owned()));
        }
        files
    }

    /// The Dockerfile's lines that install everything into a new virtual environment.
    pub(crate) fn lines(&self) -> Vec<String> {
        // Only this stage has the machine's network settings: none of them are left in the image.
        let mut lines = vec![format!("COPY machine/ {MACHINE}/")];
        // The user's own index may not have uv.
        lines.push(format!(
            "RUN {}install() {{ python3 -m pip install --quiet --no-input --disable-pip-version-check {}\
             --root-user-action=ignore --target /opt/uv {UV}; }}; \
             install || {{ test -n \"$PIP_INDEX_URL\" && unset PIP_INDEX_URL && install; }}",
            self.installing("pip"),
            if self.cache.is_some() { "" } else { "--no-cache-dir " },
        ));
        lines.push(
            "RUN /opt/uv/bin/uv venv --quiet --system-site-packages \
             --python \"$(command -v python3)\" /opt/alekseylearn/venv"
                .into(),
        );
        for program in &self.programs {
            lines.push(format!("RUN command -v {program} > /dev/null || {{ {}; }}", system(program)));
        }
        lines.extend(self.listed());
        if !self.imported.is_empty() {
            lines.push("COPY imported/ /opt/imported/".into());
            lines.push(format!(
                "RUN {}{PYTHON} /opt/imported/missing.py /opt/imported/modules.txt > /opt/imported/requirements.txt && \
                 if test -s /opt/imported/requirements.txt; then {} --requirement /opt/imported/requirements.txt; fi",
                self.installing("uv"),
                self.uv_install(),
            ));
        }
        lines.push(format!("RUN /opt/uv/bin/uv pip freeze --quiet --python {PYTHON} > {INSTALLED}"));
        lines
    }

    /// Installs what the files and the user list, in one resolution.
    fn listed(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut lists = Vec::new();
        let mut options = String::new();
        let place = self.declared.as_ref().and_then(|found| found.place.as_deref());
        let folder = place.map_or_else(|| DECLARED.to_owned(), in_code);
        // The builder expands variables in a path that the Dockerfile itself names.
        let named = folder.replace('$', "\\$");
        if let Some(declared) = &self.declared {
            lines.push(format!("COPY {}", json!(["dependencies/", format!("{named}/")])));
            match self.export(declared, &folder) {
                Some(line) => {
                    lines.push(line);
                    lists.push(LOCKED.to_owned());
                }
                None => {
                    lists.push(declared.file.clone());
                    options.extend(declared.extras.iter().map(|extra| format!(" --extra {}", quoted(extra))));
                    if matches!(declared.form, Form::Pyproject) {
                        let group = |group: &String| {
                            format!(" --group {}", quoted(&format!("{}:{group}", declared.file)))
                        };
                        options.extend(declared.groups.iter().map(group));
                    }
                }
            }
        }
        for (name, is_there) in
            [("notebook-requirements.txt", self.notebook), ("added-requirements.txt", !self.added.is_empty())]
        {
            if is_there {
                lines.push(format!("COPY {name} /opt/{name}"));
                lists.push(format!("/opt/{name}"));
            }
        }
        if lists.is_empty() {
            return lines;
        }
        lines.push(format!("WORKDIR {named}"));
        let editable = if place.is_some() { "" } else { " --no-editable" };
        let lists: Vec<String> =
            lists.iter().map(|file| format!(" --requirement {}", quoted(file))).collect();
        lines.push(format!(
            "RUN {}{}{editable}{options}{}",
            self.installing("uv"),
            self.uv_install(),
            lists.concat()
        ));
        lines
    }

    fn uv_install(&self) -> String {
        let as_of =
            self.as_of.as_ref().map_or_else(String::new, |day| format!(" --exclude-newer {}", quoted(day)));
        format!(
            "VIRTUAL_ENV=/opt/alekseylearn/venv /opt/uv/bin/uv pip install{} --no-progress --compile-bytecode{as_of}",
            self.uv_cache()
        )
    }

    /// Exports a lock file to requirements that `uv pip install` reads. The project itself and its development
    /// dependencies are left out.
    fn export(&self, declared: &Declared, folder: &str) -> Option<String> {
        let parent = declared.file.rsplit_once('/').map_or("", |(parent, _)| parent);
        let start = format!("RUN {}cd {}", self.installing("uv"), quoted(&format!("{folder}/{parent}")));
        let cache = self.uv_cache();
        let named = |option: &str, names: &[String]| -> String {
            names.iter().map(|name| format!(" --{option} {}", quoted(name))).collect()
        };
        match declared.form {
            Form::Requirements | Form::Pyproject => None,
            Form::UvLock => {
                let member = declared.member.as_ref();
                let member = member.map_or_else(String::new, |name| format!(" --package {}", quoted(name)));
                let extras = named("extra", &declared.extras);
                // `--no-dev` leaves out only the group `dev`, and `uv` includes other groups only by name.
                let groups = named("group", &declared.groups);
                let defaults = if groups.contains("'dev'") {
                    " --no-default-groups"
                } else {
                    " --no-default-groups --no-dev"
                };
                Some(format!(
                    "{start} && /opt/uv/bin/uv export{cache} --quiet --frozen{member}{extras}{defaults}{groups} \
                     --no-emit-project --python python3 --output-file {LOCKED}"
                ))
            }
            Form::Poetry { locked } => {
                let poetry = format!(
                    "POETRY_VIRTUALENVS_CREATE=false /opt/uv/bin/uv tool run{cache} --quiet --python python3 --from {POETRY} --with {POETRY_EXPORT} \
                     poetry --no-interaction"
                );
                let lock = if locked { String::new() } else { format!(" && {poetry} lock") };
                let groups: Vec<&str> =
                    ["main"].into_iter().chain(declared.groups.iter().map(String::as_str)).collect();
                let extras = named("extras", &declared.extras);
                Some(format!(
                    "{start}{lock} && {poetry} export --only {}{extras} --output {LOCKED}",
                    quoted(&groups.join(","))
                ))
            }
        }
    }

    /// The start of a RUN that installs: mounts for the tool's cache and the package index's credentials, and the
    /// index's address.
    fn installing(&self, tool: &str) -> String {
        let mounts = self.cache.as_ref().map_or_else(String::new, |platform| {
            format!(
                "--mount=type=cache,id=alekseylearn-{tool}-{platform},target={CACHES}/{tool} \
                 --mount=type=secret,id=netrc "
            )
        });
        // Set explicitly, because the base image's user and home folder are unknown.
        let places = match self.cache {
            Some(_) => format!("export NETRC=/run/secrets/netrc PIP_CACHE_DIR={CACHES}/pip && "),
            None => String::new(),
        };
        format!("{mounts}. {MACHINE}/environment && {places}")
    }

    fn uv_cache(&self) -> String {
        match self.cache {
            // The cache is on another file system than the image.
            Some(_) => format!(" --cache-dir {CACHES}/uv --link-mode copy"),
            None => " --no-cache".to_owned(),
        }
    }
}

impl Declared {
    fn of(found: &alekseylearn_sdk::Dependencies) -> Result<Option<Self>, Error> {
        let form = match found.form().as_str() {
            "none" => return Ok(None),
            "requirements" => Form::Requirements,
            "pyproject" => Form::Pyproject,
            "uv-lock" => Form::UvLock,
            "poetry" => Form::Poetry { locked: found.file().ends_with(".lock") },
            other => {
                return Err(Error::unsupported(format!("this driver cannot install from {other}"))
                    .hint("list the dependencies in a requirements.txt"));
            }
        };
        Ok(Some(Self {
            form,
            file: found.file(),
            place: found.place(),
            member: found.member(),
            extras: found.extras(),
            groups: found.groups(),
        }))
    }
}

/// A shell command that installs system packages in the base image.
pub(crate) fn system(packages: &str) -> String {
    format!(
        "if command -v apt-get > /dev/null; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
         --no-install-recommends {packages} > /dev/null && rm -rf /var/lib/apt/lists/*; \
         elif command -v apk > /dev/null; then apk add --quiet --no-cache {packages}; \
         elif command -v microdnf > /dev/null; then microdnf install -y {packages}; \
         elif command -v dnf > /dev/null; then dnf install -y -q {packages}; \
         else echo 'alekseylearn: the base image lacks {packages}, and has no package manager to install it with' >&2; exit 1; fi"
    )
}

/// The system packages that the user lists.
pub(crate) fn system_packages(list: &str) -> Result<Vec<String>, Error> {
    let names: Vec<String> =
        list.split([',', ' ']).map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let is_name = |name: &String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "+.-_:=~".contains(c);
        name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain)
    };
    match names.iter().find(|name| !is_name(name)) {
        Some(name) => Err(Error::invalid(format!("`{name}` is not the name of a system package"))
            .hint("set --config.system_packages to names such as libgl1,ffmpeg")),
        None => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_of_system_packages_are_accepted() {
        assert_eq!(system_packages("libgl1, ffmpeg git=1:2.39").unwrap(), ["libgl1", "ffmpeg", "git=1:2.39"]);
        for bad in ["a;b", "$(x)", "-y", "a\nb", "a'b"] {
            assert!(system_packages(bad).is_err(), "{bad}");
        }
    }
}
