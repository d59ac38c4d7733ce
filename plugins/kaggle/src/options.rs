//! The driver's options.

use alekseylearn_sdk::{OptionSpec, Values};

/// One week in seconds: no session is longer.
const MAX_SESSION: i64 = 7 * 24 * 3600;

pub(crate) fn specs() -> Vec<OptionSpec> {
    let text = OptionSpec::text;
    let boolean = OptionSpec::boolean;
    vec![
        text("username", "Kaggle user (default: the credentials' user)"),
        text(
            "title",
            "Title of the kernel, 5 to 50 characters; its address follows from it, and each job is a version of it",
        ),
        boolean("private", "Make the kernel visible only to you").default_to("true"),
        text("machine_shape", "Accelerator, such as NvidiaTeslaT4 or TpuV5E8 (default: none)"),
        boolean("internet", "Give the session internet access, which installing dependencies needs")
            .default_to("true"),
        text("dataset_sources", "Datasets in /kaggle/input, comma-separated, as user/name"),
        text("kernel_sources", "Kernels whose output is in /kaggle/input, comma-separated, as user/name"),
        text("competition_sources", "Competitions whose data is in /kaggle/input, comma-separated"),
        text(
            "model_sources",
            "Models in /kaggle/input, comma-separated, as user/model/framework/variation/version",
        ),
        text("keywords", "Tags of the kernel, comma-separated"),
        OptionSpec::integer(
            "timeout",
            "Maximum run time of the session in seconds (default: Kaggle's limit)",
        )
        .within(60..=MAX_SESSION),
        text("docker_image", "Digest of one of Kaggle's images"),
        text("docker_image_pinning", "Kaggle image to use: the kernel's original one, or the latest")
            .one_of(&["original", "latest"]),
        OptionSpec::entries(
            "hyperparameters",
            "Hyperparameters of the script or notebook, as --config.hyperparameters.NAME=VALUE",
        ),
        OptionSpec::entries(
            "environment",
            "Environment variables of the script, as --config.environment.NAME=VALUE",
        ),
    ]
}

/// The values of a comma-separated option.
pub(crate) fn list(options: &Values, key: &str) -> Vec<String> {
    let text = options.text(key).unwrap_or_default();
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}
