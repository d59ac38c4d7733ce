//! Files in the job's folder, which outlives the process.

use std::{
    fs,
    path::{Path, PathBuf},
};

use alekseylearn_sdk::Error;

const STOP_REQUESTED: &str = "stop-requested";

pub(crate) fn request_stop() -> Result<(), Error> {
    write_whole(STOP_REQUESTED, b"")
}

pub(crate) fn stop_requested() -> bool {
    in_job(STOP_REQUESTED).exists()
}

pub(crate) fn in_job(file: &str) -> PathBuf {
    Path::new("/job").join(file)
}

/// Writes a file atomically: another process may read it at any moment.
pub(crate) fn write_whole(file: &str, content: &[u8]) -> Result<(), Error> {
    let partial = in_job(&format!("{file}.part"));
    fs::write(&partial, content)
        .and_then(|()| fs::rename(&partial, in_job(file)))
        .map_err(|error| Error::failed(format!("cannot write {file} in the job's folder: {error}")))
}
