//! Writes a training folder's own Dockerfile and runner: with `init` and `copy` the only writes into a user's folder,
//! and only where they were asked for.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::{
    error::{Context, Error, Kind, Result},
    project::Recipe,
};

/// Writes a recipe into its folder, the Dockerfile last: as long as that is missing, the folder means nothing. Tells
/// what was written.
///
/// # Errors
/// Another file is in the way and may not be overwritten: then nothing is written. Or the disk is full.
pub fn write(recipe: &Recipe, overwrite: bool) -> Result<Vec<PathBuf>> {
    let files = recipe.files.iter().map(|(path, content)| (recipe.folder.join(path), content.as_slice()));
    let dockerfile = (recipe.dockerfile_path(), recipe.dockerfile.as_bytes());
    let files: Vec<(PathBuf, &[u8])> = files.chain([dockerfile]).collect();
    let in_the_way = |(path, content): &&(PathBuf, &[u8])| match fs::read(path) {
        Ok(there) => there != *content,
        Err(_) => path.symlink_metadata().is_ok(),
    };
    if !overwrite && let Some((path, _)) = files.iter().find(in_the_way) {
        return Err(Error::new(Kind::Conflict, format!("{} is there already, and differs", path.display()))
            .hint("nothing was written; --overwrite replaces it"));
    }
    for (path, content) in &files {
        write_whole(path, content).context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

fn write_whole(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut partial = tempfile::Builder::new().prefix(".alekseylearn-").tempfile_in(folder)?;
    partial.write_all(content)?;
    partial.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    partial.as_file().sync_all()?;
    partial.persist(path)?;
    Ok(())
}
