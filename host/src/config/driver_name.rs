//! The names of drivers, as a user may write them.

/// Other names of the project's own drivers.
const ALIASES: [(&str, &str); 1] = [("vertex-ai", "ml-engine")];

/// What a user writes as the build driver to train without an image.
pub const NO_IMAGE: &str = "none";

/// The train driver that trains without an image where a user asked for this one; `None` if it needs an image.
pub fn without_image(train_driver: &str) -> Option<&str> {
    match train_driver {
        "local" => Some("venv"),
        "venv" | "kaggle" => Some(train_driver),
        _ => None,
    }
}

/// The driver that a user means by a name: `vertex-ai` is `ml-engine`.
pub fn driver_name(typed: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == typed).map_or(typed, |(_, name)| name)
}
