//! The sources of downloads.

use std::{fmt, future::Future, io, ops::Range};

use bytes::Bytes;
use crc_fast::CrcAlgorithm;
use futures_util::stream::BoxStream;

use crate::error::Result;

/// An object, as its service describes it.
#[derive(Clone, Debug)]
pub struct Object {
    /// Size in bytes.
    pub size: u64,
    /// The ETag, which changes with the content.
    pub etag: Option<String>,
    /// The checksum of the whole content, if the service has one that can be computed from parts.
    pub checksum: Option<(CrcAlgorithm, u64)>,
    /// Whether ranges can be requested.
    pub in_parts: bool,
}

/// A stream of bytes.
pub type Bytestream = BoxStream<'static, io::Result<Bytes>>;

/// An object of a service, which several tasks may read. It is shown by its name.
pub trait Source: Clone + fmt::Display + Send + Sync + 'static {
    /// The object's properties; `None` if there is no such object.
    ///
    /// # Errors
    /// The service refuses or does not respond.
    fn describe(&self) -> impl Future<Output = Result<Option<Object>>> + Send;

    /// A range of the object, if it still has this ETag.
    ///
    /// # Errors
    /// The object is gone or has changed, or the user may not read it.
    fn read(
        &self,
        range: Range<u64>,
        etag: Option<String>,
    ) -> impl Future<Output = Result<Bytestream>> + Send;
}
