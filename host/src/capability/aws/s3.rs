//! S3: what is there, and bytes of it.

use aws_sdk_s3::primitives::ByteStream;

use super::{
    Aws,
    failure::{code, explain},
};
use crate::{
    config::S3Location,
    error::{Error, Kind, Result},
};

/// An object, as S3 describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// In bytes.
    pub size: u64,
    /// Changes with the content.
    pub etag: Option<String>,
}

impl Aws {
    /// None where there is no such object.
    ///
    /// # Errors
    /// There is no such bucket, or the user may not look.
    pub async fn object(&self, at: &S3Location) -> Result<Option<Object>> {
        match self.s3().await.head_object().bucket(&at.bucket).key(&at.key).send().await {
            Ok(answer) => Ok(Some(Object {
                size: answer.content_length.and_then(|size| size.try_into().ok()).unwrap_or(0),
                etag: answer.e_tag,
            })),
            Err(error) if matches!(code(&error), "NotFound" | "NoSuchKey") => Ok(None),
            Err(error) => Err(explain(format!("cannot look for {at}"), error)),
        }
    }

    /// The object's bytes from `start` on, as long as it is still the one with that `etag`.
    ///
    /// # Errors
    /// It is gone, has changed, or the user may not read it.
    pub async fn read_object(&self, at: &S3Location, start: u64, etag: Option<&str>) -> Result<ByteStream> {
        let answer = self
            .s3()
            .await
            .get_object()
            .bucket(&at.bucket)
            .key(&at.key)
            .set_range((start > 0).then(|| format!("bytes={start}-")))
            .set_if_match(etag.map(str::to_owned))
            .send()
            .await
            .map_err(|error| explain(format!("cannot read {at}"), error))?;
        Ok(answer.body)
    }

    /// The names directly below a place that end in `/`, without the slash.
    ///
    /// # Errors
    /// There is no such bucket, or the user may not list it.
    pub async fn folders(&self, at: &S3Location) -> Result<Vec<String>> {
        let prefix = if at.key.is_empty() { String::new() } else { format!("{}/", at.key) };
        let mut pages = self
            .s3()
            .await
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

    /// Where a bucket is.
    ///
    /// # Errors
    /// There is no such bucket, or the user may not look.
    pub async fn bucket_region(&self, bucket: &str) -> Result<String> {
        match self.s3().await.head_bucket().bucket(bucket).send().await {
            Ok(answer) => match answer.bucket_region {
                Some(region) => Ok(region),
                None => self.region().await,
            },
            Err(error) => {
                let response = error.raw_response();
                // Asked from another region, S3 refuses and tells the right one in a header.
                if let Some(region) = response.and_then(|answer| answer.headers().get("x-amz-bucket-region"))
                {
                    return Ok(region.to_owned());
                }
                match response.map(|answer| answer.status().as_u16()) {
                    Some(404) => Err(Error::new(Kind::NotFound, format!("there is no bucket {bucket}"))
                        .hint(format!("make it with `aws s3 mb s3://{bucket}`, or name another one"))),
                    Some(403) => {
                        Err(Error::new(Kind::Denied, format!("this user may not use the bucket {bucket}"))
                            .hint("name a bucket of your own, or ask its owner"))
                    }
                    _ => Err(explain(format!("cannot look at the bucket {bucket}"), error)),
                }
            }
        }
    }

    async fn s3(&self) -> aws_sdk_s3::Client {
        aws_sdk_s3::Client::new(self.config().await)
    }
}
