//! Locations in object stores.

use std::{fmt, str::FromStr};

/// The scheme of S3.
pub const S3: &str = "s3";
/// The maximum length of a bucket's name: in S3, and in Cloud Storage with dots in it.
const MAX_S3_BUCKET: usize = 63;
const MAX_BUCKET: usize = 222;

/// A location such as `s3://bucket/prefix`. The prefix has no slash at its ends and may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The store, such as `s3` or `gs`.
    pub scheme: String,
    /// The bucket's name.
    pub bucket: String,
    /// The prefix, or an object's key.
    pub key: String,
}

impl Location {
    /// Parses a location in S3.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn in_s3(text: &str) -> Result<Self, String> {
        Self::of(text, &[S3])
    }

    /// Parses a location in one of these stores.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn of<S: AsRef<str>>(text: &str, schemes: &[S]) -> Result<Self, String> {
        let has_scheme =
            |scheme: &S| text.strip_prefix(scheme.as_ref()).is_some_and(|rest| rest.starts_with("://"));
        if schemes.iter().any(has_scheme) {
            text.parse()
        } else {
            Err(format!("`{text}` is not of the form {}", Self::forms(schemes, "bucket/prefix")))
        }
    }

    /// The form of a location in each store: `s3://… or gs://…`.
    pub fn forms<S: AsRef<str>>(schemes: &[S], rest: &str) -> String {
        let forms: Vec<String> =
            schemes.iter().map(|scheme| format!("{}://{rest}", scheme.as_ref())).collect();
        forms.join(" or ")
    }

    /// Whether `other` is this location or below it; `s3://b/pre` does not hold `s3://b/prefix`.
    pub fn holds(&self, other: &Self) -> bool {
        (&self.scheme, &self.bucket) == (&other.scheme, &other.bucket)
            && (self.key.is_empty()
                || other
                    .key
                    .strip_prefix(&self.key)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }

    /// Another key in the same bucket.
    pub fn with_key(&self, key: String) -> Self {
        Self { key, ..self.clone() }
    }
}

/// Whether a text is valid before `://`.
pub fn is_scheme(text: &str) -> bool {
    (1..=16).contains(&text.len()) && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape =
            || format!("`{text}` is not of the form SCHEME://bucket/prefix, such as s3://bucket/prefix");
        let (scheme, rest) =
            text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)).ok_or_else(shape)?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let is_s3 = scheme == S3;
        let longest = if is_s3 { MAX_S3_BUCKET } else { MAX_BUCKET };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
        if !(3..=longest).contains(&bucket.len()) || !bucket.chars().all(|c| plain(c) || (c == '_' && !is_s3))
        {
            return Err(format!(
                "`{text}` is not of the form {scheme}://bucket/prefix: a bucket has 3 to {longest} lower-case letters, \
                 digits, dots and dashes"
            ));
        }
        if key.split('/').any(|part| part == "." || part == "..") {
            return Err(format!(
                "`{text}` is not of the form {scheme}://bucket/prefix: `.` and `..` are not allowed"
            ));
        }
        let key = key.trim_matches('/').to_owned();
        Ok(Self { scheme: scheme.to_owned(), bucket: bucket.to_owned(), key })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.bucket)?;
        if self.key.is_empty() { Ok(()) } else { write!(f, "/{}", self.key) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Location {
        text.parse().unwrap()
    }

    #[test]
    fn a_location_holds_what_is_below_it() {
        assert!(at("s3://bucket/pre").holds(&at("s3://bucket/pre/x")));
        assert!(at("s3://bucket/pre/").holds(&at("s3://bucket/pre")));
        assert!(at("s3://bucket").holds(&at("s3://bucket/any")));
        assert!(!at("s3://bucket/pre").holds(&at("s3://bucket/prefix")));
        assert!(!at("s3://bucket/pre").holds(&at("s3://other/pre")));
        assert!(!at("s3://bucket/pre").holds(&at("gs://bucket/pre")));
    }

    #[test]
    fn an_invalid_location_is_refused() {
        for text in [
            "bucket/x",
            "s3:/b/x",
            "s3://",
            "s3://B/x",
            "s3://bucket/../x",
            "https://b/x",
            "s3://a_b_c/x",
            "S3://bucket",
            "://bucket",
            "g-s://bucket",
        ] {
            assert!(text.parse::<Location>().is_err(), "{text}");
        }
        assert_eq!(at("s3://bucket/a/b/").to_string(), "s3://bucket/a/b");
        assert_eq!(at("gs://a_bucket.example.com").to_string(), "gs://a_bucket.example.com");
        assert!(Location::in_s3("s3://bucket/a").is_ok());
        for text in ["gs://bucket/a", "s3", "s3:/bucket", "s3x://bucket"] {
            assert!(
                Location::in_s3(text).unwrap_err().contains("is not of the form s3://bucket/prefix"),
                "{text}"
            );
        }
        assert_eq!(Location::forms(&["s3", "gs"], "…"), "s3://… or gs://…");
    }
}
