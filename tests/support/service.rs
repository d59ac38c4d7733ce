//! A web service on this machine that keeps what it was asked.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// One request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Method, path and query.
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Asked {
    /// A header, where it came.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// `/greeting` greets, `/length` tells how long the body was, `/large` sends 3 MiB, `/to/ADDRESS` redirects there,
/// `/status/CODE` answers with that.
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
    /// On a free port, until the test's process ends.
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = format!("http://{}", listener.local_addr().expect("it has an address"));
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let kept = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = kept.clone();
                // A client that goes away in the middle is its own affair.
                thread::spawn(move || answer(stream, &kept));
            }
        });
        Self { address, asked }
    }

    /// Such as `http://127.0.0.1:1234`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// All that it was asked so far.
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

/// The length of a body in chunks.
fn chunks(reader: &mut impl BufRead) -> std::io::Result<u64> {
    let mut total = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = u64::from_str_radix(line.trim(), 16).unwrap_or(0);
        // With the line end that follows.
        std::io::copy(&mut reader.by_ref().take(length + 2), &mut std::io::sink())?;
        total += length;
        if length == 0 {
            return Ok(total);
        }
    }
}
