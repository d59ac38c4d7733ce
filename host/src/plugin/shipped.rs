//! The plugins inside the program, and those that are released with it.

/// A plugin inside the program.
pub(super) struct Shipped {
    pub(super) name: &'static str,
    /// `sha256:…`
    pub(super) digest: &'static str,
    pub(super) wasm: &'static [u8],
}

/// The shipped plugins. The build script generates the list from the output of `cargo xtask plugins`.
pub(super) const SHIPPED: &[Shipped] = include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

/// The digests of the project's plugins that users install separately, at the time of the build.
const RELEASED: &[&str] = include!(concat!(env!("OUT_DIR"), "/released.rs"));

/// The names of the project's own drivers, including those that are not in this build.
pub(super) const RESERVED: [&str; 6] =
    ["local", "local-gpu", "sagemaker", "kaggle", "ml-engine", "vertex-ai"];

/// The shipped plugin of that name.
pub(super) fn shipped(name: &str) -> Option<&'static Shipped> {
    SHIPPED.iter().find(|plugin| plugin.name == name)
}

/// Whether a digest is of the project's own component, which may have a reserved name.
pub(super) fn is_released(digest: &str) -> bool {
    RELEASED.contains(&digest)
}
