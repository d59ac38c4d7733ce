//! The driver's options.

use alekseylearn_sdk::{OptionSpec, Values};

/// A week: no session is longer.
const LONGEST_SESSION: i64 = 7 * 24 * 3600;

pub(crate) fn specs() -> Vec<OptionSpec> {
    let default = |spec: OptionSpec, value: &str| {
        spec.default(value);
        spec
    };
    let text = OptionSpec::text;
    let boolean = OptionSpec::boolean;
    let timeout = OptionSpec::integer(
        "timeout",
        "Seconds after which Kaggle ends the session; its own limit unless told",
    );
    timeout.range(Some(60), Some(LONGEST_SESSION));
    let pinning = text("docker_image_pinning", "Which of Kaggle's images: the first one used, or the latest");
    pinning.choices(&["original".to_owned(), "latest".to_owned()]);
    vec![
        text("username", "Kaggle user to train as; the credential's own unless told"),
        text(
            "title",
            "The kernel's title, of 5 to 50 characters; its address follows from it. Each run is a version of it",
        ),
        default(boolean("private", "Only you see the kernel"), "true"),
        text("machine_shape", "Accelerator, such as NvidiaTeslaT4 or TpuV5E8; none unless told"),
        default(
            boolean("internet", "The session reaches the internet; requirements are installed only then"),
            "true",
        ),
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
        timeout,
        text("docker_image", "One of Kaggle's own images, by its digest"),
        pinning,
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
