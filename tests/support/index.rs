//! A private package index that builds in the engine can reach.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Serves the wheels of a folder under `/simple/`, by PEP 503, with a user name and password.
pub struct PackageIndex {
    address: String,
    login: Arc<Mutex<String>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl PackageIndex {
    /// Starts it on a free port. It runs until the test's process ends.
    pub fn of(folder: &Path, user: &str, password: &str) -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").expect("a port is free");
        let port = listener.local_addr().expect("it has an address").port();
        let index =
            Self { address: format!("{}:{port}", gateway()), login: Arc::default(), asked: Arc::default() };
        index.change(user, password);
        let (login, asked, folder) = (index.login.clone(), index.asked.clone(), folder.to_owned());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Errors of a client that disconnects are ignored.
                let _ = answer(stream, &folder, &login, &asked);
            }
        });
        index
    }

    /// Host and port, as containers of the engine reach it.
    pub fn host(&self) -> &str {
        &self.address
    }

    /// Accepts only this user name and password from now on.
    pub fn change(&self, user: &str, password: &str) {
        let login = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        *self.login.lock().unwrap_or_else(PoisonError::into_inner) = login;
    }

    /// The paths of all authenticated requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The address of this machine for containers: their default gateway.
fn gateway() -> String {
    let image = crate::base_image().expect("there is a base image");
    let routes = Command::new("docker")
        .args(["run", "--rm", &image, "cat", "/proc/net/route"])
        .output()
        .expect("docker starts");
    let routes = String::from_utf8_lossy(&routes.stdout).into_owned();
    let mut fields = routes.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let default =
        fields.find(|fields| fields.get(1) == Some(&"00000000")).expect("containers have a network");
    let address = u32::from_str_radix(default[2], 16).expect("an address in hex");
    Ipv4Addr::from(address.to_le_bytes()).to_string()
}

fn answer(
    mut stream: TcpStream,
    folder: &Path,
    login: &Mutex<String>,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let mut given = String::new();
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some(value) =
            line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("authorization"))
        {
            given = value.1.to_owned();
        }
    }
    let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
    let (status, content) = if given != *login.lock().unwrap_or_else(PoisonError::into_inner) {
        ("401 Unauthorized", Vec::new())
    } else {
        asked.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
        match content(folder, &path) {
            Some(content) => ("200 OK", content),
            None => ("404 Not Found", Vec::new()),
        }
    };
    let length = content.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nwww-authenticate: Basic realm=\"x\"\r\ncontent-type: {}\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n",
        if path.ends_with(".whl") { "application/octet-stream" } else { "text/html" },
    )?;
    stream.write_all(&content)
}

/// The content of a package page or a wheel; `None` if there is none.
fn content(folder: &Path, path: &str) -> Option<Vec<u8>> {
    if let Some(wheel) = path.strip_prefix("/wheels/") {
        return fs::read(folder.join(wheel)).ok();
    }
    let package = path.strip_prefix("/simple/")?.trim_end_matches('/');
    let wheels: Vec<PathBuf> = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    let links: String = wheels
        .iter()
        .filter_map(|path| path.file_name()?.to_str())
        .filter(|name| name.starts_with(&format!("{package}-")))
        .map(|name| format!("<a href=\"/wheels/{name}\">{name}</a>\n"))
        .collect();
    (!links.is_empty()).then(|| links.into_bytes())
}
