//! Brings artifacts home: bytes flow from the service to a file, and out of an archive into a folder, and nothing
//! half-done is ever seen.

mod download;
mod unpack;

pub use download::download;
pub use unpack::unpack;
