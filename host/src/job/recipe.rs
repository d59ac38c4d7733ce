//! Writes a project's own Dockerfile and runner. Files are written into a user's project only by `init` and `copy`,
//! and only on request. `demo` writes a project of its own.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{
    disk::{Folder, SHARED, cannot_read},
    error::{Error, Kind, Result},
    project::Recipe,
};

/// Writes a recipe into its folder, the Dockerfile last: without it, the folder is ignored. Returns the written
/// files.
///
/// # Errors
/// A different file exists and may not be overwritten (then nothing is written), or the disk is full.
pub fn write(recipe: &Recipe, overwrite: bool) -> Result<Vec<PathBuf>> {
    let project = recipe.folder.parent().unwrap_or(&recipe.folder);
    let root = Folder::open(project).map_err(|error| cannot_read(project, error))?;
    let inside = |path: PathBuf| path.strip_prefix(project).map(Path::to_owned).unwrap_or(path);
    let files =
        recipe.files.iter().map(|(path, content)| (inside(recipe.folder.join(path)), content.as_slice()));
    let dockerfile = (inside(recipe.dockerfile_path()), recipe.dockerfile.as_bytes());
    let files: Vec<(PathBuf, &[u8])> = files.chain([dockerfile]).collect();
    if !overwrite && let Some(path) = in_the_way(&root, &files) {
        return Err(Error::new(
            Kind::Conflict,
            format!("{} already exists with other content", path.display()),
        )
        .hint("nothing was written; use --overwrite to replace it"));
    }
    write_files(&root, &files)
}

/// The first file that exists with other content, if any.
pub fn in_the_way(root: &Folder, files: &[(PathBuf, &[u8])]) -> Option<PathBuf> {
    let differs = |(path, content): &&(PathBuf, &[u8])| match root.read(path, content.len() as u64) {
        Ok(there) => there != *content,
        Err(_) => root.holds(path),
    };
    files.iter().find(differs).map(|(path, _)| root.path().join(path))
}

/// Writes files below a folder. Returns their paths.
///
/// # Errors
/// A folder in between is a link, or the disk is full.
pub fn write_files(root: &Folder, files: &[(PathBuf, &[u8])]) -> Result<Vec<PathBuf>> {
    for (path, content) in files {
        write_whole(root, path, content).map_err(|error| {
            let hint = "check that its folder is writable, and not a link";
            Error::failed(format!("cannot write {}", root.path().join(path).display()))
                .hint(hint)
                .source(error)
        })?;
    }
    Ok(files.iter().map(|(path, _)| root.path().join(path)).collect())
}

fn write_whole(root: &Folder, path: &Path, content: &[u8]) -> io::Result<()> {
    root.make_below(path.parent().unwrap_or(Path::new("")))?;
    root.write(path, SHARED, |file| file.write_all(content))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    /// Someone else's project may contain a link to any folder or file of the user.
    #[test]
    fn nothing_is_written_through_a_link() {
        let (root, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(home.path().join("Dockerfile"), "mine").unwrap();
        let folder = root.path().join("alekseylearn");
        let recipe = Recipe {
            dockerfile: "FROM scratch".into(),
            files: [("runner/run.py".to_owned(), b"run".to_vec())].into(),
            folder: folder.clone(),
        };
        symlink(home.path(), &folder).unwrap();
        for overwrite in [false, true] {
            let error = write(&recipe, overwrite).unwrap_err();
            assert!(error.chain().contains("is a link") || error.kind() == Kind::Conflict, "{error:?}");
        }
        fs::remove_file(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        symlink(home.path(), folder.join("runner")).unwrap();
        assert!(write(&recipe, true).is_err());
        fs::remove_file(folder.join("runner")).unwrap();
        symlink(home.path().join("Dockerfile"), folder.join("Dockerfile")).unwrap();
        assert_eq!(write(&recipe, false).unwrap_err().kind(), Kind::Conflict);
        write(&recipe, true).unwrap();
        assert_eq!(fs::read(folder.join("Dockerfile")).unwrap(), b"FROM scratch");
        assert_eq!(fs::read(home.path().join("Dockerfile")).unwrap(), b"mine");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }
}
