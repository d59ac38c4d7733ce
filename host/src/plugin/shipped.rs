//! The plugins that travel inside the program, and those that were released with it.

/// One of them.
pub(super) struct Shipped {
    pub(super) name: &'static str,
    /// `sha256:…`
    pub(super) digest: &'static str,
    pub(super) wasm: &'static [u8],
}

/// Made by the build script out of what `cargo xtask plugins` built.
pub(super) const SHIPPED: &[Shipped] = include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

/// The digests of the project's plugins that its user installs, as they were when the program was built.
const RELEASED: &[&str] = include!(concat!(env!("OUT_DIR"), "/released.rs"));

/// Names of the project's own drivers, also of those that this build does not hold.
pub(super) const RESERVED: [&str; 6] =
    ["local", "local-gpu", "sagemaker", "kaggle", "ml-engine", "vertex-ai"];

/// The one of that name.
pub(super) fn shipped(name: &str) -> Option<&'static Shipped> {
    SHIPPED.iter().find(|plugin| plugin.name == name)
}

/// The project's own component, which may have a reserved name.
pub(super) fn is_released(digest: &str) -> bool {
    RELEASED.contains(&digest)
}
