//! Location patterns: the addresses of an origin that a grant allows, if it does not allow the whole origin.
//!
//! `/storage/v1/b/{gs.bucket}/o?prefix={gs.key}/` matches the addresses that name a location in a bucket, as the
//! service spells them. A request to such an address is allowed if the run designates that location.

use std::{fmt, str::FromStr};

use percent_encoding::percent_decode_str;
use url::Url;

use crate::config::{Location, is_scheme};

/// The length limit: a user must be able to read it before granting it.
const MAX_LENGTH: usize = 200;

/// A path and optionally one query parameter, which contain a bucket and optionally a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern {
    scheme: String,
    path: Vec<Part>,
    parameter: Option<Parameter>,
}

/// A segment of the path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Word(String),
    Bucket,
    /// A whole key, with encoded slashes.
    Key,
}

/// `NAME={gs.key}`, or `NAME={gs.key}/`, which matches no other key with the same prefix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Parameter {
    name: String,
    slash: bool,
}

impl Pattern {
    /// Whether an address matches, and the location in it is designated.
    pub(crate) fn holds(&self, address: &Url, designated: &[Location]) -> bool {
        let names_key = self.parameter.is_some() || self.path.contains(&Part::Key);
        self.place(address).is_some_and(|place| {
            designated.iter().any(|holder| {
                if names_key { holder.holds(&place) } else { holder.with_key(String::new()) == place }
            })
        })
    }

    /// The location in an address; `None` if the address does not match.
    fn place(&self, address: &Url) -> Option<Location> {
        let mut parts = address.path().strip_prefix('/')?.split('/');
        let (mut bucket, mut key) = (None, String::new());
        for part in &self.path {
            let said = percent_decode_str(parts.next()?).decode_utf8().ok()?.into_owned();
            match part {
                Part::Word(word) if *word == said => {}
                Part::Word(_) => return None,
                Part::Bucket => bucket = Some(said),
                Part::Key => key = said,
            }
        }
        if parts.next().is_some() {
            return None;
        }
        if let Some(parameter) = &self.parameter {
            let mut said = address.query_pairs().filter(|(name, _)| *name == parameter.name);
            let (_, value) = said.next()?;
            // If the parameter is repeated, only the service knows which one counts.
            if said.next().is_some() {
                return None;
            }
            key = match (parameter.slash, value.is_empty()) {
                (true, false) => value.strip_suffix('/').filter(|key| !key.is_empty())?.to_owned(),
                _ => value.into_owned(),
            };
        }
        let bucket = bucket?;
        let odd = |part: &str| part.is_empty() || part.contains('\0');
        if bucket.contains('/') || (!key.is_empty() && key.split('/').any(odd)) {
            return None;
        }
        let place: Location = format!("{}://{bucket}/{key}", self.scheme).parse().ok()?;
        (place.key == key).then_some(place)
    }

    /// The scheme of its locations.
    pub(crate) fn scheme(&self) -> &str {
        &self.scheme
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{text}` is not a valid location pattern: {why}");
        if text.len() > MAX_LENGTH {
            return Err(format!("a location pattern has at most {MAX_LENGTH} characters"));
        }
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (text, None),
        };
        let path = path.strip_prefix('/').ok_or_else(|| wrong("it must begin with a slash"))?;
        let mut schemes = Vec::new();
        let mut holder = |text: &str| -> Option<Part> {
            let (scheme, what) = text.strip_prefix('{')?.strip_suffix('}')?.split_once('.')?;
            let part = match what {
                "bucket" => Part::Bucket,
                "key" => Part::Key,
                _ => return None,
            };
            schemes.push(scheme.to_owned());
            Some(part)
        };
        let mut parts = Vec::new();
        for part in path.split('/') {
            parts.push(match part.contains(['{', '}']) {
                true => holder(part)
                    .ok_or_else(|| wrong("only {SCHEME.bucket} and {SCHEME.key} may be in braces"))?,
                false if is_word(part) => Part::Word(part.to_owned()),
                false => return Err(wrong("its other parts must be plain words")),
            });
        }
        let mut keys = parts.iter().filter(|part| **part == Part::Key).count();
        let parameter = match query {
            None => None,
            Some(query) => {
                let mut read = || {
                    let (name, value) = query.split_once('=').filter(|(name, _)| is_word(name))?;
                    let (value, slash) =
                        value.strip_suffix('/').map_or((value, false), |value| (value, true));
                    let is_key = holder(value) == Some(Part::Key);
                    is_key.then(|| Parameter { name: name.to_owned(), slash })
                };
                keys += 1;
                Some(read().ok_or_else(|| wrong("its query must be NAME={SCHEME.key}"))?)
            }
        };
        let buckets = parts.iter().filter(|part| **part == Part::Bucket).count();
        schemes.dedup();
        match &schemes[..] {
            [scheme] if is_scheme(scheme) && buckets == 1 && keys <= 1 => {
                Ok(Self { scheme: scheme.clone(), path: parts, parameter })
            }
            _ => Err(wrong("it must contain one bucket and at most one key, of one scheme")),
        }
    }
}

/// Whether a text needs no encoding in an address.
fn is_word(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    !text.is_empty() && text.chars().all(plain) && text.chars().any(|c| c != '.')
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = &self.scheme;
        for part in &self.path {
            match part {
                Part::Word(word) => write!(f, "/{word}")?,
                Part::Bucket => write!(f, "/{{{scheme}.bucket}}")?,
                Part::Key => write!(f, "/{{{scheme}.key}}")?,
            }
        }
        match &self.parameter {
            Some(Parameter { name, slash }) => {
                write!(f, "?{name}={{{scheme}.key}}{}", if *slash { "/" } else { "" })
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &str = "/download/storage/v1/b/{gs.bucket}/o/{gs.key}";
    const LIST: &str = "/storage/v1/b/{gs.bucket}/o?prefix={gs.key}/";
    const BUCKET: &str = "/storage/v1/b/{gs.bucket}";

    fn place(pattern: &str, address: &str) -> Option<String> {
        let address = format!("https://storage.example{address}").parse().unwrap();
        pattern.parse::<Pattern>().unwrap().place(&address).map(|place| place.to_string())
    }

    #[test]
    fn an_address_names_a_location() {
        for (pattern, address, named) in [
            (OBJECT, "/download/storage/v1/b/models/o/a%2Fb.bin?alt=media", "gs://models/a/b.bin"),
            (OBJECT, "/download/storage/v1/b/models/o/%C3%A4%20b", "gs://models/ä b"),
            (LIST, "/storage/v1/b/models/o?fields=items&prefix=a%2Fb%2F&delimiter=%2F", "gs://models/a/b"),
            (LIST, "/storage/v1/b/models/o?prefix=", "gs://models"),
            (BUCKET, "/storage/v1/b/models?fields=location", "gs://models"),
            ("/{s3.bucket}/{s3.key}", "/models/a", "s3://models/a"),
            // The parser resolves `..`, so this is the address that is sent.
            (OBJECT, "/download/storage/v1/b/models/o/a/../../../other/o/b", "gs://other/b"),
        ] {
            assert_eq!(place(pattern, address).as_deref(), Some(named), "{address}");
        }
    }

    #[test]
    fn an_addresss_location_must_be_designated() {
        let designated = ["gs://models/own".parse().unwrap(), "s3://other/own".parse().unwrap()];
        let holds = |pattern: &str, address: &str| {
            let address = format!("https://storage.example{address}").parse().unwrap();
            pattern.parse::<Pattern>().unwrap().holds(&address, &designated)
        };
        assert!(holds(OBJECT, "/download/storage/v1/b/models/o/own%2Fmodel"));
        assert!(holds(LIST, "/storage/v1/b/models/o?prefix=own%2F"));
        assert!(holds(BUCKET, "/storage/v1/b/models"));
        for (pattern, address) in [
            (OBJECT, "/download/storage/v1/b/models/o/others"),
            (OBJECT, "/download/storage/v1/b/models/o/owner%2Fa"),
            (OBJECT, "/download/storage/v1/b/other/o/own%2Fmodel"),
            (LIST, "/storage/v1/b/models/o?prefix="),
            (LIST, "/storage/v1/b/models/o?prefix=o%2F"),
            (BUCKET, "/storage/v1/b/other"),
        ] {
            assert!(!holds(pattern, address), "{address}");
        }
    }

    #[test]
    fn other_addresses_name_no_location() {
        for (pattern, address) in [
            (OBJECT, "/download/storage/v1/b/models/o/a/b"),
            (OBJECT, "/download/storage/v1/b/models/o/a%2F..%2Fb"),
            (OBJECT, "/download/storage/v1/b/models/o/a%2F%2Fb"),
            (OBJECT, "/download/storage/v1/b/models/o/%2Fa"),
            (OBJECT, "/download/storage/v1/b/models/o/a%2F"),
            (OBJECT, "/download/storage/v1/b/models/o/a%00"),
            (OBJECT, "/download/storage/v1/b/models/o/a%FF"),
            (OBJECT, "/download/storage/v1/b/mod%2Fels/o/a"),
            (OBJECT, "/download/storage/v1/b/models%2Fo/x/a"),
            (OBJECT, "/upload/storage/v1/b/models/o/a"),
            (LIST, "/storage/v1/b/models/o"),
            (LIST, "/storage/v1/b/models/o?prefix=a"),
            (LIST, "/storage/v1/b/models/o?prefix=a%2F&prefix=b%2F"),
            (LIST, "/storage/v1/b/models/o?prefix=%2F"),
            (LIST, "/storage/v1/b/models/o?Prefix=a%2F"),
            (BUCKET, "/storage/v1/b/models/o"),
            (BUCKET, "/storage/v1/b/models/"),
            (BUCKET, "/storage/v1/b/MODELS"),
            (BUCKET, "/storage/v1/b"),
        ] {
            assert_eq!(place(pattern, address), None, "{pattern} {address}");
        }
    }

    #[test]
    fn a_pattern_is_displayed_as_it_was_parsed() {
        for text in [OBJECT, LIST, BUCKET, "/b/{gs.bucket}/o?name={gs.key}"] {
            assert_eq!(text.parse::<Pattern>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "/",
            "/a",
            "a/{gs.bucket}",
            "/{gs.key}",
            "/{gs.bucket}/{gs.bucket}",
            "/{gs.bucket}/{gs.key}/{gs.key}",
            "/{gs.bucket}/{gs.key}?a={gs.key}",
            "/{gs.bucket}/{s3.key}",
            "/{gs.bucket}/../x",
            "/{gs.bucket}//x",
            "/x{gs.bucket}",
            "/{gs.bucket}?a=b",
            "/{gs.bucket}?a={gs.bucket}",
            "/{gs.bucket}?={gs.key}",
            "/{gs.bucket}?a={gs.key}&b=c",
            "/{gs.bucket}#x",
            "/{GS.bucket}",
            "/{bucket}",
            "/{gs.bucket}%2F",
            &format!("/{{gs.bucket}}/{}", "x".repeat(200)),
        ] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
    }
}
