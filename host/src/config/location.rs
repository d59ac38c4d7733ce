//! Places in S3.

use std::{fmt, str::FromStr};

/// `s3://bucket/prefix`; the prefix has no slash at its ends and may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Location {
    /// The bucket's name.
    pub bucket: String,
    /// The prefix, or an object's key.
    pub key: String,
}

impl S3Location {
    /// `other` is this place or lies below it; `s3://b/pre` does not hold `s3://b/prefix`.
    pub fn holds(&self, other: &Self) -> bool {
        self.bucket == other.bucket
            && (self.key.is_empty()
                || other
                    .key
                    .strip_prefix(&self.key)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }
}

impl FromStr for S3Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape = || format!("`{text}` is not of the form s3://bucket/prefix");
        let rest = text.strip_prefix("s3://").ok_or_else(shape)?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
        if bucket.len() < 3 || bucket.len() > 63 || !bucket.chars().all(name) {
            return Err(format!(
                "{}: a bucket has 3 to 63 lower-case letters, digits, dots and dashes",
                shape()
            ));
        }
        if key.split('/').any(|part| part == "." || part == "..") {
            return Err(format!("{}: `.` and `..` mean nothing in S3", shape()));
        }
        Ok(Self { bucket: bucket.to_owned(), key: key.trim_matches('/').to_owned() })
    }
}

impl fmt::Display for S3Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        if self.key.is_empty() { Ok(()) } else { write!(f, "/{}", self.key) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> S3Location {
        text.parse().unwrap()
    }

    #[test]
    fn a_location_holds_what_lies_below_it() {
        assert!(at("s3://bucket/pre").holds(&at("s3://bucket/pre/x")));
        assert!(at("s3://bucket/pre/").holds(&at("s3://bucket/pre")));
        assert!(at("s3://bucket").holds(&at("s3://bucket/any")));
        assert!(!at("s3://bucket/pre").holds(&at("s3://bucket/prefix")));
        assert!(!at("s3://bucket/pre").holds(&at("s3://other/pre")));
    }

    #[test]
    fn what_is_no_location_is_refused() {
        for text in ["bucket/x", "s3:/b/x", "s3://", "s3://B/x", "s3://bucket/../x", "https://bucket/x"] {
            assert!(text.parse::<S3Location>().is_err(), "{text}");
        }
        assert_eq!(at("s3://bucket/a/b/").to_string(), "s3://bucket/a/b");
    }
}
