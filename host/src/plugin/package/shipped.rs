//! The plugins inside the program: those that are always there, and those that a user installs.

/// A plugin inside the program.
pub(crate) struct Inside {
    pub(crate) name: &'static str,
    /// `sha256:…`
    pub(crate) digest: &'static str,
    pub(crate) wasm: &'static [u8],
}

/// The shipped plugins. The build script generates both lists from the output of `cargo xtask plugins`.
pub(crate) const SHIPPED: &[Inside] = include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

/// The project's plugins that users install by their names: they need grants.
const BUNDLED: &[Inside] = include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

/// The names of the project's own drivers, including those that are not in this build.
pub(crate) const RESERVED: [&str; 8] =
    ["local", "local-gpu", "daemonless", "venv", "sagemaker", "kaggle", "ml-engine", "vertex-ai"];

/// The shipped plugin of that name.
pub(crate) fn shipped(name: &str) -> Option<&'static Inside> {
    SHIPPED.iter().find(|plugin| plugin.name == name)
}

/// The plugin inside the program that is installed by that name.
pub(crate) fn bundled(name: &str) -> Option<&'static Inside> {
    BUNDLED.iter().find(|plugin| plugin.name == name)
}

/// Whether a digest is of the project's own component, which may have a reserved name.
pub(crate) fn is_released(digest: &str) -> bool {
    BUNDLED.iter().any(|plugin| plugin.digest == digest)
}
