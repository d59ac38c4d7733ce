//! Files that a user names: to be read, they are files and no larger than they may be; written, they are whole or not
//! there at all.

use std::{
    fs::{File, Permissions},
    io::{self, ErrorKind, Read},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use rustix::fs::OFlags;

/// Opens a file. A pipe or a device is none: it may keep its reader waiting, or never end.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(ErrorKind::InvalidInput, "it is no file"))
}

/// Reads a file of no more than so many bytes.
pub(super) fn read(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    open(path)?.take(most as u64 + 1).read_to_end(&mut content)?;
    if content.len() <= most {
        return Ok(content);
    }
    Err(io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {} MiB", most >> 20)))
}

/// Writes a file in a folder of the user's, and removes what a killed program left of an earlier try.
pub(super) fn write(
    path: &Path,
    mode: u32,
    content: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!(".{name}.");
    for entry in folder.read_dir()?.flatten() {
        let left = entry.file_name().to_str().is_some_and(|left| is_partial(&prefix, left));
        // Held for as long as somebody writes to it.
        if left && open(&entry.path()).is_ok_and(|left| left.try_lock().is_ok()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    let mut partial = tempfile::Builder::new();
    partial.prefix(&prefix).suffix(PARTIAL).permissions(Permissions::from_mode(mode));
    let mut partial = partial.tempfile_in(folder)?;
    partial.as_file().lock()?;
    content(partial.as_file_mut())?;
    partial.as_file().sync_all()?;
    partial.persist(path)?;
    Ok(())
}

const PARTIAL: &str = ".part";

fn is_partial(prefix: &str, name: &str) -> bool {
    name.strip_prefix(prefix)
        .and_then(|name| name.strip_suffix(PARTIAL))
        .is_some_and(|random| random.len() == 6)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_files_are_read_and_only_up_to_their_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "1234").unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"1234");
        assert_eq!(read(&path, 3).unwrap_err().kind(), ErrorKind::FileTooLarge);
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        for none in [folder.path(), &pipe, Path::new("/dev/zero")] {
            assert_eq!(read(none, 4).unwrap_err().kind(), ErrorKind::InvalidInput, "{}", none.display());
        }
        assert_eq!(read(&folder.path().join("b"), 4).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn what_a_killed_program_left_goes_and_what_is_being_written_or_is_another_ones_stays() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in [".a.123456.part", ".a.654321.part", ".a.part", ".b.123456.part", "a.123456.part"] {
            fs::write(at(name), "half").unwrap();
        }
        let writing = File::open(at(".a.654321.part")).unwrap();
        writing.lock().unwrap();
        write(&at("a"), 0o640, |file| io::Write::write_all(file, b"whole")).unwrap();
        assert_eq!(fs::read(at("a")).unwrap(), b"whole");
        assert_eq!(at("a").metadata().unwrap().permissions().mode() & 0o777, 0o640);
        let mut names: Vec<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, [".a.654321.part", ".a.part", ".b.123456.part", "a", "a.123456.part"]);
        let failed = write(&at("a"), 0o640, |_| Err(io::Error::other("no")));
        assert!(failed.is_err() && fs::read(at("a")).unwrap() == b"whole");
    }
}
