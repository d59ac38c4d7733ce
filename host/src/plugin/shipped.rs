//! The plugins that travel inside the program.

/// A name and the component.
type Shipped = (&'static str, &'static [u8]);

/// Made by the build script out of what `cargo xtask plugins` built.
pub(super) const SHIPPED: &[Shipped] = include!(concat!(env!("OUT_DIR"), "/shipped.rs"));
