//! Names of jobs: unique, sortable by time, and acceptable to every service (letters, digits and dashes, at most 63).

use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// Makes a name such as `models-train-20261123-115100-1f2e3d4c`: the tag, the time (UTC), four digits that are derived
/// from the tag, and four random ones.
pub fn new(tag: &str, now: Timestamp) -> String {
    let chance = &uuid::Uuid::new_v4().simple().to_string()[..4];
    format!("{}{}-{}{chance}", prefix(tag), now.strftime("%Y%m%d-%H%M%S"), tag_digits(tag))
}

/// The beginning of the names of all jobs with a tag, and perhaps of others.
pub fn prefix(tag: &str) -> String {
    // 63 less the time, the digits and three dashes.
    const MAX_LENGTH: usize = 63 - 15 - 8 - 2;
    let mut out = String::new();
    for c in tag.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.truncate(MAX_LENGTH);
    format!("{}-", out.trim_end_matches('-'))
}

/// The time in a job's name, `YYYYMMDD-HHMMSS`; `None` if the name does not belong to the tag.
pub fn time_of<'a>(name: &'a str, tag: &str) -> Option<&'a str> {
    let rest = name.strip_prefix(&prefix(tag))?;
    let (time, digits) = rest.rsplit_once('-')?;
    let shape = |text: &str, like: &str| {
        text.len() == like.len()
            && text.bytes().zip(like.bytes()).all(|(c, like)| match like {
                b'0' => c.is_ascii_digit(),
                b'f' => c.is_ascii_hexdigit(),
                _ => c == like,
            })
    };
    (shape(time, "00000000-000000") && shape(digits, "ffffffff") && digits.starts_with(&tag_digits(tag)))
        .then_some(time)
}

/// Digits that distinguish tags with the same beginning, such as `a/b` and `a-b`.
fn tag_digits(tag: &str) -> String {
    hex::encode(&Sha256::digest(tag)[..2])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    #[test]
    fn names_fit_every_service_and_show_their_tag() {
        for tag in ["models/train", "a", &"long/".repeat(30), "x_y/z.w"] {
            let name = new(tag, at("2026-11-23T11:51:00Z"));
            assert!(name.len() <= 63, "{name}");
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{name}");
            assert!(!name.contains("--"), "{name}");
            assert_eq!(time_of(&name, tag), Some("20261123-115100"));
        }
    }

    #[test]
    fn tags_with_the_same_beginning_are_distinguished() {
        let name = new("models/train", at("2026-11-23T11:51:00Z"));
        for other in ["models-train", "models", "models/train-2"] {
            assert_eq!(time_of(&name, other), None, "{other}");
        }
    }

    #[test]
    fn two_names_of_one_moment_differ() {
        let now = at("2026-11-23T11:51:00Z");
        let names: std::collections::BTreeSet<String> = (0..20).map(|_| new("a", now)).collect();
        assert!(names.len() > 18);
    }
}
