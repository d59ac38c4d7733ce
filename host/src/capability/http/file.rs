//! A file on the web that the host downloads, for a driver with a grant for its origin.

use std::{fmt, ops::Range, sync::Arc};

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use crc_fast::CrcAlgorithm;
use futures_util::{StreamExt, TryStreamExt, future};
use http::Response;
use reqwest::{
    Url,
    header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, LOCATION, RANGE},
};

use super::{
    MAX_REDIRECTS,
    outgoing::{Content, Failure, MAX_SILENCE, Outgoing, Route, Sender, Sending},
};
use crate::{
    capability::transfer::{Bytestream, Object, Source},
    error::{Error, Kind, Result},
};

/// Decides for each address, including redirects, how it may be requested.
pub type Way = Arc<dyn Fn(&Url) -> Result<Route> + Send + Sync>;

/// A file on the web.
#[derive(Clone)]
pub struct WebFile {
    sender: Arc<Sender>,
    url: Url,
    way: Way,
}

impl WebFile {
    /// Creates the source without sending a request.
    pub fn new(sender: Arc<Sender>, url: Url, way: Way) -> Self {
        Self { sender, url, way }
    }

    async fn get(&self, range: Range<u64>) -> Result<Response<Content>> {
        let mut url = self.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let range = format!("bytes={}-{}", range.start, range.end - 1);
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            headers.insert(RANGE, range.parse().map_err(|_| Error::failed("a range is not a valid header"))?);
            let request = Outgoing {
                method: "GET".into(),
                route: (self.way)(&url)?,
                url: url.clone(),
                headers,
                body: Sending::Whole(Bytes::new()),
                patience: MAX_SILENCE,
                silence: MAX_SILENCE,
            };
            let answer =
                self.sender.send(request, &|_, _| {}).await.map_err(|failure| self.failed(failure))?;
            let target = answer.headers().get(LOCATION).and_then(|target| target.to_str().ok());
            match target.filter(|_| answer.status().is_redirection()) {
                Some(target) => {
                    url = url.join(target).map_err(|error| {
                        Error::failed(format!("{self} redirects to an invalid address")).source(error)
                    })?;
                }
                None => return self.good(answer),
            }
        }
        Err(Error::failed(format!("{self} redirects too many times")))
    }

    fn good(&self, answer: Response<Content>) -> Result<Response<Content>> {
        let status = answer.status().as_u16();
        let kind = match status {
            // An empty file has no range.
            200..=299 | 416 => return Ok(answer),
            401 | 403 => Kind::Denied,
            404 | 410 => Kind::NotFound,
            429 | 500.. => Kind::Unavailable,
            _ => Kind::Failed,
        };
        let error = Error::new(kind, format!("{self} returned HTTP status {status}"));
        Err(match kind {
            Kind::Denied => error.hint("check that the credentials are still valid, and fetch it again"),
            _ => error.hint("fetch it again; if that fails, check the job on the service's page"),
        })
    }

    fn failed(&self, failure: Failure) -> Error {
        match failure {
            Failure::Refused(address) => {
                Error::new(Kind::Denied, format!("{self} redirects to {address}, which was not granted"))
            }
            Failure::Credential(error)
            | Failure::Unknown(error)
            | Failure::Unreachable(error)
            | Failure::Untrusted(error)
            | Failure::TooSlow(error)
            | Failure::Broken(error) => error,
        }
    }
}

impl Source for WebFile {
    async fn describe(&self) -> Result<Option<Object>> {
        let answer = match self.get(0..1).await {
            Ok(answer) => answer,
            Err(error) if error.kind() == Kind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let headers = answer.headers();
        let etag = etag(headers);
        let checksum = checksum(headers);
        let in_parts = answer.status() == 206;
        let size = match answer.status().as_u16() {
            206 => content_range(headers).map(|(_, size)| size),
            416 => Some(0),
            _ => text(headers, CONTENT_LENGTH.as_str()).and_then(|length| length.parse().ok()),
        };
        let size = match size {
            Some(size) => size,
            // Without a size, the response is read to its end.
            None => {
                let body = answer.into_body().map_err(|failure| self.failed(failure));
                body.try_fold(0, |size, part| future::ready(Ok(size + part.len() as u64))).await?
            }
        };
        Ok(Some(Object { size, etag, checksum, in_parts }))
    }

    async fn read(&self, range: Range<u64>, etag: Option<String>) -> Result<Bytestream> {
        let answer = self.get(range.clone()).await?;
        let changed = || {
            Error::new(Kind::Conflict, format!("{self} changed during the download"))
                .hint("fetch it again; nothing was written")
        };
        if etag.is_some() && self::etag(answer.headers()) != etag {
            return Err(changed());
        }
        let starts = match answer.status().as_u16() {
            206 => content_range(answer.headers()).map(|(start, _)| start).unwrap_or(range.start),
            _ => 0,
        };
        let skip = range.start.checked_sub(starts).ok_or_else(changed)?;
        let body = answer.into_body().map_err(|failure| match failure {
            Failure::TooSlow(error) | Failure::Broken(error) => std::io::Error::other(error.chain()),
            _ => std::io::Error::other("the connection was interrupted"),
        });
        let mut window = Window { skip, left: range.end - range.start };
        Ok(body
            .map_ok(move |part| window.cut(part))
            .try_filter(|part| future::ready(!part.is_empty()))
            .boxed())
    }
}

/// Cuts the requested range out of a body, if the service sends more.
struct Window {
    skip: u64,
    left: u64,
}

impl Window {
    fn cut(&mut self, mut part: Bytes) -> Bytes {
        let skip = usize::try_from(self.skip).unwrap_or(usize::MAX).min(part.len());
        let _ = part.split_to(skip);
        self.skip -= skip as u64;
        part.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= part.len() as u64;
        part
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The ETag, unless it is weak, which does not guarantee the same bytes.
fn etag(headers: &HeaderMap) -> Option<String> {
    text(headers, ETAG.as_str()).filter(|etag| !etag.starts_with("W/")).map(str::to_owned)
}

/// The first byte and the whole size, from `bytes 0-99/1000`.
fn content_range(headers: &HeaderMap) -> Option<(u64, u64)> {
    let (range, size) = text(headers, CONTENT_RANGE.as_str())?.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, size.parse().ok()?))
}

/// The checksum in Cloud Storage's header `x-goog-hash: crc32c=…`, in base64.
fn checksum(headers: &HeaderMap) -> Option<(CrcAlgorithm, u64)> {
    let values = headers.get_all("x-goog-hash").iter().filter_map(|value| value.to_str().ok());
    let mut parts = values.flat_map(|value| value.split(','));
    let sum = parts.find_map(|part| part.trim().strip_prefix("crc32c="))?;
    let bytes: [u8; 4] = BASE64_STANDARD.decode(sum).ok()?.try_into().ok()?;
    Some((CrcAlgorithm::Crc32Iscsi, u32::from_be_bytes(bytes).into()))
}

/// The address without its query, which may hold a signature.
impl fmt::Display for WebFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.url.origin().ascii_serialization(), self.url.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_requested_range_is_kept() {
        let mut window = Window { skip: 3, left: 4 };
        let parts = ["ab", "cdef", "ghij"].map(|part| window.cut(Bytes::from(part)));
        assert_eq!(parts.concat(), b"defg");
    }

    #[test]
    fn size_and_checksum_are_read_from_headers() {
        let headers: HeaderMap = [
            (CONTENT_RANGE, HeaderValue::from_static("bytes 5-9/1000")),
            (ETAG, HeaderValue::from_static("\"one\"")),
            ("x-goog-hash".parse().unwrap(), HeaderValue::from_static("crc32c=AAAAAQ==,md5=aaa")),
        ]
        .into_iter()
        .collect();
        assert_eq!(content_range(&headers), Some((5, 1000)));
        assert_eq!(etag(&headers).as_deref(), Some("\"one\""));
        assert_eq!(checksum(&headers), Some((CrcAlgorithm::Crc32Iscsi, 1)));
        let weak = [(ETAG, HeaderValue::from_static("W/\"one\""))].into_iter().collect();
        assert_eq!((etag(&weak), checksum(&weak), content_range(&weak)), (None, None, None));
    }
}
