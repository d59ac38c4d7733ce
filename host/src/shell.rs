//! Quotes words for a shell: commands that messages show for copying, and completions.

use std::borrow::Cow;

/// Quotes a word so that bash, zsh and fish read exactly this text. Within single quotes they take every character
/// literally, except that fish interprets `\\` and `\'`: so backslashes and quotes are put outside of them.
pub fn quote(word: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:@+,=".contains(c);
    // zsh expands `=command`.
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

/// A command line made of these words.
pub fn command<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_words_are_left_unquoted() {
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
