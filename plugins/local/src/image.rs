//! The build driver: one Dockerfile for every training folder, its layers in the order in which they change.

use alekseylearn_sdk::{Error, OptionSpec, Training, build, docker};

/// Pinned, so that an unchanged folder gives an unchanged layer.
const UV: &str = "uv==0.13.9";
/// What runs a notebook; a training folder may ask for other versions.
const NOTEBOOK_REQUIREMENTS: &str = "papermill>=2.6\nipykernel>=6.29\n";
const DEFAULT_BASE: &str = "python:3.11-slim";

/// The runner's files, by their names under `/opt/alekseylearn/runner`.
const RUNNER: &[(&str, &str)] = &[
    ("__main__.py", include_str!("../runner/__main__.py")),
    ("arguments.py", include_str!("../runner/arguments.py")),
    ("environment.py", include_str!("../runner/environment.py")),
    ("failure.py", include_str!("../runner/failure.py")),
    ("job.py", include_str!("../runner/job.py")),
    ("kernel.py", include_str!("../runner/kernel.py")),
    ("notebook.py", include_str!("../runner/notebook.py")),
    ("relay.py", include_str!("../runner/relay.py")),
    ("roots.py", include_str!("../runner/roots.py")),
    ("supervise.py", include_str!("../runner/supervise.py")),
];

impl build::Guest for crate::Local {
    fn options() -> Vec<OptionSpec> {
        let base = OptionSpec::text("base_image", "Image to start from; it must hold Python 3 and pip");
        base.default(DEFAULT_BASE);
        let platform = OptionSpec::text("platform", "Platform that the image is for, as os/architecture");
        platform.default("linux/amd64");
        vec![base, platform]
    }

    fn build(training: &Training) -> Result<docker::Image, Error> {
        let options = training.options();
        let recipe = Recipe::of(training)?;
        let build = docker::ImageBuild::new(training);
        build.dockerfile(&recipe.dockerfile(&options.text("base_image").unwrap_or(DEFAULT_BASE.into())));
        if let Some(platform) = options.text("platform") {
            build.platform(&platform);
        }
        for (name, text) in RUNNER {
            build.file(&format!("runner/{name}"), text.as_bytes());
        }
        build.file("artifact.json", artifact_json(&training.artifact()).as_bytes());
        if let Some(bundle) = &recipe.certificates {
            build.file("certificates.pem", bundle.as_bytes());
        }
        if recipe.notebook {
            build.file("notebook-requirements.txt", NOTEBOOK_REQUIREMENTS.as_bytes());
        }
        build.run()
    }
}

fn artifact_json(path: &str) -> String {
    serde_json::json!({ "artifact": path }).to_string()
}

/// All that decides how the Dockerfile reads.
struct Recipe {
    requirements: Option<Requirements>,
    notebook: bool,
    certificates: Option<String>,
}

struct Requirements {
    path: String,
    /// It names other files of the folder, so installing it needs the whole folder.
    refers_to_files: bool,
}

impl Recipe {
    fn of(training: &Training) -> Result<Self, Error> {
        let requirements = match training.requirements() {
            Some(path) => {
                let text = training.read(&path)?;
                Requirements::read(path, &String::from_utf8_lossy(&text))
            }
            None => None,
        };
        Ok(Self { requirements, notebook: training.is_notebook(), certificates: training.certificates() })
    }

    fn dockerfile(&self, base: &str) -> String {
        let mut lines = vec![format!("FROM {base} AS dependencies")];
        let installs = self.requirements.is_some() || self.notebook;
        if installs {
            if self.certificates.is_some() {
                // Only this stage sees the bundle: nothing of it is left in the image.
                lines.push("COPY certificates.pem /etc/ssl/certs/ca-certificates.crt".into());
                lines.push(
                    "ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
                     PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
                     REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt"
                        .into(),
                );
            }
            lines.push(format!(
                "RUN python3 -m pip install --quiet --disable-pip-version-check --no-cache-dir \
                 --root-user-action=ignore --target /opt/uv {UV}"
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
        lines.push(String::new());
        lines.push(format!("FROM {base}"));
        lines.push("COPY --from=dependencies /opt/alekseylearn/venv /opt/alekseylearn/venv".into());
        lines.push("ENV PATH=/opt/alekseylearn/venv/bin:$PATH VIRTUAL_ENV=/opt/alekseylearn/venv".into());
        lines.push("COPY runner/ /opt/alekseylearn/runner/".into());
        lines.push("WORKDIR /opt/alekseylearn/code".into());
        // Exec form: a shell would keep SIGTERM from the script.
        lines.push(r#"ENTRYPOINT ["/opt/alekseylearn/venv/bin/python", "/opt/alekseylearn/runner"]"#.into());
        lines.push("COPY artifact.json /opt/alekseylearn/artifact.json".into());
        lines.push("COPY code/ /opt/alekseylearn/code/".into());
        lines.push(String::new());
        lines.join("\n")
    }

    fn install(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut files = Vec::new();
        match &self.requirements {
            Some(requirements) if requirements.refers_to_files => {
                lines.push("COPY code/ /build/".into());
                files.push(requirements.path.clone());
            }
            Some(requirements) => {
                lines.push(copy(&format!("code/{}", requirements.path), "/build/requirements.txt"));
                files.push("requirements.txt".into());
            }
            None => {}
        }
        if self.notebook {
            lines.push("COPY notebook-requirements.txt /build/notebook-requirements.txt".into());
            files.push("notebook-requirements.txt".into());
        }
        let arguments: Vec<String> =
            files.iter().map(|file| format!("--requirement {}", quoted(file))).collect();
        lines.push(format!(
            "RUN cd /build && VIRTUAL_ENV=/opt/alekseylearn/venv /opt/uv/bin/uv pip install --no-cache \
             --no-progress --compile-bytecode {}",
            arguments.join(" ")
        ));
        lines
    }
}

impl Requirements {
    /// None where the file asks for nothing.
    fn read(path: String, text: &str) -> Option<Self> {
        let lines: Vec<&str> =
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        let refers_to_files = lines.iter().any(|line| {
            ["-r", "-c", "-e", "--req", "--con", "--edit", ".", "/"]
                .iter()
                .any(|start| line.starts_with(start))
                || line.contains("file:")
                || line.contains("@ .")
        });
        (!lines.is_empty()).then_some(Self { path, refers_to_files })
    }
}

/// The exec form of COPY, which takes any character in a name.
fn copy(from: &str, to: &str) -> String {
    format!("COPY {}", serde_json::json!([from, to]))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(requirements: &str, notebook: bool, certificates: bool) -> Recipe {
        Recipe {
            requirements: Requirements::read("requirements.txt".into(), requirements),
            notebook,
            certificates: certificates.then(|| "-----BEGIN CERTIFICATE-----".into()),
        }
    }

    #[test]
    fn code_comes_last_and_dependencies_see_only_the_requirements() {
        let text = recipe("scikit-learn\n", false, false).dockerfile("base");
        assert_eq!(text.lines().last(), Some("COPY code/ /opt/alekseylearn/code/"));
        assert!(text.contains(r#"COPY ["code/requirements.txt","/build/requirements.txt"]"#), "{text}");
    }

    #[test]
    fn nothing_is_installed_where_nothing_is_asked_for() {
        let text = recipe("# none\n\n", false, true).dockerfile("base");
        assert!(!text.contains("pip install"), "{text}");
        assert!(!text.contains("certificates"), "{text}");
    }

    #[test]
    fn the_certificates_stay_out_of_the_final_stage() {
        let text = recipe("numpy\n", false, true).dockerfile("base");
        let last_stage = text.rsplit("FROM ").next().unwrap();
        assert!(text.contains("certificates.pem"));
        assert!(!last_stage.contains("certificates"), "{last_stage}");
    }

    #[test]
    fn requirements_that_name_files_get_the_folder() {
        for line in ["-r base.txt", "-e .", "./wheels/a.whl", "a @ file:wheels/a.whl"] {
            let text = recipe(line, false, false).dockerfile("base");
            assert!(text.contains("COPY code/ /build/"), "{line}: {text}");
        }
    }

    #[test]
    fn a_notebook_gets_papermill_also_without_requirements() {
        let text = recipe("", true, false).dockerfile("base");
        assert!(text.contains("--requirement 'notebook-requirements.txt'"), "{text}");
    }
}
