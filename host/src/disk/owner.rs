//! Checks who owns a file. A file that controls the program must belong to its user, as with git's `safe.directory`.

use std::{fs::Metadata, io::ErrorKind, os::unix::fs::MetadataExt, path::Path};

use rustix::process::geteuid;

use super::read::{at_most, cannot_read, open};
use crate::{
    error::{Error, Kind, Result},
    shell::quote,
};

const OTHERS_WRITE: u32 = 0o002;
const GROUP_WRITES: u32 = 0o020;

/// Whether a file or folder belongs to this user, and nobody else may write to it.
pub fn is_private(data: &Metadata) -> bool {
    data.uid() == geteuid().as_raw() && data.mode() & (GROUP_WRITES | OTHERS_WRITE) == 0
}

/// Reads a file that controls the program; `None` if it does not exist. It must belong to the user or to root, who can
/// write any file, and must not be writable by everybody. `allow` is the hint for a file of another user; with `None`, any
/// owner is accepted.
///
/// # Errors
/// The file belongs to another user, is writable by everybody, or cannot be read.
pub fn read_own(path: &Path, most: u64, allow: Option<&str>) -> Result<Option<Vec<u8>>> {
    let unreadable = |error| cannot_read(path, error);
    let file = match open(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        file => file.map_err(unreadable)?,
    };
    require_own(path, &file.metadata().map_err(unreadable)?, allow)?;
    at_most(file, most).map(Some).map_err(unreadable)
}

/// Checks the owner and the mode of a file that controls the program, as [`read_own`] does.
///
/// # Errors
/// The file belongs to another user, or is writable by everybody.
pub fn require_own(path: &Path, data: &Metadata, allow: Option<&str>) -> Result<()> {
    let (shown, owner) = (path.display(), data.uid());
    if let Some(allow) = allow
        && owner != geteuid().as_raw()
        && owner != 0
    {
        let message = format!("{shown} belongs to another user (uid {owner})");
        return Err(Error::new(Kind::Denied, message).hint(allow));
    }
    if data.mode() & OTHERS_WRITE != 0 {
        let message = format!("{shown} can be written by every user of this machine");
        let chmod = format!("check its content, then run `chmod o-w {}`", quote(&shown.to_string()));
        return Err(Error::new(Kind::Denied, message).hint(chmod));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn a_file_that_others_can_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a file");
        assert_eq!(read_own(&path, 10, Some("no")).unwrap(), None);
        fs::write(&path, "mine").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
        assert_eq!(read_own(&path, 10, Some("no")).unwrap().unwrap(), b"mine");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o646)).unwrap();
        let error = read_own(&path, 10, None).unwrap_err();
        assert_eq!(error.kind(), Kind::Denied);
        assert!(
            error.hint_text().unwrap().ends_with(&format!("`chmod o-w '{}'`", path.display())),
            "{error:?}"
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        // Only root can give a file away.
        if geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
            let error = read_own(&path, 10, Some("trust its user")).unwrap_err();
            assert!(error.message().ends_with("belongs to another user (uid 12345)"), "{error:?}");
            assert_eq!(error.hint_text(), Some("trust its user"));
            assert!(read_own(&path, 10, None).unwrap().is_some());
        }
    }
}
