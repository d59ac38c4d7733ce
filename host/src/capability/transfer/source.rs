//! Where archives come from.

use std::{fmt, future::Future, io, ops::Range};

use bytes::Bytes;
use crc_fast::CrcAlgorithm;
use futures_util::stream::BoxStream;

use crate::error::Result;

/// An object, as its service describes it.
#[derive(Clone, Debug)]
pub struct Object {
    /// In bytes.
    pub size: u64,
    /// Changes with the content.
    pub etag: Option<String>,
    /// Of the whole content, where the service keeps one of a kind that can be put together from parts.
    pub checksum: Option<(CrcAlgorithm, u64)>,
    /// Parts of it can be asked for.
    pub in_parts: bool,
}

/// Bytes as they come.
pub type Bytestream = BoxStream<'static, io::Result<Bytes>>;

/// One object of a service, read from as many tasks as there are. Its name is for people.
pub trait Source: Clone + fmt::Display + Send + Sync + 'static {
    /// None where there is no such object.
    ///
    /// # Errors
    /// The service refuses, or does not answer.
    fn describe(&self) -> impl Future<Output = Result<Option<Object>>> + Send;

    /// Bytes of the object, as long as it is still the one with that ETag.
    ///
    /// # Errors
    /// It is gone, has changed, or the user may not read it.
    fn read(
        &self,
        range: Range<u64>,
        etag: Option<String>,
    ) -> impl Future<Output = Result<Bytestream>> + Send;
}
