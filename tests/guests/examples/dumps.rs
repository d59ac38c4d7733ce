//! Reports everything that is visible of the user.

use std::{fs, net::TcpStream};

use guests::{Error, Finding, Training};

guests::check!(check);

fn check(training: &Training) -> Result<Vec<Finding>, Error> {
    let mut seen = Vec::new();
    seen.extend(std::env::vars().map(|(name, value)| format!("variable {name}={value}")));
    seen.extend(std::env::args().map(|argument| format!("argument {argument}")));
    for path in ["/", ".", "/job", "/project", "/etc/passwd", "/root", "/home", "/proc/self/environ"] {
        if let Ok(entries) = fs::read_dir(path) {
            seen.extend(entries.flatten().map(|entry| format!("entry {}", entry.path().display())));
        }
        if let Ok(text) = fs::read_to_string(path) {
            seen.push(format!("file {path}: {text}"));
        }
    }
    seen.extend(
        training.files().into_iter().filter(|file| file.contains("env")).map(|file| format!("sent {file}")),
    );
    if training.read(".env").is_ok() {
        seen.push("read .env".into());
    }
    let refused = |error: std::io::Error| error.kind() == std::io::ErrorKind::PermissionDenied;
    if !TcpStream::connect("127.0.0.1:80").is_err_and(refused) {
        seen.push("a socket was not refused".into());
    }
    Ok(seen.iter().map(|text| Finding::problem(text, "it should not be seen")).collect())
}
