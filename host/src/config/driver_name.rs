//! The names of drivers, as a user may write them.

/// Other names of the project's own drivers.
const ALIASES: [(&str, &str); 1] = [("vertex-ai", "ml-engine")];

/// The driver that a user means by a name: `vertex-ai` is `ml-engine`.
pub fn driver_name(typed: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == typed).map_or(typed, |(_, name)| name)
}
