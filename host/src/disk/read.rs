//! Reads files that others may have created.

use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    path::Path,
};

use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::error::{Error, Kind, Result};

/// Opens a regular file for reading. Never blocks: pipes and devices are refused.
///
/// # Errors
/// There is no such file, it cannot be read, or it is not a regular file.
pub fn open(path: &Path) -> io::Result<File> {
    regular(openat(CWD, path, READ, Mode::empty())?.into())
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
/// Those of [`open`], or it is larger.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    at_most(open(path)?, most)
}

/// Reads a regular UTF-8 file of at most `most` bytes.
///
/// # Errors
/// Those of [`read`], or it is not UTF-8.
pub fn text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read(path, most)?)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

/// Reads an optional file; `None` if it does not exist.
///
/// # Errors
/// The file exists but cannot be read: one error for the user, with a hint.
pub fn optional(path: &Path, most: u64) -> Result<Option<Vec<u8>>> {
    match read(path, most) {
        Ok(content) => Ok(Some(content)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(cannot_read(path, error)),
    }
}

/// The error for a file that cannot be read, with a hint.
pub fn cannot_read(path: &Path, error: io::Error) -> Error {
    let message = format!("cannot read {}", path.display());
    let (kind, hint) = match error.kind() {
        ErrorKind::NotFound => (Kind::NotFound, "check the path"),
        ErrorKind::InvalidInput => (Kind::Invalid, "put a regular file in its place, or remove it"),
        ErrorKind::FileTooLarge => (Kind::Invalid, "make it smaller, or remove it"),
        ErrorKind::InvalidData => (Kind::Invalid, "save it as UTF-8"),
        ErrorKind::PermissionDenied => (Kind::Failed, "make it readable"),
        _ => (Kind::Failed, "check the file and its disk"),
    };
    Error::new(kind, message).hint(hint).source(error)
}

pub(super) const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC).union(OFlags::NOCTTY);

/// Checks that a file is a regular file.
pub(super) fn regular(file: File) -> io::Result<File> {
    use std::os::unix::fs::FileTypeExt;
    let kind = file.metadata()?.file_type();
    let what = if kind.is_file() {
        return Ok(file);
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(io::Error::new(ErrorKind::InvalidInput, format!("it is {what}, not a regular file")))
}

/// Reads a file of at most `most` bytes.
///
/// # Errors
/// The file is larger, or cannot be read.
pub fn at_most(file: File, most: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut content)?;
    if content.len() as u64 <= most {
        return Ok(content);
    }
    let most = if most < 1 << 20 { format!("{} KiB", most >> 10) } else { format!("{} MiB", most >> 20) };
    Err(io::Error::new(ErrorKind::FileTooLarge, format!("it is larger than {most}")))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::fs::{FileType, mknodat};

    use super::*;

    #[test]
    fn only_regular_files_are_read_and_only_up_to_their_limit() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("a"), "1234").unwrap();
        assert_eq!(read(&at("a"), 4).unwrap(), b"1234");
        assert_eq!(read(&at("a"), 3).unwrap_err().kind(), ErrorKind::FileTooLarge);
        mknodat(CWD, at("pipe"), FileType::Fifo, 0o600.into(), 0).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("zero")).unwrap();
        let _listens = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        for (name, says) in [(".", "a folder"), ("pipe", "a pipe"), ("zero", "a device")] {
            let error = optional(&at(name), 4).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{name}");
            assert!(error.chain().ends_with(&format!("it is {says}, not a regular file")), "{error:?}");
            assert!(error.hint_text().is_some());
        }
        assert!(read(&at("socket"), 4).is_err());
        assert_eq!(read(&at("b"), 4).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(optional(&at("b"), 4).unwrap(), None);
        assert_eq!(optional(&at("a/b"), 4).unwrap(), None);
        fs::write(at("a"), b"\xff").unwrap();
        assert_eq!(text(&at("a"), 4).unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
