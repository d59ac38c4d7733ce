//! Downloads artifacts to files, and unpacks archives into folders. Incomplete results are never visible.

mod disk_space;
mod download;
mod folder;
#[cfg(any(test, fuzzing))]
mod fuzz;
mod parts;
mod source;
mod staging;
mod stream;
mod unpack;

pub use disk_space::{copy, free_space};
pub use download::{download, local};
pub use folder::{Destination, download_all};
#[cfg(any(test, fuzzing))]
pub use fuzz::FUZZ;
pub use source::{Bytestream, Object, Source};
pub use staging::{At, Downloaded, Staging};
pub use stream::StreamReader;
pub use unpack::Unpack;
