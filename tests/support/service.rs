//! A web service on this machine that records its requests.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// One recorded request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Method, path and query.
    pub line: String,
    /// The headers, with names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Asked {
    /// A header; `None` if it is missing.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A service: `/greeting` greets, `/length` returns the length of the body, `/large` sends 3 MiB, `/to/ADDRESS`
/// redirects there, and `/status/CODE` returns that status.
pub struct Service {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Default for Service {
    fn default() -> Self {
        Self::new()
    }
}

impl Service {
    /// Starts it on a free port. It runs until the test's process ends.
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = format!("http://{}", listener.local_addr().expect("it has an address"));
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let kept = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = kept.clone();
                // Errors of a client that disconnects are ignored.
                thread::spawn(move || answer(stream, &kept));
            }
        });
        Self { address, asked }
    }

    /// Its address, such as `http://127.0.0.1:1234`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn answer(mut stream: TcpStream, kept: &Mutex<Vec<Asked>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let asked = Asked { line, headers };
    kept.lock().unwrap_or_else(PoisonError::into_inner).push(asked.clone());
    let sent = match asked.header("content-length").and_then(|length| length.parse().ok()) {
        Some(length) => std::io::copy(&mut reader.take(length), &mut std::io::sink())?,
        None if asked.header("transfer-encoding").is_some() => chunks(&mut reader)?,
        None => 0,
    };
    let path = asked.line.split(' ').nth(1).unwrap_or("/");
    let (status, more, content) = match path.split('?').next().unwrap_or_default() {
        "/greeting" => ("200 OK", String::new(), b"welcome".to_vec()),
        "/length" => ("200 OK", String::new(), sent.to_string().into_bytes()),
        "/large" => ("200 OK", String::new(), vec![b'y'; 3 << 20]),
        other => match (other.strip_prefix("/to/"), other.strip_prefix("/status/")) {
            (Some(place), _) => ("302 Found", format!("location: {place}\r\n"), Vec::new()),
            (_, Some(code)) => (code, String::new(), b"the service's own words".to_vec()),
            _ => ("200 OK", String::new(), b"answered".to_vec()),
        },
    };
    let length = content.len();
    write!(stream, "HTTP/1.1 {status}\r\n{more}content-length: {length}\r\nconnection: close\r\n\r\n")?;
    stream.write_all(&content)
}

/// Reads a chunked body, and returns its length.
fn chunks(reader: &mut impl BufRead) -> std::io::Result<u64> {
    let mut total = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = u64::from_str_radix(line.trim(), 16).unwrap_or(0);
        // Includes the line end after the chunk.
        std::io::copy(&mut reader.by_ref().take(length + 2), &mut std::io::sink())?;
        total += length;
        if length == 0 {
            return Ok(total);
        }
    }
}
