//! Uploads a local folder to S3, named by its content. Files that an earlier folder beside it has are copied within S3.
//!
//! `PARENT/HASH/…` are the files, and `PARENT/HASH.json` lists their hashes. The list is written last, so its
//! presence means that the upload is complete.

use std::{
    collections::BTreeMap,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{self, Poll, ready},
    time::Duration,
};

use aws_sdk_s3::{
    Client,
    primitives::{ByteStream, SdkBody},
};
use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use futures_util::Stream;
use http_body::{Frame, SizeHint};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::{
    io::{AsyncReadExt, Take},
    task::JoinSet,
};
use tokio_util::io::ReaderStream;

use super::{Aws, connection::timeouts_of_large, failure::explain};
use crate::{
    capability::{Listener, Progress},
    config::Location,
    error::{Context, Error, Result},
    project::File,
};

const AT_ONCE: usize = 8;
/// Bytes of a file that are read at once.
const BUFFER: usize = 64 << 10;
const TICK: Duration = Duration::from_millis(100);
/// Maximum size of one request to S3.
const MAX_SIZE: u64 = 5 << 30;
/// Characters that are encoded in the source key of a copy.
const IN_A_KEY: AsciiSet = NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.');

/// A file to upload.
#[derive(Clone, Debug)]
pub struct ToSend {
    /// The file, with its name below the folder.
    pub file: File,
    /// The SHA-256 of its content.
    pub sha256: [u8; 32],
}

/// A file as the body of a request.
struct FileBody {
    /// `None` if it could not be opened again.
    content: Option<ReaderStream<Take<tokio::fs::File>>>,
    left: u64,
}

impl FileBody {
    /// Opens the file again for each attempt of the request, and follows no link.
    fn of(file: &File) -> SdkBody {
        let file = file.clone();
        SdkBody::retryable(move || {
            let content = file.open().ok().map(|opened| {
                let opened = tokio::fs::File::from_std(opened).take(file.size);
                ReaderStream::with_capacity(opened, BUFFER)
            });
            SdkBody::from_body_1_x(Self { content, left: file.size })
        })
    }
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(content) = &mut self.content else {
            return Poll::Ready(Some(Err(io::Error::other("the file cannot be read any more"))));
        };
        let part = ready!(Pin::new(content).poll_next(context));
        if let Some(Ok(bytes)) = &part {
            self.left = self.left.saturating_sub(bytes.len() as u64);
        }
        Poll::Ready(part.map(|part| part.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// The files below a folder: names, and hashes in hex.
type Index = BTreeMap<String, String>;

impl Aws {
    /// Uploads files to a location whose name is their hash. Does nothing if they are already there.
    ///
    /// # Errors
    /// A file is too large, changed during the upload or cannot be read, or the user may not write to the location.
    pub async fn send(&self, files: &[ToSend], to: &Location, listener: Listener<'_>) -> Result<()> {
        if let Some(large) = files.iter().find(|to_send| to_send.file.size > MAX_SIZE) {
            return Err(Error::invalid(format!("{} is larger than 5 GiB", large.file.source.display()))
                .hint("upload it with `aws s3 cp`, and set the input to its location in S3"));
        }
        let client = self.s3().await?;
        let index_key = format!("{}.json", to.key);
        let there = client.head_object().bucket(&to.bucket).key(&index_key).send().await;
        if there.is_ok() {
            return Ok(());
        }
        let (before, known) = earlier(&client, to).await?;
        let by_hash: BTreeMap<&String, &String> = known.iter().map(|(name, hash)| (hash, name)).collect();
        let total = files.iter().map(|to_send| to_send.file.size).sum();
        let done = Arc::new(AtomicU64::new(0));
        let mut waiting = files.iter();
        let mut going = JoinSet::new();
        let mut ticks = tokio::time::interval(TICK);
        let tell = |done| listener(Progress::Bytes { what: "uploading", done, total: Some(total) });
        loop {
            while going.len() < AT_ONCE
                && let Some(next) = waiting.next()
            {
                let copy = by_hash.get(&hex::encode(next.sha256)).map(|name| format!("{before}/{name}"));
                let (client, next, to, done) = (client.clone(), next.clone(), to.clone(), done.clone());
                going.spawn(async move {
                    one(&client, &next, &to, copy).await?;
                    done.fetch_add(next.file.size, Ordering::Relaxed);
                    Ok::<_, Error>(())
                });
            }
            if going.is_empty() {
                break;
            }
            tokio::select! {
                Some(went) = going.join_next() => went.context(|| format!("cannot upload to {to}"))??,
                _ = ticks.tick() => tell(done.load(Ordering::Relaxed)),
            }
        }
        tell(total);
        let index: Index =
            files.iter().map(|to_send| (to_send.file.path.clone(), hex::encode(to_send.sha256))).collect();
        let index = serde_json::to_vec(&index).context(|| format!("cannot upload to {to}"))?;
        let put = client.put_object().bucket(&to.bucket).key(&index_key).body(ByteStream::from(index));
        put.send().await.map(drop).map_err(|error| explain(format!("cannot write to {to}"), error))
    }
}

/// The newest folder beside the new one: its key and its files.
async fn earlier(client: &Client, to: &Location) -> Result<(String, Index)> {
    let parent = to.key.rsplit_once('/').map_or(String::new(), |(parent, _)| format!("{parent}/"));
    let mut pages =
        client.list_objects_v2().bucket(&to.bucket).prefix(&parent).delimiter("/").into_paginator().send();
    let mut newest = None;
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| explain(format!("cannot list the folders beside {to}"), error))?;
        for object in page.contents.unwrap_or_default() {
            let key = object.key.filter(|key| key.ends_with(".json"));
            newest = newest.max(object.last_modified.map(|time| time.as_nanos()).zip(key));
        }
    }
    let Some((_, key)) = newest else { return Ok(Default::default()) };
    let answer = client.get_object().bucket(&to.bucket).key(&key).send().await;
    let Ok(answer) = answer else { return Ok(Default::default()) };
    let text = answer.body.collect().await.map(aws_sdk_s3::primitives::AggregatedBytes::to_vec);
    let index = text.ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    Ok((key.trim_end_matches(".json").to_owned(), index))
}

/// A configuration with timeouts for files of gigabytes.
fn patiently() -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::config::Builder::new().timeout_config(timeouts_of_large())
}

async fn one(client: &Client, to_send: &ToSend, to: &Location, copy: Option<String>) -> Result<()> {
    let ToSend { file, sha256 } = to_send;
    let key = format!("{}/{}", to.key, file.path);
    if let Some(from) = copy {
        let from = format!("{}/{}", to.bucket, utf8_percent_encode(&from, &IN_A_KEY));
        let copy = client.copy_object().bucket(&to.bucket).key(&key).copy_source(from);
        let copied = copy.customize().config_override(patiently()).send().await;
        if copied.is_ok() {
            return Ok(());
        }
        // If the copy's source is gone or unreadable, the file is uploaded.
    }
    file.open().context(|| format!("cannot read {}", file.source.display()))?;
    let put = client.put_object().bucket(&to.bucket).key(&key).body(ByteStream::new(FileBody::of(file)));
    // S3 rejects the upload if the content has changed.
    let put = put.checksum_sha256(BASE64_STANDARD.encode(sha256));
    let put = put.customize().config_override(patiently()).send().await;
    put.map(drop).map_err(|error| match super::failure::code(&error) {
        "BadDigest" => Error::failed(format!("{} changed during the upload", file.source.display()))
            .hint("run the same command again once nothing writes to the file"),
        _ => explain(format!("cannot write s3://{}/{key}", to.bucket), error),
    })
}
