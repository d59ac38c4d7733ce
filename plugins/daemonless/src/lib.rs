//! The `daemonless` plugin: assembles the same image as `local`, without a container engine.

use alekseylearn_sdk::{Error, OptionSpec, Training, build, docker::Image, oci::ImageAssembly};
use docker_drivers::layout::{
    ARTIFACT, CODE, ENTRYPOINT, NOTEBOOK_REQUIREMENTS, PACKAGE, PATH, RUNNER, VENV, in_code, usual_base,
};

struct Daemonless;

impl build::Guest for Daemonless {
    fn options() -> Vec<OptionSpec> {
        let base = OptionSpec::text(
            "base_image",
            "Base image in a registry, with Python 3 (default: python:3.X-slim for the project's Python)",
        );
        let platform = OptionSpec::text("platform", "Platform of the image, as os/architecture");
        vec![base, platform.default_to("linux/amd64")]
    }

    fn build(training: &Training) -> Result<Image, Error> {
        let options = training.options();
        let versions = training.python().map(|python| python.versions()).unwrap_or_default();
        let base = options.text("base_image");
        let base = base.unwrap_or_else(|| usual_base(versions.first().map(String::as_str)));
        let image = ImageAssembly::new(training, &base);
        if let Some(platform) = options.text("platform") {
            image.platform(&platform);
        }
        let notebook: &[&str] = if training.is_notebook() { &NOTEBOOK_REQUIREMENTS } else { &[] };
        let requirements: Vec<String> = notebook.iter().map(|&name| name.to_owned()).collect();
        image.virtual_environment(VENV, &requirements);
        for folder in training.import_folders() {
            image.import_folder(&in_code(&folder));
        }
        image.import_folder(PACKAGE);
        for (name, text) in runner::FILES {
            image.file(&format!("{RUNNER}/{name}"), text.as_bytes());
        }
        for (path, text) in training.metadata() {
            image.file(&format!("{PACKAGE}/{path}"), text.as_bytes());
        }
        image.file(ARTIFACT, training.description().as_bytes());
        image.project(CODE);
        image.environment("PATH", PATH);
        image.environment("VIRTUAL_ENV", VENV);
        image.workdir(CODE);
        image.entrypoint(&ENTRYPOINT.map(str::to_owned));
        image.run()
    }
}

alekseylearn_sdk::plugin!(build = Daemonless);
