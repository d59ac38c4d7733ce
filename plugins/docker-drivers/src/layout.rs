//! Where things are in an image, the same for each build driver.

/// The virtual environment.
pub const VENV: &str = "/opt/alekseylearn/venv";
/// The runner's folder.
pub const RUNNER: &str = "/opt/alekseylearn/runner";
/// The project's folder. The project's own packages are installed from here, so it must stay here.
pub const CODE: &str = "/opt/alekseylearn/code";
/// Metadata that makes the project look like an installed package to Python.
pub const PACKAGE: &str = "/opt/alekseylearn/package";
/// How to start the training artifact, for the runner.
pub const ARTIFACT: &str = "/opt/alekseylearn/artifact.json";
/// The command that starts the runner. Isolated and without `site`, so that no file of the project shadows a module of
/// the runner.
pub const ENTRYPOINT: [&str; 4] =
    ["/opt/alekseylearn/venv/bin/python", "-I", "-S", "/opt/alekseylearn/runner"];
/// The search path of the final image.
pub const PATH: &str = "/opt/alekseylearn/venv/bin:$PATH";
/// Packages that run a notebook. Unpinned, because the project may pin any version of them.
pub const NOTEBOOK_REQUIREMENTS: [&str; 2] = ["papermill", "ipykernel"];
/// The Python version if the project does not name one.
const USUAL_PYTHON: &str = "3.11";

/// The base image for a Python version, such as `3.12`, if the user names none.
pub fn usual_base(python: Option<&str>) -> String {
    format!("python:{}-slim", python.unwrap_or(USUAL_PYTHON))
}

/// The path of a project's folder in the image.
pub fn in_code(folder: &str) -> String {
    if folder.is_empty() { CODE.to_owned() } else { format!("{CODE}/{folder}") }
}
