//! The driver's options.

use alekseylearn_sdk::{OptionSpec, Values};

/// A week: no session is longer.
const LONGEST_SESSION: i64 = 7 * 24 * 3600;

pub(crate) fn specs() -> Vec<OptionSpec> {
    let text = OptionSpec::text;
    let boolean = OptionSpec::boolean;
    vec![
        text("username", "Kaggle user to train as; the credential's own unless told"),
        text(
            "title",
            "The kernel's title, of 5 to 50 characters; its address follows from it. Each run is a version of it",
        ),
        boolean("private", "Only you see the kernel").default_to("true"),
        text("machine_shape", "Accelerator, such as NvidiaTeslaT4 or TpuV5E8; none unless told"),
        boolean("internet", "The session reaches the internet; requirements are installed only then")
            .default_to("true"),
        text("dataset_sources", "Datasets below /kaggle/input, as user/name, with commas between them"),
        text("kernel_sources", "Kernels whose output is below /kaggle/input, likewise"),
        text(
            "competition_sources",
            "Competitions whose data is below /kaggle/input, with commas between them",
        ),
        text(
            "model_sources",
            "Models below /kaggle/input, as user/model/framework/variation/version, likewise",
        ),
        text("keywords", "Tags of the kernel, with commas between them"),
        OptionSpec::integer(
            "timeout",
            "Seconds after which Kaggle ends the session; its own limit unless told",
        )
        .within(60..=LONGEST_SESSION),
        text("docker_image", "One of Kaggle's own images, by its digest"),
        text("docker_image_pinning", "Which of Kaggle's images: the first one used, or the latest")
            .one_of(&["original", "latest"]),
        OptionSpec::entries("hyperparameters", "Arguments of the script, or variables of the notebook"),
        OptionSpec::entries(
            "environment",
            "Variables that the script sees, as --config.environment.NAME=VALUE",
        ),
    ]
}

/// The parts of an option that has commas between them.
pub(crate) fn list(options: &Values, key: &str) -> Vec<String> {
    let text = options.text(key).unwrap_or_default();
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}
