//! Downloads artifacts to files, and unpacks archives into folders. Incomplete results are never visible.

mod arriving;
mod download;
mod folder;
#[cfg(any(test, fuzzing))]
mod fuzz;
mod parts;
mod room;
mod source;
mod staging;
mod unpack;

pub use arriving::Arriving;
pub use download::{download, local};
pub use folder::{Destination, download_all};
#[cfg(any(test, fuzzing))]
pub use fuzz::FUZZ;
pub use room::{copy, room};
pub use source::{Bytestream, Object, Source};
pub use staging::{At, Brought, Staging};
pub use unpack::Unpack;
