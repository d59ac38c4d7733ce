//! Masks secret values in texts.

use std::borrow::Cow;

use crate::error::Error;

/// Replaces a value.
pub const MASKED: &str = "***";

/// Minimum length of a masked value in characters. To mask a shorter one would make texts unreadable.
const SHORTEST: usize = 4;

/// Secret values, to be masked in texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mask(Vec<Hidden>);

/// A value, which is not printed.
#[derive(Clone, PartialEq, Eq)]
struct Hidden(String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(MASKED)
    }
}

impl Mask {
    /// Masks these values, also without the whitespace around them, and each of their lines, because a log is masked line
    /// by line.
    pub fn new(values: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut hidden = Vec::new();
        for value in values {
            let value = value.as_ref();
            let parts = [value, value.trim()].into_iter().chain(value.lines().map(str::trim));
            hidden.extend(parts.filter(|part| part.chars().count() >= SHORTEST).map(str::to_owned));
        }
        // The longest first: one value may be part of another.
        hidden.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        hidden.dedup();
        Self(hidden.into_iter().map(Hidden).collect())
    }

    /// Masks the values in a text.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut clean = Cow::Borrowed(text);
        for Hidden(value) in &self.0 {
            if clean.contains(value.as_str()) {
                clean = clean.replace(value.as_str(), MASKED).into();
            }
        }
        clean
    }

    /// Does the same with an owned text.
    pub fn owned(&self, text: String) -> String {
        match self.text(&text) {
            Cow::Owned(clean) => clean,
            Cow::Borrowed(_) => text,
        }
    }

    /// Does the same with the content of a file. If there are values, bytes that are not UTF-8 are replaced.
    pub fn bytes(&self, bytes: Vec<u8>) -> Vec<u8> {
        if self.0.is_empty() {
            return bytes;
        }
        self.owned(String::from_utf8_lossy(&bytes).into_owned()).into_bytes()
    }

    /// Masks the values in an error, because services quote what they reject.
    pub fn error(&self, error: Error) -> Error {
        if self.0.is_empty() {
            return error;
        }
        let mut clean = Error::new(error.kind(), self.owned(error.chain()));
        if let Some(hint) = error.hint_text() {
            clean = clean.hint(self.text(hint));
        }
        if let Some(details) = error.details_text() {
            clean = clean.details(self.text(details));
        }
        clean
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn values_go_wherever_they_stand() {
        let mask = Mask::new(["hunter2", "hunter22", "abc", "", "first line\nsecond line\n"]);
        assert_eq!(mask.text("hunter22 and hunter2, twice: hunter2"), "*** and ***, twice: ***");
        assert_eq!(mask.text("abc is too short to be hidden"), "abc is too short to be hidden");
        assert_eq!(mask.text("  second line"), "  ***");
        assert_eq!(mask.bytes(b"\xffhunter2".to_vec()), "\u{fffd}***".as_bytes());
        assert_eq!(Mask::default().bytes(b"\xff".to_vec()), b"\xff");
        assert!(!format!("{mask:?}").contains("hunter"));
    }

    #[test]
    fn an_error_keeps_all_but_the_values() {
        let cause = std::io::Error::other("Value 'hunter2' at 'environment'");
        let error = Error::invalid("refused").hint("not hunter2").details("hunter2").source(cause);
        let clean = Mask::new(["hunter2"]).error(error);
        assert_eq!(
            (clean.kind(), clean.chain().as_str()),
            (Kind::Invalid, "refused: Value '***' at 'environment'")
        );
        assert_eq!((clean.hint_text(), clean.details_text()), (Some("not ***"), Some("***")));
    }
}
