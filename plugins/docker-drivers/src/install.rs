//! Installs a project's dependencies: the part of the Dockerfile that only the first stage has.

use alekseylearn_sdk::Error;
use runner::{POETRY, POETRY_EXPORT};
use serde_json::json;

use crate::{
    image::quoted,
    layout::{NOTEBOOK_REQUIREMENTS, in_code},
};

/// A script that prints which imported packages are missing.
pub(crate) const MISSING: &str = include_str!("missing.py");
/// Folder of the dependency files during the installation. It does not depend on where they are in the project, so that
/// equal dependencies give an equal layer.
const DECLARED: &str = "/opt/alekseylearn/project";
/// Network settings of this machine for the installers.
const MACHINE: &str = "/opt/alekseylearn/machine";
/// The wheels of uv, by their hashes.
const UV_WHEELS: &str = include_str!("uv.txt");
/// A script that prints which of the chosen versions have a wheel.
const WHEELS_SCRIPT: &str = include_str!("wheels.py");
/// Its output.
const WHEELS: &str = "/opt/wheels.txt";
/// The lines of it that are read, as an extended regular expression.
const WHEEL_LINE: &str = "[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+_-]+( --hash=sha256:[0-9a-f]{64})+|\
                          --(index-url|extra-index-url|find-links) https?://[^ ]+";
/// Where a build mounts the tools' caches, which become part of no layer.
const CACHES: &str = "/var/cache/alekseylearn";
/// A lock file's packages, as requirements.
const LOCKED: &str = "/opt/locked-requirements.txt";
/// List of the installed packages and versions, which the host reads.
const INSTALLED: &str = "/opt/alekseylearn/venv/installed.txt";
const PYTHON: &str = "/opt/alekseylearn/venv/bin/python";
const VENV: &str = "VIRTUAL_ENV=/opt/alekseylearn/venv";
const NETRC_MOUNT: &str = "--mount=type=secret,id=netrc ";
const FIND_MISSING: &str = "/opt/alekseylearn/venv/bin/python /opt/imported/missing.py /opt/imported/modules.txt > \
                            /opt/imported/requirements.txt";

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

#[derive(Clone)]
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
        let mut files = vec![("uv.txt", UV_WHEELS.to_owned())];
        if self.cache.is_some() {
            files.push(("wheels.py", WHEELS_SCRIPT.to_owned()));
        }
        if self.notebook {
            files.push(("notebook-requirements.txt", format!("{}\n", NOTEBOOK_REQUIREMENTS.join("\n"))));
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

    /// The name of the stage that [`Self::lines`] begin in. They end in the stage `dependencies`.
    pub(crate) fn first_stage(&self) -> &'static str {
        if self.cache.is_some() && !self.is_empty() { "tools" } else { "dependencies" }
    }

    /// The Dockerfile's lines that install everything into a new virtual environment.
    ///
    /// Packages run code when they are built, and when Python starts in an environment that has them. Such code must not
    /// write into the cache, which all projects share. So the cache is mounted only in steps before which no code of the
    /// project or of a package ran in the stage: versions are chosen in a stage of their own, wheels of these versions are
    /// installed from the cache, and the rest is installed without it.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = self.tools();
        let lists = self.lists();
        if let Some(platform) = &self.cache {
            lines.push(String::new());
            lines.push("FROM tools AS versions".into());
            lines.extend(self.versions(&lists));
            lines.push(String::new());
            lines.push("FROM tools AS dependencies".into());
            lines.push(format!("COPY --from=versions {WHEELS} {WHEELS}"));
            lines.push(self.wheels_from_cache(platform));
        }
        lines.extend(lists.copies.iter().cloned());
        if let Some(export) = &lists.export {
            lines.push(match self.cache {
                Some(_) => format!("COPY --from=versions {LOCKED} {LOCKED}"),
                None => export.clone(),
            });
        }
        if !lists.files.is_empty() {
            lines.push(format!("WORKDIR {}", lists.folder));
            let editable = if lists.is_in_place { "" } else { " --no-editable" };
            let requirements: String =
                lists.files.iter().map(|file| format!(" --requirement {}", quoted(file))).collect();
            lines.push(format!(
                "RUN {}{}{editable}{}{requirements}",
                self.start(),
                self.uv_install(),
                lists.options
            ));
        }
        if !self.imported.is_empty() {
            lines.push("COPY imported/ /opt/imported/".into());
            lines.push(format!(
                "RUN {}{FIND_MISSING} && \
                 if test -s /opt/imported/requirements.txt; then {} --requirement /opt/imported/requirements.txt; fi",
                self.start(),
                self.uv_install(),
            ));
        }
        // Files that Python cannot compile are left as they are.
        lines.push(format!(
            "RUN /opt/uv/bin/uv pip freeze --quiet --python {PYTHON} > {INSTALLED} && \
             {{ {PYTHON} -I -m compileall -qq -j 0 /opt/alekseylearn/venv/lib || true; }}"
        ));
        lines
    }

    /// Installs the installer, and makes the virtual environment.
    fn tools(&self) -> Vec<String> {
        let mounts = self
            .cache
            .as_ref()
            .map_or_else(String::new, |platform| cache_mount("pip", platform) + NETRC_MOUNT);
        let cache = match self.cache {
            Some(_) => format!("--cache-dir {CACHES}/pip"),
            None => "--no-cache-dir".to_owned(),
        };
        // Only this stage has the machine's network settings: none of them are left in the image.
        let mut lines = vec![format!("COPY machine/ {MACHINE}/"), "COPY uv.txt /opt/uv.txt".to_owned()];
        // The user's own index may not have uv. A project can name indexes too, so that only the known wheels will do.
        lines.push(format!(
            "RUN {mounts}{}install() {{ python3 -m pip install --quiet --no-input --disable-pip-version-check {cache} \
             --root-user-action=ignore --only-binary=:all: --require-hashes --target /opt/uv --requirement /opt/uv.txt; }}; \
             install || {{ test -n \"$PIP_INDEX_URL\" && unset PIP_INDEX_URL && install; }}",
            self.environment(),
        ));
        lines.push(
            "RUN /opt/uv/bin/uv venv --quiet --system-site-packages \
             --python \"$(command -v python3)\" /opt/alekseylearn/venv"
                .into(),
        );
        for program in &self.programs {
            lines.push(format!("RUN command -v {program} > /dev/null || {{ {}; }}", system(program)));
        }
        lines
    }

    /// Chooses the versions, and writes those that have a wheel to a file. If that fails, the installation itself will
    /// say why.
    fn versions(&self, lists: &Lists) -> Vec<String> {
        let mut lines = lists.copies.clone();
        lines.extend(lists.export.clone());
        let mut files = lists.files.clone();
        let mut before = String::new();
        if files.is_empty() {
            lines.push("COPY imported/ /opt/imported/".into());
            files.push("/opt/imported/requirements.txt".into());
            before = format!("{FIND_MISSING} && ");
        } else {
            lines.push(format!("WORKDIR {}", lists.folder));
        }
        lines.push("COPY wheels.py /opt/wheels.py".into());
        let files: String = files.iter().map(|file| format!(" {}", quoted(file))).collect();
        let choose = format!(
            "/opt/uv/bin/uv pip compile --quiet --python {PYTHON} --cache-dir /opt/downloads --no-header --no-annotate"
        );
        lines.push(format!(
            "RUN {}{{ {before}{choose} --generate-hashes --emit-index-url --emit-find-links{}{} --output-file \
             /opt/versions.txt --{files} && python3 -I /opt/wheels.py /opt/versions.txt {choose} --no-config --no-deps \
             --no-build - > {WHEELS}; }} 2> /dev/null || : > {WHEELS}",
            self.start(),
            self.as_of(),
            lists.options,
        ));
        lines
    }

    /// Installs the wheels that were chosen, with the shared cache. The file comes from a stage in which code of packages
    /// ran, so only lines that name an index or a wheel's version and hash are read. Nothing else of the project is
    /// there, and nothing is compiled, because that would start a Python with the new packages.
    fn wheels_from_cache(&self, platform: &str) -> String {
        format!(
            "RUN {}{NETRC_MOUNT}{}unset UV_INSECURE_HOST; \
             if LC_ALL=C grep -xE '{WHEEL_LINE}' {WHEELS} > /opt/known-wheels.txt && grep -q == /opt/known-wheels.txt; then \
             {VENV} /opt/uv/bin/uv pip install --no-config --cache-dir {CACHES}/uv --link-mode copy --no-progress \
             --no-build --no-deps --require-hashes --no-compile-bytecode --requirement /opt/known-wheels.txt 2>&1 | \
             while IFS= read -r line; do \
             case $line in error:*) cat > /dev/null;; *) printf '%s\\n' \"$line\";; esac; done; fi",
            cache_mount("uv", platform),
            self.environment(),
        )
    }

    /// What the files and the user list, for one resolution.
    fn lists(&self) -> Lists {
        let place = self.declared.as_ref().and_then(|found| found.place.as_deref());
        let folder = place.map_or_else(|| DECLARED.to_owned(), in_code);
        let mut lists = Lists {
            // The builder expands variables in a path that the Dockerfile itself names.
            folder: folder.replace('$', "\\$"),
            is_in_place: place.is_some(),
            ..Lists::default()
        };
        if let Some(declared) = &self.declared {
            lists.copies.push(format!("COPY {}", json!(["dependencies/", format!("{}/", lists.folder)])));
            lists.export = self.export(declared, &folder);
            if lists.export.is_some() {
                lists.files.push(LOCKED.to_owned());
            } else {
                lists.files.push(declared.file.clone());
                lists
                    .options
                    .extend(declared.extras.iter().map(|extra| format!(" --extra {}", quoted(extra))));
                if matches!(declared.form, Form::Pyproject) {
                    let group = |group: &String| {
                        format!(" --group {}", quoted(&format!("{}:{group}", declared.file)))
                    };
                    lists.options.extend(declared.groups.iter().map(group));
                }
            }
        }
        for (name, is_there) in
            [("notebook-requirements.txt", self.notebook), ("added-requirements.txt", !self.added.is_empty())]
        {
            if is_there {
                lists.copies.push(format!("COPY {name} /opt/{name}"));
                lists.files.push(format!("/opt/{name}"));
            }
        }
        lists
    }

    fn uv_install(&self) -> String {
        format!("{VENV} /opt/uv/bin/uv pip install --no-cache --no-progress{}", self.as_of())
    }

    fn as_of(&self) -> String {
        self.as_of.as_ref().map_or_else(String::new, |day| format!(" --exclude-newer {}", quoted(day)))
    }

    /// Exports a lock file to requirements that `uv pip install` reads. The project itself and its development
    /// dependencies are left out.
    fn export(&self, declared: &Declared, folder: &str) -> Option<String> {
        let parent = declared.file.rsplit_once('/').map_or("", |(parent, _)| parent);
        let start = format!("RUN {}cd {}", self.start(), quoted(&format!("{folder}/{parent}")));
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
                    "{start} && /opt/uv/bin/uv export --no-cache --quiet --frozen{member}{extras}{defaults}{groups} \
                     --no-emit-project --python python3 --output-file {LOCKED}"
                ))
            }
            Form::Poetry { locked } => {
                let poetry = format!(
                    "POETRY_VIRTUALENVS_CREATE=false /opt/uv/bin/uv tool run --no-cache --quiet --python python3 --from {POETRY} --with {POETRY_EXPORT} \
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

    /// The start of a RUN that reads package indexes without the shared cache.
    fn start(&self) -> String {
        let mount = if self.cache.is_some() { NETRC_MOUNT } else { "" };
        format!("{mount}{}", self.environment())
    }

    /// Sets the addresses of the package indexes, and where their credentials are.
    fn environment(&self) -> String {
        // Set explicitly, because the base image's user and home folder are unknown.
        let netrc = if self.cache.is_some() { "export NETRC=/run/secrets/netrc && " } else { "" };
        format!(". {MACHINE}/environment && {netrc}")
    }
}

/// The mount of a tool's cache. Earlier versions let packages write into caches with other ids.
fn cache_mount(tool: &str, platform: &str) -> String {
    format!("--mount=type=cache,id=alekseylearn-wheels-{tool}-{platform},target={CACHES}/{tool} ")
}

/// What is installed in one resolution.
#[derive(Default)]
struct Lists {
    /// The lines that copy the files.
    copies: Vec<String>,
    /// The line that makes a list from a lock file.
    export: Option<String>,
    /// The folder that relative paths start from, as the Dockerfile writes it.
    folder: String,
    /// Whether this is where the folder is when the script runs.
    is_in_place: bool,
    files: Vec<String>,
    options: String,
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
