//! Uploads a project that is too large for the kernel's source as a private dataset. Its name is a hash of the content,
//! so that the same project is uploaded only once.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
};

use alekseylearn_sdk::{Error, Training, http, progress};
use serde_json::{Value, json};

use crate::{api, source::Folder};

const ARCHIVE: &str = "folder.packed";
const UPLOAD: &str = "upload.json";
/// How often an interrupted upload is resumed.
const ATTEMPTS: u32 = 10;
/// Bytes sent at once. The time that the host takes to send a chunk does not count against the driver's time limit.
const CHUNK: u64 = 8 << 20;
const POLL_SECONDS: u32 = 5;
/// A quarter of an hour.
const POLLS: u32 = 180;

/// Uploads the project unless Kaggle has it, and returns the dataset's name.
pub(crate) fn send(training: &Training, user: &str) -> Result<(String, Folder), Error> {
    progress::stage("Packing the project");
    let sha256 = training.pack(ARCHIVE)?;
    let slug = format!("alekseylearn-{}", &sha256[..16]);
    // The extension keeps Kaggle from unpacking it.
    let file = format!("{slug}.bin");
    match status(user, &slug)? {
        Some(_) => progress::stage("Project unchanged: already on Kaggle"),
        None => {
            let token = upload(&file, &sha256)?;
            let request = json!({
                "ownerSlug": user,
                "slug": slug,
                "title": slug.replace('-', " "),
                "licenseName": "other",
                "isPrivate": true,
                "files": [{ "token": token }],
            });
            let answer = api::act("datasets.DatasetApiService/CreateDataset", &request)?;
            if let Some(error) = answer["error"].as_str().filter(|error| !error.is_empty()) {
                return Err(Error::failed(format!(
                    "cannot create a Kaggle dataset for the project: {error}"
                ))
                .hint("list files that the training does not need in .dockerignore"));
            }
        }
    }
    wait(user, &slug)?;
    for left in [ARCHIVE, UPLOAD] {
        // The file exists only if this run packed the project.
        let _ = fs::remove_file(in_job(left));
    }
    Ok((format!("{user}/{slug}"), Folder::Dataset { file, sha256 }))
}

fn wait(user: &str, slug: &str) -> Result<(), Error> {
    for _ in 0..POLLS {
        match status(user, slug)?.as_deref() {
            Some(state) if state.eq_ignore_ascii_case("ready") => return Ok(()),
            Some(state)
                if state.to_lowercase().contains("error") || state.to_lowercase().contains("fail") =>
            {
                return Err(Error::failed(format!(
                    "Kaggle cannot process the dataset {user}/{slug}: {state}"
                ))
                .hint("delete the dataset on Kaggle's page, and run the same command again"));
            }
            _ => progress::wait("Waiting for Kaggle to process the project", POLL_SECONDS),
        }
    }
    Err(Error::unavailable(format!("timed out waiting for Kaggle to process the dataset {user}/{slug}"))
        .hint("run the same command again later to resume"))
}

/// The dataset's status; `None` if there is no such dataset.
fn status(user: &str, slug: &str) -> Result<Option<String>, Error> {
    let asked = json!({ "ownerSlug": user, "datasetSlug": slug });
    match api::ask("datasets.DatasetApiService/GetDatasetStatus", &asked) {
        Ok(answer) => Ok(Some(answer["status"].as_str().unwrap_or("PENDING").to_owned())),
        Err(Error::NotFound(_) | Error::Denied(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Uploads the packed project, and returns the upload's token.
fn upload(name: &str, sha256: &str) -> Result<String, Error> {
    let size = fs::metadata(in_job(ARCHIVE)).map_err(|error| unreadable(&error))?.len();
    progress::stage(&format!("Uploading the project ({:.1} MB packed)", size as f64 / 1e6));
    let mut last = Error::unavailable("the upload did not finish");
    let mut begun = begun(sha256);
    for _ in 0..ATTEMPTS {
        let (token, url, mut at) = match begun.take() {
            Some((token, url)) => match reached(&url, size)? {
                Reached::All => return Ok(token),
                Reached::Bytes(at) => (token, url, at),
                Reached::Nothing => continue,
            },
            None => {
                let (token, url) = begin(name, size, sha256)?;
                (token, url, 0)
            }
        };
        last = loop {
            match put(&url, at, size) {
                Ok((200 | 201, _)) => return Ok(token),
                Ok((308, Some(next))) if next > at => at = next,
                Ok((status @ (308 | 429 | 500..), _)) => {
                    break Error::unavailable(format!("the upload failed with HTTP status {status}"));
                }
                Ok((status, _)) => {
                    return Err(api::refusal(status.into(), "cannot upload the project"));
                }
                Err(error @ Error::Unavailable(_)) => break error,
                Err(error) => return Err(error),
            }
        };
        // Resumes after the last byte that arrived.
        begun = Some((token, url));
        progress::wait("Resuming the upload", 1);
    }
    Err(last.hint("run the same command again to resume the upload"))
}

/// The token and URL of an upload that an earlier run began.
fn begun(sha256: &str) -> Option<(String, String)> {
    let known: Value = serde_json::from_str(&fs::read_to_string(in_job(UPLOAD)).ok()?).ok()?;
    let text = |name: &str| known[name].as_str().map(str::to_owned);
    text("token").zip(text("url")).filter(|_| known["sha256"] == sha256)
}

fn begin(name: &str, size: u64, sha256: &str) -> Result<(String, String), Error> {
    let request = json!({
        "type": "DATASET",
        "name": name,
        "contentLength": size,
        // The name is a hash of the content, so there is only one version.
        "lastModifiedEpochSeconds": 0,
    });
    let answer = api::act("blobs.BlobApiService/StartBlobUpload", &request)?;
    let text = |name: &str| {
        answer[name].as_str().map(str::to_owned).ok_or_else(|| {
            Error::failed("Kaggle returned no upload address for the project").hint("try again later")
        })
    };
    let (token, url) = (text("token")?, text("createUrl")?);
    let known = json!({ "token": token, "url": url, "sha256": sha256 });
    let kept = fs::write(in_job(UPLOAD), known.to_string());
    kept.map_err(|error| Error::failed(format!("cannot write to the job's folder: {error}")))?;
    Ok((token, url))
}

enum Reached {
    All,
    Bytes(u64),
    /// The upload cannot be resumed.
    Nothing,
}

/// Asks how much of an upload has arrived.
fn reached(url: &str, size: u64) -> Result<Reached, Error> {
    let ask = http::Request::new("PUT", url).header("content-length", "0");
    let answer = ask.header("content-range", &format!("bytes */{size}")).send()?;
    Ok(match answer.status() {
        200 | 201 => Reached::All,
        308 => match next(&answer) {
            None => Reached::Bytes(0),
            Some(at) if at < size => Reached::Bytes(at),
            Some(_) => Reached::Nothing,
        },
        429 | 500.. => return Err(Error::unavailable("the upload cannot be resumed now")),
        _ => Reached::Nothing,
    })
}

/// The offset of the first byte that has not arrived, from a header such as `bytes=0-1000`.
fn next(answer: &http::Response) -> Option<u64> {
    let last = answer.header("range")?.rsplit('-').next()?.parse::<u64>().ok()?;
    Some(last + 1)
}

/// Sends a chunk. Returns the status, and the offset to continue from.
fn put(url: &str, at: u64, size: u64) -> Result<(u16, Option<u64>), Error> {
    let length = CHUNK.min(size - at);
    let mut chunk = vec![0; usize::try_from(length).unwrap_or_default()];
    let mut file = File::open(in_job(ARCHIVE)).map_err(|error| unreadable(&error))?;
    file.seek(SeekFrom::Start(at)).map_err(|error| unreadable(&error))?;
    file.read_exact(&mut chunk).map_err(|error| unreadable(&error))?;
    // Said even if it is all: the host repeats no part of an upload by itself.
    let range = format!("bytes {at}-{}/{size}", at + length - 1);
    let answer = http::Request::new("PUT", url).body(chunk).header("content-range", &range).send()?;
    Ok((answer.status(), next(&answer)))
}

fn unreadable(error: &std::io::Error) -> Error {
    Error::failed(format!("cannot read the packed project: {error}"))
}

fn in_job(file: &str) -> String {
    format!("/job/{file}")
}
