//! The build driver: one Dockerfile for every training folder, its layers in the order in which they change.

use alekseylearn_sdk::{Error, OptionSpec, Training, build, docker};
use runner::{POETRY, POETRY_EXPORT, UV};

use serde_json::json;

use crate::{Docker, Machine};

/// What runs a notebook; a training folder may ask for other versions.
const NOTEBOOK_REQUIREMENTS: &str = "papermill>=2.6\nipykernel>=6.29\n";
/// Taken where the project does not say which one it wants.
const USUAL_PYTHON: &str = "3.11";
/// The project in the image. What is installed from its own code is installed here, and stays here.
const CODE: &str = "/opt/alekseylearn/code";
/// The dependency files, while they are installed. That is the same folder wherever they lie in the project, so that equal
/// dependencies are an equal layer.
const DECLARED: &str = "/opt/alekseylearn/project";
/// What makes the project known to Python as a package that is installed.
const PACKAGE: &str = "/opt/alekseylearn/package";
/// What installers must know of this machine's network.
const MACHINE: &str = "/opt/alekseylearn/machine";
/// Where a build mounts the caches of the tools: what they hold is in no layer.
const CACHES: &str = "/var/cache/alekseylearn";
/// What a lock says, as requirements.
const LOCKED: &str = "/opt/locked-requirements.txt";
/// What was installed, by version: the host reads it.
const INSTALLED: &str = "/opt/alekseylearn/venv/installed.txt";

impl<M: Machine> build::Guest for Docker<M> {
    fn options() -> Vec<OptionSpec> {
        let base = OptionSpec::text(
            "base_image",
            "Image to start from, with Python 3 and pip; python:3.X-slim for the project's Python",
        );
        let platform = OptionSpec::text("platform", "Platform that the image is for, as os/architecture");
        vec![base, platform.default_to("linux/amd64")]
    }

    fn build(training: &Training) -> Result<docker::Image, Error> {
        let options = training.options();
        let recipe = Recipe::of(training)?;
        let base = options.text("base_image").unwrap_or_else(|| recipe.usual_base());
        let build = docker::ImageBuild::new(training);
        let dockerfile = recipe.dockerfile(&base);
        build.dockerfile(&format!("{dockerfile}{}", M::INSTRUCTIONS));
        if let Some(platform) = options.text("platform") {
            build.platform(&platform);
        }
        for (name, text) in runner::FILES {
            build.file(&format!("runner/{name}"), text.as_bytes());
        }
        build.file("artifact.json", training.description().as_bytes());
        for (path, text) in training.metadata() {
            build.file(&format!("package/{path}"), text.as_bytes());
        }
        if recipe.notebook {
            build.file("notebook-requirements.txt", NOTEBOOK_REQUIREMENTS.as_bytes());
        }
        build.run()
    }
}

/// All that decides how the Dockerfile reads.
struct Recipe {
    dependencies: Option<Dependencies>,
    python: Option<Python>,
    notebook: bool,
    /// Downloads are kept from one build to the next.
    cache: Option<String>,
    /// The folders of the project whose modules can be imported from everywhere.
    imports: Vec<String>,
    /// It is a package.
    package: bool,
}

struct Dependencies {
    form: Form,
    /// From the folder on in which it lies.
    file: String,
    /// That folder in the project, if its own code is installed from there.
    place: Option<String>,
    /// The member of a uv workspace to install for.
    member: Option<String>,
}

enum Form {
    Requirements,
    Pyproject,
    UvLock,
    Poetry { locked: bool },
}

struct Python {
    versions: Vec<String>,
    origin: String,
}

impl Recipe {
    fn of(training: &Training) -> Result<Self, Error> {
        let dependencies = training.dependencies().map(|found| Dependencies::of(&found)).transpose()?;
        let python =
            training.python().map(|python| Python { versions: python.versions(), origin: python.origin() });
        // Where no engine answers, nothing is built either: this shows what would be.
        let keeps_downloads = docker::buildkit().unwrap_or(true);
        let platform = training.options().text("platform").unwrap_or_default();
        let cache = keeps_downloads.then(|| platform.replace('/', "-"));
        Ok(Self {
            imports: training.import_folders(),
            package: !training.metadata().is_empty(),
            dependencies,
            python,
            notebook: training.is_notebook(),
            cache,
        })
    }

    fn usual_base(&self) -> String {
        let version = self.python.as_ref().and_then(|python| python.versions.first());
        format!("python:{}-slim", version.map_or(USUAL_PYTHON, String::as_str))
    }

    fn dockerfile(&self, base: &str) -> String {
        let mut lines = vec![format!("FROM {base} AS dependencies")];
        lines.extend(self.python.as_ref().map(Python::check));
        let installs = self.dependencies.is_some() || self.notebook;
        if installs {
            // Only this stage sees what the machine's network needs: nothing of it is left in the image.
            lines.push(format!("COPY machine/ {MACHINE}/"));
            // An index of the user's own need not have uv.
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
            lines.extend(self.install());
        } else {
            lines.push(
                "RUN python3 -m venv --without-pip --system-site-packages /opt/alekseylearn/venv".into(),
            );
        }
        // As an editable installation would, without one: code that changes leaves this layer as it is.
        let folders = self.imports.iter().map(|folder| quoted(&in_code(folder)));
        let folders: Vec<String> = folders.chain([PACKAGE.to_owned()]).collect();
        lines.push(format!(
            "RUN printf '%s\\n' {} > \"$(/opt/alekseylearn/venv/bin/python -c \
             'import sysconfig; print(sysconfig.get_path(\"purelib\"))')/alekseylearn.pth\"",
            folders.join(" ")
        ));
        lines.push(String::new());
        lines.push(format!("FROM {base}"));
        lines.push("COPY --from=dependencies /opt/alekseylearn/venv /opt/alekseylearn/venv".into());
        lines.push("ENV PATH=/opt/alekseylearn/venv/bin:$PATH VIRTUAL_ENV=/opt/alekseylearn/venv".into());
        lines.push("COPY runner/ /opt/alekseylearn/runner/".into());
        lines.push(format!("WORKDIR {CODE}"));
        // Exec form: a shell would keep SIGTERM from the script. Isolated, and without what `site` would load: files of the
        // project take no module's place in the runner.
        lines.push(
            r#"ENTRYPOINT ["/opt/alekseylearn/venv/bin/python", "-I", "-S", "/opt/alekseylearn/runner"]"#
                .into(),
        );
        if self.package {
            lines.push(format!("COPY package/ {PACKAGE}/"));
        }
        lines.push("COPY artifact.json /opt/alekseylearn/artifact.json".into());
        lines.push(format!("COPY code/ {CODE}/"));
        lines.push(String::new());
        lines.join("\n")
    }

    fn install(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut files = Vec::new();
        let place = self.dependencies.as_ref().and_then(|found| found.place.as_deref());
        let folder = place.map_or_else(|| DECLARED.to_owned(), in_code);
        // Where the Dockerfile itself names it, the builder would put in variables.
        let named = folder.replace('$', "\\$");
        if let Some(dependencies) = &self.dependencies {
            lines.push(format!("COPY {}", json!(["dependencies/", format!("{named}/")])));
            match self.export(dependencies, &folder) {
                Some(line) => {
                    lines.push(line);
                    files.push(LOCKED.to_owned());
                }
                None => files.push(dependencies.file.clone()),
            }
        }
        if self.notebook {
            lines.push("COPY notebook-requirements.txt /opt/notebook-requirements.txt".into());
            files.push("/opt/notebook-requirements.txt".into());
        }
        lines.push(format!("WORKDIR {named}"));
        let editable = if place.is_some() { "" } else { " --no-editable" };
        let arguments: Vec<String> =
            files.iter().map(|file| format!("--requirement {}", quoted(file))).collect();
        lines.push(format!(
            "RUN {}VIRTUAL_ENV=/opt/alekseylearn/venv /opt/uv/bin/uv pip install{} --no-progress \
             --compile-bytecode{editable} {} && /opt/uv/bin/uv pip freeze --quiet \
             --python /opt/alekseylearn/venv/bin/python > {INSTALLED}",
            self.installing("uv"),
            self.uv_cache(),
            arguments.join(" ")
        ));
        lines
    }

    /// Writes what a lock says where `uv pip install` reads it. The project itself is the training folder's code, and
    /// what is for its developers only is left.
    fn export(&self, dependencies: &Dependencies, folder: &str) -> Option<String> {
        let parent = dependencies.file.rsplit_once('/').map_or("", |(parent, _)| parent);
        let start = format!("RUN {}cd {}", self.installing("uv"), quoted(&format!("{folder}/{parent}")));
        let cache = self.uv_cache();
        match dependencies.form {
            Form::Requirements | Form::Pyproject => None,
            Form::UvLock => {
                let member = dependencies.member.as_ref();
                let member = member.map_or_else(String::new, |name| format!(" --package {}", quoted(name)));
                Some(format!(
                    "{start} && /opt/uv/bin/uv export{cache} --quiet --frozen{member} --no-dev --no-emit-project \
                     --python python3 --output-file {LOCKED}"
                ))
            }
            Form::Poetry { locked } => {
                let poetry = format!(
                    "POETRY_VIRTUALENVS_CREATE=false /opt/uv/bin/uv tool run{cache} --quiet --python python3 --from {POETRY} --with {POETRY_EXPORT} \
                     poetry --no-interaction"
                );
                let lock = if locked { String::new() } else { format!(" && {poetry} lock") };
                Some(format!("{start}{lock} && {poetry} export --only main --output {LOCKED}"))
            }
        }
    }

    /// The start of a RUN that installs: where the tool keeps its downloads between builds, who logs in at the package
    /// index, and where that is.
    fn installing(&self, tool: &str) -> String {
        let mounts = self.cache.as_ref().map_or_else(String::new, |platform| {
            format!(
                "--mount=type=cache,id=alekseylearn-{tool}-{platform},target={CACHES}/{tool} \
                 --mount=type=secret,id=netrc "
            )
        });
        // Said to the tools, for whoever the base image's user is, and wherever that one's home.
        let places = match self.cache {
            Some(_) => format!("export NETRC=/run/secrets/netrc PIP_CACHE_DIR={CACHES}/pip && "),
            None => String::new(),
        };
        format!("{mounts}. {MACHINE}/environment && {places}")
    }

    fn uv_cache(&self) -> String {
        match self.cache {
            // The cache lies in another file system than the image.
            Some(_) => format!(" --cache-dir {CACHES}/uv --link-mode copy"),
            None => " --no-cache".to_owned(),
        }
    }
}

impl Dependencies {
    fn of(found: &alekseylearn_sdk::Dependencies) -> Result<Self, Error> {
        let form = match found.form().as_str() {
            "requirements" => Form::Requirements,
            "pyproject" => Form::Pyproject,
            "uv-lock" => Form::UvLock,
            "poetry" => Form::Poetry { locked: found.file().ends_with(".lock") },
            other => {
                return Err(Error::unsupported(format!("this driver cannot install from {other}"))
                    .hint("list the dependencies in a requirements.txt"));
            }
        };
        Ok(Self { form, file: found.file(), place: found.place(), member: found.member() })
    }
}

impl Python {
    /// A step that fails where the base image has another Python; what it says becomes the error.
    fn check(&self) -> String {
        let versions: Vec<String> = self.versions.iter().map(|version| quoted(version)).collect();
        let text = "import sys; v = \"%d.%d\" % sys.version_info[:2]; v in sys.argv[2:] or \
                    sys.exit(\"alekseylearn: the base image has Python \" + v + \", and the project asks for \" + sys.argv[1])";
        format!("RUN python3 -c {} {} {}", quoted(text), quoted(&self.origin), versions.join(" "))
    }
}

/// A folder of the project, in the image.
fn in_code(folder: &str) -> String {
    if folder.is_empty() { CODE.to_owned() } else { format!("{CODE}/{folder}") }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(form: Option<Form>, notebook: bool) -> Recipe {
        let file = match form {
            Some(Form::UvLock) => "uv.lock",
            Some(Form::Poetry { .. }) => "poetry.lock",
            _ => "requirements.txt",
        };
        Recipe {
            dependencies: form.map(|form| Dependencies {
                form,
                file: file.into(),
                place: None,
                member: None,
            }),
            python: None,
            notebook,
            cache: Some("linux-amd64".into()),
            imports: vec![String::new(), "src".into()],
            package: false,
        }
    }

    #[test]
    fn code_comes_last_and_dependencies_do_not_see_it() {
        let text = recipe(Some(Form::Requirements), false).dockerfile("base");
        assert_eq!(text.lines().last(), Some("COPY code/ /opt/alekseylearn/code/"));
        assert_eq!(text.matches("COPY code/").count(), 1, "{text}");
        assert!(text.contains(r#"COPY ["dependencies/","/opt/alekseylearn/project/"]"#), "{text}");
    }

    #[test]
    fn nothing_is_installed_where_nothing_is_asked_for() {
        let text = recipe(None, false).dockerfile("base");
        assert!(!text.contains("pip install"), "{text}");
        assert!(!text.contains("machine"), "{text}");
    }

    #[test]
    fn the_machine_stays_out_of_the_final_stage() {
        let text = recipe(Some(Form::Requirements), false).dockerfile("base");
        let last_stage = text.rsplit("FROM ").next().unwrap();
        assert!(text.contains("COPY machine/") && text.contains("type=secret,id=netrc"), "{text}");
        assert!(!last_stage.contains("machine") && !last_stage.contains("netrc"), "{last_stage}");
    }

    #[test]
    fn locks_are_installed_as_they_stand() {
        let text = recipe(Some(Form::UvLock), false).dockerfile("base");
        assert!(text.contains("uv export") && text.contains("--frozen"), "{text}");
        let poetry = |locked| recipe(Some(Form::Poetry { locked }), false).dockerfile("base");
        assert!(!poetry(true).contains("--no-interaction lock"), "{}", poetry(true));
        assert!(poetry(false).contains("--no-interaction lock"), "{}", poetry(false));
    }

    #[test]
    fn downloads_are_kept_where_the_builder_can() {
        let mut recipe = recipe(Some(Form::Requirements), false);
        assert!(recipe.dockerfile("base").contains("id=alekseylearn-uv-linux-amd64"));
        recipe.cache = None;
        let text = recipe.dockerfile("base");
        assert!(!text.contains("--mount") && text.contains("--no-cache "), "{text}");
    }

    #[test]
    fn the_base_is_of_the_projects_python() {
        let mut recipe = recipe(None, false);
        assert_eq!(recipe.usual_base(), "python:3.11-slim");
        recipe.python =
            Some(Python { versions: vec!["3.13".into()], origin: "Python 3.13 by it's file".into() });
        assert_eq!(recipe.usual_base(), "python:3.13-slim");
        assert!(recipe.dockerfile("base").contains(r"'Python 3.13 by it'\''s file' '3.13'"));
    }

    #[test]
    fn a_notebook_gets_papermill_also_without_requirements() {
        let text = recipe(None, true).dockerfile("base");
        assert!(text.contains("--requirement '/opt/notebook-requirements.txt'"), "{text}");
    }
}
