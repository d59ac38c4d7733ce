//! Words for a shell: every command that is shown, to be copied, and every word that is completed is quoted here.

use std::borrow::Cow;

/// A word that bash, zsh and fish read as this text and nothing else. Between single quotes all of them take every
/// character as it is, but fish knows `\\` and `\'` there: a backslash and a quote stand outside.
pub fn quote(word: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:@+,=".contains(c);
    // zsh replaces `=command`.
    if !word.is_empty() && !word.starts_with('=') && word.chars().all(is_plain) {
        return word.into();
    }
    if word.is_empty() {
        return "''".into();
    }
    let mut quoted = String::with_capacity(word.len() + 8);
    let mut is_open = false;
    for c in word.chars() {
        let stands_outside = matches!(c, '\'' | '\\');
        if is_open == stands_outside {
            quoted.push('\'');
            is_open = !is_open;
        }
        if stands_outside {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    if is_open {
        quoted.push('\'');
    }
    quoted.into()
}

/// A command line of these words.
pub fn command<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_words_stand_as_they_are() {
        for plain in ["train.py", "--grant", "https://a.example:8080/x", "http://a=env:NAME", "模型/é"] {
            assert_eq!(quote(plain), plain);
        }
        for (word, quoted) in [
            ("", "''"),
            ("=ls", "'=ls'"),
            ("a b", "'a b'"),
            ("$(touch x).py", "'$(touch x).py'"),
            ("it's", r"'it'\''s'"),
            (r"\", r"\\"),
            (r"a\'b", r"'a'\\\''b'"),
            ("*;~", "'*;~'"),
        ] {
            assert_eq!(quote(word), quoted, "{word}");
        }
        assert_eq!(command(["chmod", "o-w", "my file"]), "chmod o-w 'my file'");
    }
}
