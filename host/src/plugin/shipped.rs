//! The plugins that travel inside the program.

/// One of them.
pub(super) struct Shipped {
    pub(super) name: &'static str,
    /// `sha256:…`
    pub(super) digest: &'static str,
    pub(super) wasm: &'static [u8],
}

/// Made by the build script out of what `cargo xtask plugins` built.
pub(super) const SHIPPED: &[Shipped] = include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

/// The one of that name.
pub(super) fn shipped(name: &str) -> Option<&'static Shipped> {
    SHIPPED.iter().find(|plugin| plugin.name == name)
}
