//! S3: lists and reads objects.

use std::{fmt, ops::Range};

use aws_sdk_s3::types::{ChecksumMode, ChecksumType};
use base64::prelude::{BASE64_STANDARD, Engine};
use crc_fast::CrcAlgorithm;
use futures_util::{StreamExt, stream};
use url::Url;

use super::{
    Aws,
    failure::{code, explain, explain_head},
};
use crate::{
    capability::transfer::{Bytestream, Object, Source},
    config::Location,
    error::{Error, Kind, Result},
};

/// An object in S3.
#[derive(Clone)]
pub struct S3Object {
    client: aws_sdk_s3::Client,
    at: Location,
}

impl Source for S3Object {
    async fn describe(&self) -> Result<Option<Object>> {
        let Self { client, at } = self;
        let ask = client.head_object().bucket(&at.bucket).key(&at.key);
        match ask.checksum_mode(ChecksumMode::Enabled).send().await {
            Ok(answer) => {
                // An object that was uploaded in parts may have a checksum of the parts; its ETag has their number.
                let in_one = answer.e_tag.as_ref().is_none_or(|etag| !etag.contains('-'));
                let whole = answer.checksum_type.map_or(in_one, |kind| kind == ChecksumType::FullObject);
                let checksum = [
                    (CrcAlgorithm::Crc64Nvme, answer.checksum_crc64_nvme),
                    (CrcAlgorithm::Crc32Iscsi, answer.checksum_crc32_c),
                    (CrcAlgorithm::Crc32IsoHdlc, answer.checksum_crc32),
                ]
                .into_iter()
                .find_map(|(algorithm, text)| checksum(algorithm, text.as_deref()));
                Ok(Some(Object {
                    size: answer.content_length.and_then(|size| size.try_into().ok()).unwrap_or(0),
                    etag: answer.e_tag,
                    checksum: checksum.filter(|_| whole),
                    in_parts: true,
                }))
            }
            Err(error) if matches!(code(&error), "NotFound" | "NoSuchKey") => Ok(None),
            Err(error) => Err(explain_head(format!("cannot look up {at}"), error)),
        }
    }

    async fn read(&self, range: Range<u64>, etag: Option<String>) -> Result<Bytestream> {
        let Self { client, at } = self;
        let answer = client
            .get_object()
            .bucket(&at.bucket)
            .key(&at.key)
            .range(format!("bytes={}-{}", range.start, range.end - 1))
            .set_if_match(etag)
            .send()
            .await
            .map_err(|error| match code(&error) {
                "PreconditionFailed" => {
                    Error::new(Kind::Conflict, format!("{at} changed during the download"))
                        .hint("fetch it again; nothing was written")
                }
                _ => explain(format!("cannot read {at}"), error),
            })?;
        let next = async |mut body: aws_sdk_s3::primitives::ByteStream| {
            let part = body.try_next().await.map_err(std::io::Error::other)?;
            Ok(part.map(|part| (part, body)))
        };
        Ok(stream::try_unfold(answer.body, next).boxed())
    }
}

impl fmt::Display for S3Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.fmt(f)
    }
}

/// Parses a checksum in base64. A dash and a number after it mark a checksum of the parts' checksums.
fn checksum(algorithm: CrcAlgorithm, text: Option<&str>) -> Option<(CrcAlgorithm, u64)> {
    let bytes = BASE64_STANDARD.decode(text?).ok()?;
    let number = bytes.iter().try_fold(0_u64, |sum, byte| Some(sum.checked_mul(256)? | u64::from(*byte)));
    Some((algorithm, number?))
}

/// The prefix of all keys below a location.
fn folder(at: &Location) -> String {
    if at.key.is_empty() { String::new() } else { format!("{}/", at.key) }
}

impl Aws {
    /// The object at a location, which may not exist.
    ///
    /// # Errors
    /// The configuration cannot be read.
    pub async fn object(&self, at: &Location) -> Result<S3Object> {
        Ok(S3Object { client: self.s3().await?, at: at.clone() })
    }

    /// All objects below a location, with relative keys and sizes, without those that only represent a folder.
    ///
    /// # Errors
    /// There is no such bucket, or the user may not list it.
    pub async fn objects_below(&self, at: &Location) -> Result<Vec<(String, u64, S3Object)>> {
        let client = self.s3().await?;
        let prefix = folder(at);
        let mut pages = client.list_objects_v2().bucket(&at.bucket).prefix(&prefix).into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| explain(format!("cannot list {at}"), error))?;
            for object in page.contents.unwrap_or_default() {
                let key = object.key.unwrap_or_default();
                let Some(name) = key.strip_prefix(&prefix).filter(|name| !name.is_empty()) else { continue };
                if !name.ends_with('/') {
                    let size = object.size.and_then(|size| size.try_into().ok()).unwrap_or(0);
                    let place = at.with_key(key.clone());
                    found.push((name.to_owned(), size, S3Object { client: client.clone(), at: place }));
                }
            }
        }
        Ok(found)
    }

    /// Whether there is an object at a location or below it. A key that only has the same prefix does not count.
    ///
    /// # Errors
    /// There is no such bucket, or the user may not list it.
    pub async fn holds_objects(&self, at: &Location) -> Result<bool> {
        let client = self.s3().await?;
        for prefix in [at.key.clone(), folder(at)] {
            let list = client.list_objects_v2().bucket(&at.bucket).prefix(&prefix).max_keys(1);
            let page = list.send().await.map_err(|error| explain(format!("cannot list {at}"), error))?;
            let first = page.contents().first().and_then(|object| object.key());
            if first.is_some_and(|key| key == at.key || key.starts_with(&folder(at))) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The folders directly below a location, without the slash.
    ///
    /// # Errors
    /// There is no such bucket, or the user may not list it.
    pub async fn folders(&self, at: &Location) -> Result<Vec<String>> {
        let prefix = folder(at);
        let mut pages = self
            .s3()
            .await?
            .list_objects_v2()
            .bucket(&at.bucket)
            .prefix(&prefix)
            .delimiter("/")
            .into_paginator()
            .send();
        let mut names = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| explain(format!("cannot list {at}"), error))?;
            let folders =
                page.common_prefixes.unwrap_or_default().into_iter().filter_map(|folder| folder.prefix);
            names.extend(
                folders.filter_map(|folder| {
                    Some(folder.strip_prefix(&prefix)?.trim_end_matches('/').to_owned())
                }),
            );
        }
        Ok(names)
    }

    /// The region of a bucket.
    ///
    /// # Errors
    /// There is no such bucket, or the user may not access it.
    pub async fn bucket_region(&self, bucket: &str) -> Result<String> {
        match self.s3().await?.head_bucket().bucket(bucket).send().await {
            Ok(answer) => match answer.bucket_region {
                Some(region) => Ok(region),
                None => self.region().await,
            },
            Err(error) => {
                let response = error.raw_response();
                let region = response.and_then(|answer| answer.headers().get("x-amz-bucket-region"));
                match (response.map(|answer| answer.status().as_u16()), region) {
                    // S3 returns the region even of another account's bucket.
                    (Some(403), _) => Err(Error::new(
                        Kind::Denied,
                        format!(
                            "no permission to use the bucket {bucket}, which may belong to another account"
                        ),
                    )
                    .hint("use your own bucket, or ask its owner for s3:ListBucket")),
                    (Some(404), _) => Err(Error::new(Kind::NotFound, format!("no bucket {bucket}"))
                        .hint(format!("create it with `aws s3 mb s3://{bucket}`, or use another one"))),
                    // For another region, S3 returns an error with the right region.
                    (_, Some(region)) => Ok(region.to_owned()),
                    _ => Err(explain_head(format!("cannot access the bucket {bucket}"), error)),
                }
            }
        }
    }

    pub(super) async fn s3(&self) -> Result<aws_sdk_s3::Client> {
        let config = self.config().await?;
        // A service on this machine has no host names for buckets, such as `bucket.localhost`.
        let is_local =
            config.endpoint_url().and_then(|endpoint| endpoint.parse::<Url>().ok()).is_some_and(|endpoint| {
                endpoint.host_str().is_some_and(|host| host == "localhost" || host.ends_with(".localhost"))
            });
        let own = aws_sdk_s3::config::Builder::from(config).force_path_style(is_local);
        Ok(aws_sdk_s3::Client::from_conf(own.build()))
    }
}
