//! HTTPS requests to the origins that the plugin declares and its user granted.
//!
//! A driver sends requests without credentials: the host adds the credential of the grant, and the driver never sees
//! it. Redirects are not followed: the driver decides what to request next, and the host decides whether that is
//! allowed.
//!
//! ```no_run
//! use alekseylearn_sdk::{Error, http};
//!
//! fn start(body: &str) -> Result<String, Error> {
//!     http::post("https://api.example.com/v1/jobs").json(body).send()?.success()?.text()
//! }
//! ```

use std::{
    io::{self, Read, Write},
    time::Duration,
};

use wasip2::{
    http::{
        outgoing_handler::handle,
        types::{
            ErrorCode, Fields, IncomingBody, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
            http_error_code,
        },
    },
    io::streams::{InputStream, OutputStream, StreamError},
};

use crate::Error;

/// The number of bytes that are read or written at once.
const PIECE: usize = 64 << 10;

/// Creates a GET request.
pub fn get(url: &str) -> Request {
    Request::new("GET", url)
}

/// Creates a POST request.
pub fn post(url: &str) -> Request {
    Request::new("POST", url)
}

/// A request that is not sent yet.
#[must_use]
pub struct Request {
    method: String,
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    silence: Option<Duration>,
}

impl Request {
    /// Creates a request with any method, such as `PUT`.
    pub fn new(method: &str, url: &str) -> Self {
        Self {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            silence: None,
        }
    }

    /// Adds a header. The host refuses `Authorization` and `Cookie` if it adds a credential itself.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.as_bytes().to_owned()));
        self
    }

    /// Sets the body. Add a `Content-Type` header with its type.
    pub fn body(mut self, content: impl Into<Vec<u8>>) -> Self {
        self.body = content.into();
        self
    }

    /// Sets the body to JSON text, with its `Content-Type`.
    pub fn json(self, text: &str) -> Self {
        self.header("content-type", "application/json").body(text)
    }

    /// Sets the read timeout: how long the response body may pause before reading it fails with
    /// [`TimedOut`](io::ErrorKind::TimedOut). Use it for streamed responses.
    pub fn silence(self, longest: Duration) -> Self {
        Self { silence: Some(longest), ..self }
    }

    /// Sends the request and waits for the head of the response. If a service asks to retry later (429 and
    /// `Retry-After`), the host waits and retries, for up to five minutes.
    ///
    /// # Errors
    /// If there is no response. An error status is a response: see [`Response::success`].
    pub fn send(mut self) -> Result<Response, Error> {
        let body = std::mem::take(&mut self.body);
        if !body.is_empty() {
            self = self.header("content-length", &body.len().to_string());
        }
        self.send_from(&body[..])
    }

    /// Sends the request with a body that is read piece by piece, such as a file in `/job`.
    ///
    /// # Errors
    /// If the body cannot be read, or there is no response.
    pub fn send_from(self, mut body: impl Read) -> Result<Response, Error> {
        let wrong = |what: &str| {
            Error::invalid(format!("cannot send a request to {}: {what}", self.url))
                .hint("use an address such as https://HOST/PATH")
        };
        let (scheme, rest) = self.url.split_once("://").ok_or_else(|| wrong("the address has no scheme"))?;
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let scheme = match scheme {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            other => Scheme::Other(other.to_owned()),
        };
        let headers = Fields::from_list(&self.headers)
            .map_err(|_| wrong("a header is malformed or reserved for the host"))?;
        let request = OutgoingRequest::new(headers);
        request.set_method(&method(&self.method)).map_err(|()| wrong("the method is not valid"))?;
        request.set_scheme(Some(&scheme)).map_err(|()| wrong("the scheme is not valid"))?;
        request.set_authority(Some(authority)).map_err(|()| wrong("the host is not valid"))?;
        request.set_path_with_query(Some(&path)).map_err(|()| wrong("the path is not valid"))?;
        let out = request.body().map_err(|()| wrong("it cannot have a body"))?;
        let options = RequestOptions::new();
        let silence = self.silence.map(|longest| longest.as_nanos().try_into().unwrap_or(u64::MAX));
        options
            .set_between_bytes_timeout(silence)
            .map_err(|()| wrong("the read timeout is not supported"))?;
        let answer = handle(request, Some(options)).map_err(|code| explain(&self.url, &code))?;
        // A service may respond before it has read the whole body. Its response says more than a broken pipe.
        let written = send_body(out, &mut body);
        answer.subscribe().block();
        let answer = match answer.get() {
            Some(Ok(answer)) => answer.map_err(|code| explain(&self.url, &code))?,
            _ => return Err(Error::failed(format!("no response from {}", self.url))),
        };
        written?;
        let headers = answer.headers().entries();
        let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
        let headers = headers.into_iter().map(|(name, value)| (name, text(value))).collect();
        let status = answer.status();
        let body = answer.consume().map_err(|()| Error::failed("the response has no body"))?;
        let stream = body.stream().map_err(|()| Error::failed("the response has no body"))?;
        Ok(Response { url: self.url, status, headers, stream, _body: body })
    }
}

/// A response. Its body is read from it.
pub struct Response {
    url: String,
    status: u16,
    headers: Vec<(String, String)>,
    // Closed before its body is.
    stream: InputStream,
    _body: IncomingBody,
}

impl Response {
    /// The status code, such as 200.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// A header, with a case-insensitive name; `None` if it is missing.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Returns the response if the status is 2xx, else an error of the matching kind.
    ///
    /// # Errors
    /// If the status is not 2xx. The details are the start of the body.
    pub fn success(mut self) -> Result<Self, Error> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let message = format!("{} returned {}", self.url.split('?').next().unwrap_or_default(), self.status);
        let mut details = Vec::new();
        // A read error is ignored: the status matters.
        let _ = Read::by_ref(&mut self).take(4 << 10).read_to_end(&mut details);
        let error = match self.status {
            401 | 403 => Error::denied(message),
            404 | 410 => Error::not_found(message),
            409 => Error::conflict(message),
            429 => Error::quota(message),
            500.. => Error::unavailable(message),
            _ => Error::failed(message),
        };
        Err(error.details(String::from_utf8_lossy(&details).trim()))
    }

    /// The whole body.
    ///
    /// # Errors
    /// If the connection is lost.
    pub fn bytes(mut self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let read = self.read_to_end(&mut bytes);
        read.map_err(|error| {
            Error::unavailable(format!("the response from {} was cut off: {error}", self.url))
        })?;
        Ok(bytes)
    }

    /// The whole body, as text.
    ///
    /// # Errors
    /// If the connection is lost, or the body is not UTF-8 text.
    pub fn text(self) -> Result<String, Error> {
        let url = self.url.clone();
        String::from_utf8(self.bytes()?)
            .map_err(|_| Error::failed(format!("the response from {url} is not UTF-8 text")))
    }
}

impl Read for Response {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.stream.blocking_read(buffer.len().min(PIECE) as u64) {
            Ok(bytes) => {
                buffer[..bytes.len()].copy_from_slice(&bytes);
                Ok(bytes.len())
            }
            Err(StreamError::Closed) => Ok(0),
            Err(StreamError::LastOperationFailed(error)) => Err(match http_error_code(&error) {
                Some(ErrorCode::HttpResponseTimeout) => io::ErrorKind::TimedOut.into(),
                Some(code) => io::Error::other(words(&code)),
                None => io::Error::other("the response was cut off"),
            }),
        }
    }
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        "PATCH" => Method::Patch,
        "TRACE" => Method::Trace,
        "CONNECT" => Method::Connect,
        other => Method::Other(other.to_owned()),
    }
}

fn send_body(out: OutgoingBody, body: &mut impl Read) -> Result<(), Error> {
    let stream = out.write().map_err(|()| Error::failed("the request cannot have a body"))?;
    let mut stream = Pieces(stream);
    let written = io::copy(&mut io::BufReader::with_capacity(PIECE, body), &mut stream);
    let written = written.and_then(|_| stream.flush());
    drop(stream);
    written.map_err(|error| Error::failed(format!("cannot send the request body: {error}")))?;
    OutgoingBody::finish(out, None).map_err(|code| explain("the service", &code))
}

struct Pieces(OutputStream);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let broken = |error: StreamError| io::Error::other(error.to_string());
        let room = loop {
            match self.0.check_write().map_err(broken)? {
                0 => self.0.subscribe().block(),
                room => break usize::try_from(room).unwrap_or(usize::MAX),
            }
        };
        let piece = &bytes[..bytes.len().min(room)];
        self.0.write(piece).map_err(broken)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.blocking_flush().map_err(|error| io::Error::other(error.to_string()))
    }
}

/// Converts an error code. The host adds what it knows beyond the code.
fn explain(url: &str, code: &ErrorCode) -> Error {
    let place = url.split('?').next().unwrap_or_default();
    match code {
        ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => {
            Error::denied(format!("a request to {place} was refused"))
        }
        ErrorCode::ConnectionLimitReached => Error::failed("too many requests are open at once"),
        code => Error::unavailable(format!("a request to {place} failed: {}", words(code))),
    }
}

/// The text of an error code.
fn words(code: &ErrorCode) -> &'static str {
    match code {
        ErrorCode::DnsTimeout | ErrorCode::DnsError(_) | ErrorCode::DestinationNotFound => {
            "cannot resolve the host"
        }
        ErrorCode::ConnectionRefused
        | ErrorCode::ConnectionTimeout
        | ErrorCode::DestinationUnavailable
        | ErrorCode::DestinationIpUnroutable => "cannot connect",
        ErrorCode::ConnectionTerminated
        | ErrorCode::HttpResponseIncomplete
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout => "the connection was lost",
        ErrorCode::TlsCertificateError | ErrorCode::TlsProtocolError | ErrorCode::TlsAlertReceived(_) => {
            "TLS certificate verification failed"
        }
        ErrorCode::HttpResponseTimeout => "the response timed out",
        _ => "the response is not valid",
    }
}
