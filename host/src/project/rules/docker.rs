//! Reads `.dockerignore` as Docker's own builders do: each line is cleaned like a path in Go, each pattern is matched
//! from the folder's root, the last match decides, and a match of a folder applies to everything in it.
//!
//! If the two builders differ, this follows BuildKit: the legacy builder does not search an excluded folder for an
//! exception with a wildcard (`*` and then `!**/*.md`).

use regex::Regex;

/// An error in a `.dockerignore`: the line, and what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) line: String,
    pub(super) why: &'static str,
}

/// The patterns of one file, in order.
#[derive(Debug, Default)]
pub(super) struct Patterns(Vec<Pattern>);

/// Which patterns match a folder, and so everything in it.
pub(super) type Matches = Vec<bool>;

#[derive(Debug)]
struct Pattern {
    /// The pattern as a path, without its `!`.
    text: String,
    /// Whether it includes what an earlier pattern excluded.
    exception: bool,
    matcher: Matcher,
}

#[derive(Debug)]
enum Matcher {
    Exact,
    /// `NAME**`
    Prefix(String),
    /// `**NAME`
    Suffix(String),
    Regex(Regex),
}

/// The decision of the patterns about one path.
#[derive(Debug)]
pub(super) struct Verdict<'a> {
    /// The pattern that excludes it, if one does.
    pub(super) kept: Option<&'a str>,
    /// Whether the last pattern that matches the path itself is an exception with its name, in whatever folder.
    pub(super) named: bool,
    /// The matches for everything in it.
    pub(super) matches: Matches,
}

impl Patterns {
    /// Reads a file as Docker does.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Wrong> {
        /// Maximum length of a line, which Docker has, too.
        const MAX_LENGTH: usize = 64 << 10;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut patterns = Vec::new();
        for line in bytes.split(|byte| *byte == b'\n') {
            let wrong = |why| Wrong { line: String::from_utf8_lossy(line).trim().to_owned(), why };
            if line.len() >= MAX_LENGTH {
                return Err(Wrong { line: "a line".into(), why: "is longer than 64 KiB" });
            }
            if line.starts_with(b"#") {
                continue;
            }
            let text = String::from_utf8_lossy(line);
            let text = text.trim();
            let (exception, text) = match text.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, text),
            };
            if text.is_empty() {
                if exception { return Err(wrong("is an exception without a pattern")) } else { continue }
            }
            let text = cleaned(text);
            // Docker removes the slash together with the sign before it, and then finds nothing after the sign.
            if exception && text == "/" {
                return Err(wrong("is an exception without a pattern"));
            }
            let text = match text.strip_prefix('/') {
                Some(inside) if !inside.is_empty() => inside,
                _ => &text,
            };
            // Docker looks for the sign again after it has removed the slash.
            let (exception, text) = match text.strip_prefix('!').filter(|_| !exception) {
                Some(rest) => (true, rest),
                None => (exception, text),
            };
            let matcher = is_well_formed(text).then(|| Matcher::of(text)).flatten();
            let (text, matcher) = (text.to_owned(), matcher.ok_or_else(|| wrong("is not a valid pattern"))?);
            patterns.push(Pattern { text, exception, matcher });
        }
        Ok(Self(patterns))
    }

    /// Decides about `path`, given the matches of its folder.
    pub(super) fn judge(&self, path: &str, parent: &Matches) -> Verdict<'_> {
        let mut kept = None;
        let mut named = false;
        let mut matches = vec![false; self.0.len()];
        for (at, pattern) in self.0.iter().enumerate() {
            let inherited = parent.get(at).copied().unwrap_or_default();
            // As in Docker, a pattern that cannot change the outcome does not count as a match.
            let counts = pattern.exception == kept.is_some();
            let asked = if pattern.exception { counts || pattern.names() } else { counts || named };
            let itself = asked && pattern.matches(path);
            if itself {
                named = pattern.exception && pattern.names();
            }
            let counts = inherited || counts && itself;
            matches[at] = counts;
            if counts {
                kept = (!pattern.exception).then_some(pattern.text.as_str());
            }
        }
        Verdict { kept, named, matches }
    }

    /// Whether an exception begins with the name of the folder, as the legacy builder checks it.
    #[cfg(test)]
    pub(super) fn has_exception_in(&self, folder: &str) -> bool {
        let start = format!("{folder}/");
        self.0.iter().any(|pattern| pattern.exception && format!("{}/", pattern.text).starts_with(&start))
    }

    /// Whether an excluded folder may contain something that an exception includes.
    pub(super) fn may_send_from(&self, folder: &str) -> bool {
        self.0.iter().filter(|pattern| pattern.exception).any(|pattern| meets(&pattern.text, folder))
    }
}

/// Whether a pattern may match something in a folder, by its beginning up to the first wildcard.
pub(super) fn meets(pattern: &str, folder: &str) -> bool {
    let mut folder = folder.split('/');
    for part in pattern.split('/') {
        if part.contains(['*', '?', '[', ']', '^', '\\']) {
            return true;
        }
        match folder.next() {
            None => return true,
            Some(name) if name != part => return false,
            Some(_) => {}
        }
    }
    true
}

impl Pattern {
    fn matches(&self, path: &str) -> bool {
        match &self.matcher {
            Matcher::Exact => path == self.text,
            Matcher::Prefix(start) => path.starts_with(start.as_str()),
            // `**/name` is `name`, too.
            Matcher::Suffix(end) => {
                path.ends_with(end.as_str()) || end.strip_prefix('/').is_some_and(|end| path == end)
            }
            Matcher::Regex(regex) => regex.is_match(path),
        }
    }

    /// Whether its last part is a name, without wildcards.
    fn names(&self) -> bool {
        super::is_name(self.text.as_bytes())
    }
}

/// Does what `filepath.Clean` does in Go.
fn cleaned(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

/// Whether `filepath.Match` in Go accepts the pattern.
fn is_well_formed(pattern: &str) -> bool {
    /// Reads one character of a class, which may be escaped.
    fn character(rest: &mut std::str::Chars<'_>) -> bool {
        match rest.next() {
            None | Some('-' | ']') => false,
            Some('\\') => rest.next().is_some() && !rest.as_str().is_empty(),
            Some(_) => !rest.as_str().is_empty(),
        }
    }
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' if rest.next().is_none() => return false,
            '[' => {
                if rest.as_str().starts_with('^') {
                    rest.next();
                }
                let mut ranges = 0;
                loop {
                    if ranges > 0 && rest.as_str().starts_with(']') {
                        rest.next();
                        break;
                    }
                    if !character(&mut rest) {
                        return false;
                    }
                    if rest.as_str().starts_with('-') {
                        rest.next();
                        if !character(&mut rest) {
                            return false;
                        }
                    }
                    ranges += 1;
                }
            }
            _ => {}
        }
    }
    true
}

impl Matcher {
    /// Makes a matcher; `None` if Docker could not read the pattern either.
    fn of(pattern: &str) -> Option<Self> {
        enum Kind {
            Exact,
            Prefix,
            Suffix,
            Regex,
        }
        let mut kind = Kind::Exact;
        let mut regex = String::from("^");
        let mut rest = pattern.chars().peekable();
        let mut first = true;
        while let Some(c) = rest.next() {
            match c {
                '*' if rest.next_if_eq(&'*').is_some() => {
                    rest.next_if_eq(&'/');
                    match (rest.peek(), &kind) {
                        (None, Kind::Exact) => kind = Kind::Prefix,
                        (None, _) => {
                            regex.push_str(".*");
                            kind = Kind::Regex;
                        }
                        (Some(_), _) => {
                            regex.push_str("(.*/)?");
                            kind = Kind::Regex;
                        }
                    }
                    if first {
                        kind = Kind::Suffix;
                    }
                }
                '*' => {
                    regex.push_str("[^/]*");
                    kind = Kind::Regex;
                }
                '?' => {
                    regex.push_str("[^/]");
                    kind = Kind::Regex;
                }
                '.' | '+' | '(' | ')' | '|' | '{' | '}' | '$' => {
                    regex.push('\\');
                    regex.push(c);
                }
                '\\' => {
                    regex.push('\\');
                    if let Some(next) = rest.next() {
                        regex.push(next);
                        kind = Kind::Regex;
                    }
                }
                '[' | ']' => {
                    regex.push(c);
                    kind = Kind::Regex;
                }
                c => regex.push(c),
            }
            first = false;
        }
        Some(match kind {
            Kind::Exact => Self::Exact,
            Kind::Prefix => Self::Prefix(pattern[..pattern.len() - 2].to_owned()),
            Kind::Suffix => Self::Suffix(pattern[2..].to_owned()),
            Kind::Regex => Self::Regex(Regex::new(&(from_go(&regex)? + "$")).ok()?),
        })
    }
}

/// Converts a regular expression of Go to Rust's syntax: they differ in brackets and in a few escapes.
fn from_go(regex: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = regex;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '[' => rest = class_from_go(rest, &mut out)?,
            '\\' => rest = escape_from_go(rest, &mut out)?,
            // Alone, it stands for itself.
            ']' => out.push_str("\\]"),
            c => out.push(c),
        }
    }
    Some(out)
}

/// Converts what follows the `[`, up to its `]`; returns the rest.
fn class_from_go<'a>(mut rest: &'a str, out: &mut String) -> Option<&'a str> {
    out.push('[');
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    let mut first = true;
    loop {
        let c = rest.chars().next()?;
        match c {
            ']' if !first => {
                out.push(']');
                return Some(&rest[1..]);
            }
            '[' if rest.starts_with("[:") && rest.contains(":]") => {
                let end = rest.find(":]")? + 2;
                out.push_str(&rest[..end]);
                rest = &rest[end..];
            }
            '\\' => rest = escape_from_go(&rest[1..], out)?,
            // A range, unless it comes first or last.
            '-' if !first && !rest[1..].starts_with(']') => {
                out.push('-');
                rest = &rest[1..];
            }
            c => {
                if c.is_ascii_punctuation() {
                    out.push('\\');
                }
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        first = false;
    }
}

/// Converts what follows the backslash; returns the rest.
fn escape_from_go<'a>(rest: &'a str, out: &mut String) -> Option<&'a str> {
    let c = rest.chars().next()?;
    let bare = match c {
        'd' => "0-9",
        'w' => "0-9A-Za-z_",
        's' => "\\t\\n\\x0C\\r ",
        c if c.is_ascii_alphanumeric() && !"aftnrv".contains(c) => return None,
        c => {
            // Go accepts a letter outside of ASCII only without a backslash.
            if !c.is_ascii() {
                return None;
            }
            if !"<>".contains(c) {
                out.push('\\');
            }
            out.push(c);
            return Some(&rest[1..]);
        }
    };
    out.push('[');
    out.push_str(bare);
    out.push(']');
    Some(&rest[1..])
}
