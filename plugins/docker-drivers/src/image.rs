//! The build driver: one Dockerfile for every project, with the layers that change least often first.

use alekseylearn_sdk::{Error, OptionSpec, Training, build, docker};
use serde_json::json;

use crate::{
    Docker, Machine,
    install::{Installation, system, system_packages},
    layout::{CODE, ENTRYPOINT, PACKAGE, in_code, usual_base},
};

impl<M: Machine> build::Guest for Docker<M> {
    fn options() -> Vec<OptionSpec> {
        let base = OptionSpec::text(
            "base_image",
            "Base image, with Python 3 and pip (default: python:3.X-slim for the project's Python)",
        );
        let platform = OptionSpec::text("platform", "Platform of the image, as os/architecture");
        let system = OptionSpec::text(
            "system_packages",
            "System packages to install with the base image's package manager, such as libgl1,ffmpeg",
        );
        vec![base, platform.default_to("linux/amd64"), system]
    }

    fn build(training: &Training) -> Result<docker::Image, Error> {
        let options = training.options();
        let recipe = Recipe::of(training)?;
        let base = options.text("base_image").unwrap_or_else(|| recipe.usual_base());
        let build = docker::ImageBuild::new(training);
        let dockerfile = one_line_each(&recipe.instructions(&base))?;
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
        for (name, text) in recipe.installation.files() {
            build.file(name, text.as_bytes());
        }
        build.run()
    }
}

/// Everything that determines the Dockerfile's text.
struct Recipe {
    installation: Installation,
    /// System packages.
    system: Vec<String>,
    python: Option<Python>,
    /// Folders of the project that are on Python's import path.
    imports: Vec<String>,
    /// Whether the project is a package.
    package: bool,
}

struct Python {
    versions: Vec<String>,
    origin: String,
}

impl Recipe {
    fn of(training: &Training) -> Result<Self, Error> {
        let python =
            training.python().map(|python| Python { versions: python.versions(), origin: python.origin() });
        let options = training.options();
        // If no engine answers, nothing is built, and this only shows what would be built.
        let keeps_downloads = docker::buildkit().unwrap_or(true);
        let platform = options.text("platform").unwrap_or_default();
        let installation = Installation {
            notebook: training.is_notebook(),
            cache: keeps_downloads.then(|| platform.replace('/', "-")),
            ..Installation::of(training.dependencies().as_ref())?
        };
        let system = system_packages(&options.text("system_packages").unwrap_or_default())?;
        Ok(Self {
            imports: training.import_folders(),
            package: !training.metadata().is_empty(),
            installation,
            system,
            python,
        })
    }

    fn usual_base(&self) -> String {
        usual_base(self.python.as_ref().and_then(|python| python.versions.first()).map(String::as_str))
    }

    /// Each is one line.
    fn instructions(&self, base: &str) -> Vec<String> {
        let mut lines = Vec::new();
        // Builds from source need the system packages, and so may the script.
        let base = match self.system.as_slice() {
            [] => base,
            packages => {
                lines.push(format!("FROM {base} AS system"));
                lines.push(format!("RUN {}", system(&packages.join(" "))));
                "system"
            }
        };
        lines.push(format!("FROM {base} AS {}", self.installation.first_stage()));
        lines.extend(self.python.as_ref().map(Python::check));
        if self.installation.is_empty() {
            lines.push(
                "RUN python3 -m venv --without-pip --system-site-packages /opt/alekseylearn/venv".into(),
            );
        } else {
            lines.extend(self.installation.lines());
        }
        // Works like an editable installation, but changed code does not invalidate this layer.
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
        // Exec form, because a shell would keep SIGTERM from the script.
        lines.push(format!("ENTRYPOINT {}", json!(ENTRYPOINT)));
        if self.package {
            lines.push(format!("COPY package/ {PACKAGE}/"));
        }
        lines.push("COPY artifact.json /opt/alekseylearn/artifact.json".into());
        lines.push(format!("COPY code/ {CODE}/"));
        lines.push(String::new());
        lines
    }
}

/// Joins instructions. A name of the project or an option with a line break would become an instruction of its own.
///
/// # Errors
/// An instruction has a line break.
fn one_line_each(instructions: &[String]) -> Result<String, Error> {
    if let Some(line) = instructions.iter().find(|line| line.contains(['\n', '\r'])) {
        return Err(Error::invalid(format!(
            "a name with a line break cannot be used in the image: {line:?}"
        ))
        .hint("rename the file or folder, or correct the option"));
    }
    Ok(instructions.join("\n"))
}

impl Python {
    /// A step that fails if the base image has another Python. Its output becomes the error.
    fn check(&self) -> String {
        let versions: Vec<String> = self.versions.iter().map(|version| quoted(version)).collect();
        let text = "import sys; v = \"%d.%d\" % sys.version_info[:2]; v in sys.argv[2:] or \
                    sys.exit(\"alekseylearn: the base image has Python \" + v + \", but the project requires \" + sys.argv[1])";
        format!("RUN python3 -c {} {} {}", quoted(text), quoted(&self.origin), versions.join(" "))
    }
}

pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::{Declared, Form};

    impl Recipe {
        fn dockerfile(&self, base: &str) -> String {
            one_line_each(&self.instructions(base)).unwrap()
        }
    }

    #[test]
    fn a_line_break_makes_no_instruction() {
        let recipe = recipe(Some(Form::Requirements), false);
        for base in ["python\nRUN evil", "python\rRUN evil"] {
            one_line_each(&recipe.instructions(base)).err().unwrap();
        }
    }

    fn recipe(form: Option<Form>, notebook: bool) -> Recipe {
        let file = match form {
            Some(Form::UvLock) => "uv.lock",
            Some(Form::Poetry { .. }) => "poetry.lock",
            _ => "requirements.txt",
        };
        Recipe {
            installation: Installation {
                declared: form.map(|form| Declared {
                    form,
                    file: file.into(),
                    place: None,
                    member: None,
                    extras: Vec::new(),
                    groups: Vec::new(),
                }),
                notebook,
                cache: Some("linux-amd64".into()),
                ..Installation::default()
            },
            system: Vec::new(),
            python: None,
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
    fn nothing_is_installed_without_dependencies() {
        let text = recipe(None, false).dockerfile("base");
        assert!(!text.contains("pip install"), "{text}");
        assert!(!text.contains("machine"), "{text}");
    }

    #[test]
    fn machine_settings_stay_out_of_the_final_stage() {
        let text = recipe(Some(Form::Requirements), false).dockerfile("base");
        let last_stage = text.rsplit("FROM ").next().unwrap();
        assert!(text.contains("COPY machine/") && text.contains("type=secret,id=netrc"), "{text}");
        assert!(!last_stage.contains("machine") && !last_stage.contains("netrc"), "{last_stage}");
    }

    #[test]
    fn lock_files_are_not_updated() {
        let text = recipe(Some(Form::UvLock), false).dockerfile("base");
        assert!(text.contains("uv export") && text.contains("--frozen"), "{text}");
        let poetry = |locked| recipe(Some(Form::Poetry { locked }), false).dockerfile("base");
        assert!(!poetry(true).contains("--no-interaction lock"), "{}", poetry(true));
        assert!(poetry(false).contains("--no-interaction lock"), "{}", poetry(false));
    }

    #[test]
    fn downloads_are_cached_if_the_builder_supports_it() {
        let mut recipe = recipe(Some(Form::Requirements), false);
        assert!(recipe.dockerfile("base").contains("id=alekseylearn-wheels-uv-linux-amd64"));
        recipe.installation.cache = None;
        for form in [Form::Requirements, Form::UvLock] {
            recipe.installation.declared.as_mut().unwrap().form = form;
            let text = recipe.dockerfile("base");
            assert!(!text.contains("--mount") && !text.contains("--from=versions"), "{text}");
            assert!(text.contains("--no-cache ") && text.contains("--no-cache-dir "), "{text}");
            assert_eq!(text.matches("FROM ").count(), 2, "{text}");
        }
    }

    /// The project's files and packages can run code in each step after which they are there.
    #[test]
    fn no_step_with_the_shared_cache_comes_after_foreign_code() {
        let forms = [
            None,
            Some(Form::Requirements),
            Some(Form::Pyproject),
            Some(Form::UvLock),
            Some(Form::Poetry { locked: true }),
            Some(Form::Poetry { locked: false }),
        ];
        for (form, notebook) in forms.into_iter().flat_map(|form| [(form.clone(), false), (form, true)]) {
            let mut recipe = recipe(form, notebook);
            recipe.installation.added = vec!["idna".into()];
            recipe.installation.imported = vec![("sklearn".into(), "scikit-learn".into())];
            let text = recipe.dockerfile("base");
            let mut is_clean = true;
            let mut mounted = Vec::new();
            for line in text.lines() {
                match line.split(' ').next().unwrap_or_default() {
                    // `tools` has only the installer.
                    "FROM" => is_clean = line.starts_with("FROM base") || line.starts_with("FROM tools"),
                    "COPY" => {
                        let of_the_host =
                            line.starts_with("COPY machine/") || line.starts_with("COPY uv.txt");
                        is_clean &=
                            of_the_host || line == "COPY --from=versions /opt/wheels.txt /opt/wheels.txt";
                    }
                    "RUN" if line.contains("type=cache") => {
                        assert!(is_clean, "{line}\nin\n{text}");
                        mounted.push(line);
                    }
                    _ => {}
                }
            }
            let [pip, uv] = mounted[..] else { panic!("{text}") };
            assert!(pip.contains("--only-binary=:all: --require-hashes"), "{pip}");
            for option in ["--no-config", "--no-build ", "--require-hashes", "--no-compile-bytecode"] {
                assert!(uv.contains(option), "{uv}");
            }
            assert_eq!(text.matches("/var/cache/").count(), 4, "{text}");
        }
    }

    #[test]
    fn the_installers_wheels_are_those_of_its_version() {
        let mut recipe = recipe(Some(Form::Requirements), false);
        for cache in [None, Some("linux-amd64".to_owned())] {
            recipe.installation.cache = cache;
            let files = recipe.installation.files();
            let (_, text) = files.iter().find(|(name, _)| *name == "uv.txt").unwrap();
            assert!(text.starts_with(&format!("{} \\\n    --hash=sha256:", runner::UV)), "{text}");
        }
    }

    #[test]
    fn the_default_base_has_the_projects_python() {
        let mut recipe = recipe(None, false);
        assert_eq!(recipe.usual_base(), "python:3.11-slim");
        recipe.python =
            Some(Python { versions: vec!["3.13".into()], origin: "Python 3.13 by it's file".into() });
        assert_eq!(recipe.usual_base(), "python:3.13-slim");
        assert!(recipe.dockerfile("base").contains(r"'Python 3.13 by it'\''s file' '3.13'"));
    }

    #[test]
    fn imported_packages_are_installed_if_still_missing() {
        let mut recipe = recipe(Some(Form::Requirements), false);
        recipe.installation.imported = vec![("sklearn".into(), "scikit-learn".into())];
        recipe.installation.as_of = Some("2023-05-31".into());
        let text = recipe.dockerfile("base");
        let listed = text.find("--requirement 'requirements.txt'").unwrap();
        let missing = text.find("missing.py").unwrap();
        assert_eq!(text.matches("missing.py").count(), 1, "what is missing is known after the list: {text}");
        assert!(listed < missing, "a list that lacks one package stays one layer: {text}");
        assert_eq!(text.matches("--exclude-newer '2023-05-31'").count(), 3, "{text}");
        let files = recipe.installation.files();
        assert!(files.contains(&("imported/modules.txt", "sklearn scikit-learn\n".to_owned())));
    }

    #[test]
    fn system_packages_are_in_the_build_and_the_final_stage() {
        let mut recipe = recipe(None, false);
        recipe.system = vec!["libgl1".into(), "ffmpeg".into()];
        let text = recipe.dockerfile("base");
        assert!(text.starts_with("FROM base AS system\nRUN if command -v apt-get"), "{text}");
        assert_eq!(text.matches("FROM system").count(), 2, "{text}");
        assert!(text.contains("libgl1 ffmpeg"), "{text}");
    }

    #[test]
    fn a_notebook_gets_papermill_even_without_requirements() {
        let text = recipe(None, true).dockerfile("base");
        assert!(text.contains("--requirement '/opt/notebook-requirements.txt'"), "{text}");
    }
}
