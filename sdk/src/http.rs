//! Requests over HTTPS, to the origins that the plugin declares and its user granted.
//!
//! A driver sends plain requests: the host adds the credential that was granted for the origin, and no driver sees one.
//! A redirect is not followed: what to ask next is the driver's to decide, and the host's to allow.
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

/// As much as is read or written at once.
const PIECE: usize = 64 << 10;

/// A GET.
pub fn get(url: &str) -> Request {
    Request::new("GET", url)
}

/// A POST.
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
    /// Any method, such as `PUT`.
    pub fn new(method: &str, url: &str) -> Self {
        Self {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            silence: None,
        }
    }

    /// Adds a header. `Authorization` and `Cookie` are refused where the host adds a credential.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.as_bytes().to_owned()));
        self
    }

    /// The body, of any kind; the service wants to be told which by a header `Content-Type`.
    pub fn body(mut self, content: impl Into<Vec<u8>>) -> Self {
        self.body = content.into();
        self
    }

    /// The body, as JSON that is written already.
    pub fn json(self, text: &str) -> Self {
        self.header("content-type", "application/json").body(text)
    }

    /// How long the answer, once it has begun, may be silent before reading it fails with
    /// [`TimedOut`](io::ErrorKind::TimedOut): for an answer that goes on as long as something happens.
    pub fn silence(self, longest: Duration) -> Self {
        Self { silence: Some(longest), ..self }
    }

    /// Sends it, and waits for the head of the answer. Where a service asks for patience (429 and `Retry-After`), the
    /// host waits and asks again, up to five minutes.
    ///
    /// # Errors
    /// No answer came. One that says no is an answer: see [`Response::success`].
    pub fn send(mut self) -> Result<Response, Error> {
        let body = std::mem::take(&mut self.body);
        if !body.is_empty() {
            self = self.header("content-length", &body.len().to_string());
        }
        self.send_from(&body[..])
    }

    /// Sends it with a body that is read piece by piece, such as a file of `/job`.
    ///
    /// # Errors
    /// The body cannot be read, or no answer came.
    pub fn send_from(self, mut body: impl Read) -> Result<Response, Error> {
        let wrong = |what: &str| {
            Error::invalid(format!("{} is no request: {what}", self.url)).hint("write https://HOST/PATH")
        };
        let (scheme, rest) = self.url.split_once("://").ok_or_else(|| wrong("it has no scheme"))?;
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let scheme = match scheme {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            other => Scheme::Other(other.to_owned()),
        };
        let headers = Fields::from_list(&self.headers)
            .map_err(|_| wrong("a header is malformed, or the host's to set"))?;
        let request = OutgoingRequest::new(headers);
        request.set_method(&method(&self.method)).map_err(|()| wrong("there is no such method"))?;
        request.set_scheme(Some(&scheme)).map_err(|()| wrong("there is no such scheme"))?;
        request.set_authority(Some(authority)).map_err(|()| wrong("there is no such host"))?;
        request.set_path_with_query(Some(&path)).map_err(|()| wrong("there is no such path"))?;
        let out = request.body().map_err(|()| wrong("it has no body"))?;
        let options = RequestOptions::new();
        let silence = self.silence.map(|longest| longest.as_nanos().try_into().unwrap_or(u64::MAX));
        options.set_between_bytes_timeout(silence).map_err(|()| wrong("it cannot be that patient"))?;
        let answer = handle(request, Some(options)).map_err(|code| explain(&self.url, &code))?;
        // A service that has heard enough answers early: that answer says more than a broken pipe.
        let written = send_body(out, &mut body);
        answer.subscribe().block();
        let answer = match answer.get() {
            Some(Ok(answer)) => answer.map_err(|code| explain(&self.url, &code))?,
            _ => return Err(Error::failed(format!("{} gave no answer", self.url))),
        };
        written?;
        let headers = answer.headers().entries();
        let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
        let headers = headers.into_iter().map(|(name, value)| (name, text(value))).collect();
        let status = answer.status();
        let body = answer.consume().map_err(|()| Error::failed("the answer has no body"))?;
        let stream = body.stream().map_err(|()| Error::failed("the answer has no body"))?;
        Ok(Response { url: self.url, status, headers, stream, _body: body })
    }
}

/// An answer; its body is read from it.
pub struct Response {
    url: String,
    status: u16,
    headers: Vec<(String, String)>,
    // Closed before its body is.
    stream: InputStream,
    _body: IncomingBody,
}

impl Response {
    /// Such as 200.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// A header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The answer where it says yes, else the contract's error for what it says.
    ///
    /// # Errors
    /// The status is not 2xx; the details are the start of the body.
    pub fn success(mut self) -> Result<Self, Error> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let message = format!("{} answers {}", self.url.split('?').next().unwrap_or_default(), self.status);
        let mut details = Vec::new();
        // It is the status that counts.
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
    /// The connection broke.
    pub fn bytes(mut self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let read = self.read_to_end(&mut bytes);
        read.map_err(|error| Error::unavailable(format!("{} broke off: {error}", self.url)))?;
        Ok(bytes)
    }

    /// The whole body, as text.
    ///
    /// # Errors
    /// The connection broke, or the body is no text.
    pub fn text(self) -> Result<String, Error> {
        let url = self.url.clone();
        String::from_utf8(self.bytes()?).map_err(|_| Error::failed(format!("{url} sends no text")))
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
                None => io::Error::other("the answer broke off"),
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
    let stream = out.write().map_err(|()| Error::failed("the request takes no body"))?;
    let mut stream = Pieces(stream);
    let written = io::copy(&mut io::BufReader::with_capacity(PIECE, body), &mut stream);
    let written = written.and_then(|_| stream.flush());
    drop(stream);
    written.map_err(|error| Error::failed(format!("the body was not sent: {error}")))?;
    OutgoingBody::finish(out, None).map_err(|code| explain("the request", &code))
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

/// The host knows more than the code says, and tells the user.
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

/// A code of the standard's, for a person.
fn words(code: &ErrorCode) -> &'static str {
    match code {
        ErrorCode::DnsTimeout | ErrorCode::DnsError(_) | ErrorCode::DestinationNotFound => {
            "its host is not known"
        }
        ErrorCode::ConnectionRefused
        | ErrorCode::ConnectionTimeout
        | ErrorCode::DestinationUnavailable
        | ErrorCode::DestinationIpUnroutable => "no connection could be made",
        ErrorCode::ConnectionTerminated
        | ErrorCode::HttpResponseIncomplete
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout => "the connection broke",
        ErrorCode::TlsCertificateError | ErrorCode::TlsProtocolError | ErrorCode::TlsAlertReceived(_) => {
            "its TLS certificate could not be verified"
        }
        ErrorCode::HttpResponseTimeout => "no answer came in time",
        _ => "the answer could not be read",
    }
}
