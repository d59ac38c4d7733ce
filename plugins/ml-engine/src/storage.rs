//! Cloud Storage: where a job's results lie.

use alekseylearn_sdk::{Error, Finding};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::api;

const STORAGE: &str = "https://storage.googleapis.com";
/// More pages than any listing of ours has.
const MOST_PAGES: usize = 1_000;
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// As one part of an address.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// `gs://bucket/path`, without slashes at the path's ends.
pub(crate) struct Location {
    pub(crate) bucket: String,
    pub(crate) path: String,
}

impl Location {
    /// It is none, or has parts that mean something else to other programs.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        Self::read(text).ok_or_else(|| {
            Error::invalid(format!("`{text}` is no place in Cloud Storage"))
                .hint("write --config.output_path=gs://bucket/path")
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

    /// A place below.
    pub(crate) fn join(&self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) };
        Self { bucket: self.bucket.clone(), path }
    }

    pub(crate) fn uri(&self) -> String {
        format!("gs://{}/{}", self.bucket, self.path)
    }

    /// Where an object's content is.
    pub(crate) fn download(&self) -> String {
        format!("{STORAGE}/download/storage/v1/b/{}/o/{}?alt=media", self.bucket, encoded(&self.path))
    }

    /// What the names of all that lies here begin with.
    fn prefix(&self) -> String {
        if self.path.is_empty() { String::new() } else { format!("{}/", self.path) }
    }

    fn listing(&self, parameters: &str) -> String {
        format!("{STORAGE}/storage/v1/b/{}/o?prefix={}&{parameters}", self.bucket, encoded(&self.prefix()))
    }

    /// What lies directly here.
    pub(crate) fn list(&self) -> Result<Listing, Error> {
        let url = self.listing("delimiter=%2F&fields=prefixes%2Citems(name%2Csize)%2CnextPageToken");
        self.pages(&url)
    }

    /// The names of all objects below, and their sizes in bytes. Those that only stand for a folder are left out.
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
        for _ in 0..MOST_PAGES {
            let page =
                if token.is_empty() { String::new() } else { format!("&pageToken={}", encoded(&token)) };
            let answer = api::ask(&format!("{url}{page}"))?;
            let items = answer["items"].as_array().into_iter().flatten();
            // Numbers of 64 bits are texts.
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

    /// What speaks against it as the place of results.
    pub(crate) fn findings(&self, region: &str) -> Result<Vec<Finding>, Error> {
        let bucket: Value =
            match api::ask(&format!("{STORAGE}/storage/v1/b/{}?fields=location%2ClocationType", self.bucket))
            {
                Ok(bucket) => bucket,
                Err(Error::NotFound(_)) => {
                    return Ok(vec![Finding::problem(
                        &format!("--config.output_path: there is no bucket {}", self.bucket),
                        &format!(
                            "make it with `gcloud storage buckets create gs://{} --location={region}`",
                            self.bucket
                        ),
                    )]);
                }
                // Who may use objects need not be allowed to look at their bucket.
                Err(Error::Denied(_)) => return self.readable(),
                Err(error) => return Err(error),
            };
        let place = bucket["location"].as_str().unwrap_or_default().to_lowercase();
        let elsewhere = bucket["locationType"] == "region" && place != region;
        Ok(elsewhere
            .then(|| {
                Finding::warning(
                    &format!("the bucket {} is in {place}, and the job runs in {region}", self.bucket),
                    "results that cross regions take longer, and cost",
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
                &format!("you and the job need the role Storage Object User on the bucket {}", self.bucket),
            )]),
            Err(error) => Err(error),
        }
    }
}

/// What lies at a place.
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
