//! Cloud Storage, which holds a job's results.

use alekseylearn_sdk::{Error, Finding};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::api;

const STORAGE: &str = "https://storage.googleapis.com";
/// Maximum number of pages of a listing.
const MAX_PAGES: usize = 1_000;
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Text encoded as one part of a URL.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// `gs://bucket/path`, without slashes at the path's ends.
pub(crate) struct Location {
    pub(crate) bucket: String,
    pub(crate) path: String,
}

impl Location {
    /// Parses `gs://bucket/path`.
    ///
    /// # Errors
    /// The text is not a location, or has parts that other programs interpret differently.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        Self::read(text).ok_or_else(|| {
            Error::invalid(format!("`{text}` is not a Cloud Storage location"))
                .hint("set --config.output_path=gs://bucket/path")
        })
    }

    fn read(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("gs://")?;
        let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
        let path = path.trim_matches('/');
        let odd = |part: &str| part.is_empty() || part == "." || part == "..";
        let wrong = path.contains(|c: char| c.is_control() || matches!(c, '#' | '[' | ']' | '*' | '?'))
            || (!path.is_empty() && path.split('/').any(odd));
        let is_good = (3..=222).contains(&bucket.len()) && bucket.chars().all(plain) && !wrong;
        is_good.then(|| Self { bucket: bucket.to_owned(), path: path.to_owned() })
    }

    /// A location below this one.
    pub(crate) fn join(&self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) };
        Self { bucket: self.bucket.clone(), path }
    }

    pub(crate) fn uri(&self) -> String {
        format!("gs://{}/{}", self.bucket, self.path)
    }

    /// The URL of an object's content.
    pub(crate) fn download(&self) -> String {
        format!("{STORAGE}/download/storage/v1/b/{}/o/{}?alt=media", self.bucket, encoded(&self.path))
    }

    /// The prefix of all object names below this location.
    fn prefix(&self) -> String {
        if self.path.is_empty() { String::new() } else { format!("{}/", self.path) }
    }

    fn listing(&self, parameters: &str) -> String {
        format!("{STORAGE}/storage/v1/b/{}/o?prefix={}&{parameters}", self.bucket, encoded(&self.prefix()))
    }

    /// The objects and folders directly below.
    pub(crate) fn list(&self) -> Result<Listing, Error> {
        let url = self.listing("delimiter=%2F&fields=prefixes%2Citems(name%2Csize)%2CnextPageToken");
        self.pages(&url)
    }

    /// The names and sizes in bytes of all objects below, without those that only represent a folder.
    pub(crate) fn files(&self) -> Result<Vec<(String, u64)>, Error> {
        let mut all = self.pages(&self.listing("fields=items(name%2Csize)%2CnextPageToken"))?.objects;
        all.retain(|(name, _)| !name.is_empty() && !name.ends_with('/'));
        Ok(all)
    }

    fn pages(&self, url: &str) -> Result<Listing, Error> {
        let prefix = self.prefix();
        let own = |name: &Value| name.as_str()?.strip_prefix(&prefix).map(str::to_owned);
        let mut found = Listing::default();
        let mut token = String::new();
        for _ in 0..MAX_PAGES {
            let page =
                if token.is_empty() { String::new() } else { format!("&pageToken={}", encoded(&token)) };
            let answer = api::ask(&format!("{url}{page}"))?;
            let items = answer["items"].as_array().into_iter().flatten();
            // 64-bit numbers are strings in the API.
            let size = |item: &Value| item["size"].as_str().and_then(|size| size.parse().ok()).unwrap_or(0);
            found.objects.extend(items.filter_map(|item| Some((own(&item["name"])?, size(item)))));
            let folders = answer["prefixes"].as_array().into_iter().flatten();
            found.folders.extend(folders.filter_map(own).map(|name| name.trim_end_matches('/').to_owned()));
            match answer["nextPageToken"].as_str().filter(|next| !next.is_empty() && *next != token) {
                Some(next) => token = next.to_owned(),
                None => break,
            }
        }
        Ok(found)
    }

    /// Checks the location as a place for results.
    pub(crate) fn findings(&self, region: &str) -> Result<Vec<Finding>, Error> {
        let bucket: Value =
            match api::ask(&format!("{STORAGE}/storage/v1/b/{}?fields=location%2ClocationType", self.bucket))
            {
                Ok(bucket) => bucket,
                Err(Error::NotFound(_)) => {
                    return Ok(vec![Finding::problem(
                        &format!("--config.output_path: bucket {} not found", self.bucket),
                        &format!(
                            "create it with `gcloud storage buckets create gs://{} --location={region}`",
                            self.bucket
                        ),
                    )]);
                }
                // Access to objects does not include access to their bucket.
                Err(Error::Denied(_)) => return self.readable(),
                Err(error) => return Err(error),
            };
        let place = bucket["location"].as_str().unwrap_or_default().to_lowercase();
        let elsewhere = bucket["locationType"] == "region" && place != region;
        Ok(elsewhere
            .then(|| {
                Finding::warning(
                    &format!("the bucket {} is in {place}, but the job runs in {region}", self.bucket),
                    "transfers between regions are slower and cost money",
                )
            })
            .into_iter()
            .collect())
    }

    fn readable(&self) -> Result<Vec<Finding>, Error> {
        match api::ask(&self.listing("maxResults=1&fields=nextPageToken")) {
            Ok(_) => Ok(Vec::new()),
            Err(Error::Denied(problem)) => Ok(vec![Finding::problem(
                &format!("--config.output_path: {}", problem.message),
                &format!(
                    "grant yourself and the job the role Storage Object User on the bucket {}",
                    self.bucket
                ),
            )]),
            Err(error) => Err(error),
        }
    }
}

/// The content of a location.
#[derive(Default)]
pub(crate) struct Listing {
    objects: Vec<(String, u64)>,
    pub(crate) folders: Vec<String>,
}

impl Listing {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.objects.iter().any(|(object, _)| object == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_bucket_and_a_path() {
        let at = |text: &str| Location::read(text).map(|place| (place.bucket.clone(), place.uri()));
        assert_eq!(at("gs://bucket/a/b/").unwrap().1, "gs://bucket/a/b");
        assert_eq!(Location::read("gs://bucket").unwrap().join("job").uri(), "gs://bucket/job");
        assert_eq!(
            Location::read("gs://bucket/a b").unwrap().join("ä").download(),
            "https://storage.googleapis.com/download/storage/v1/b/bucket/o/a%20b%2F%C3%A4?alt=media"
        );
        for text in
            ["s3://bucket/a", "gs://", "gs://B/x", "gs://bucket/../x", "gs://bucket/a//b", "gs://bucket/a*"]
        {
            assert!(at(text).is_none(), "{text}");
        }
    }
}
