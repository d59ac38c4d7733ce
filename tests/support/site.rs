//! A web site on this machine that serves a folder.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    thread,
};

/// Serves the files of a folder, and ignores the query. `/to/ADDRESS` redirects to the address.
pub struct Site {
    address: String,
}

impl Site {
    /// Starts it on a free port. It runs until the test's process ends.
    pub fn of(folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = format!("http://{}", listener.local_addr().expect("it has an address"));
        let folder = folder.to_owned();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Errors of a client that disconnects are ignored.
                let _ = answer(stream, &folder);
            }
        });
        Self { address }
    }

    /// The address of a file.
    pub fn address(&self, file: &str) -> String {
        format!("{}/{file}", self.address)
    }
}

fn answer(mut stream: TcpStream, folder: &Path) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    // The headers are not needed.
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or("/").trim_start_matches('/').to_owned();
    if let Some(target) = path.strip_prefix("to/") {
        return write!(
            stream,
            "HTTP/1.1 302 Found\r\nlocation: {target}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
    }
    let file: PathBuf = folder.join(path.split('?').next().unwrap_or_default());
    match fs::read(file) {
        Ok(content) => {
            let length = content.len();
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n")?;
            stream.write_all(&content)
        }
        Err(_) => write!(stream, "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
    }
}
