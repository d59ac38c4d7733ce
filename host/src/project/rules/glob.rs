//! Matches patterns of `.gitignore` as git does. The lists of secrets and clutter, and the patterns of `--include`, use
//! the same syntax.

/// The lines of one file, or of one list.
#[derive(Debug, Default)]
pub(super) struct Lines(Vec<Line>);

/// One pattern.
#[derive(Debug)]
pub(super) struct Line {
    /// The line as it was written.
    pub(super) written: String,
    /// Whether it reverses an earlier line.
    pub(super) negated: bool,
    /// Whether it matches only folders.
    only_folders: bool,
    /// The pattern without `!`, and without slashes at its ends.
    text: Vec<u8>,
    /// Whether it has no slash, and so matches names at any depth.
    by_name: bool,
    /// The length of its part before the first wildcard.
    literal: usize,
}

/// Whether the case of letters counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Counts,
    Ignored,
}

impl Lines {
    /// Reads a file.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        Self(lines.filter(|line| !line.starts_with(b"#")).filter_map(Line::read).collect())
    }

    /// Reads a list of patterns.
    pub(super) fn of<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Self {
        Self(patterns.into_iter().filter_map(|pattern| Line::read(pattern.as_bytes())).collect())
    }

    /// Returns the line that decides about a path: the last one that matches it.
    pub(super) fn deciding(&self, path: &[u8], is_folder: bool, case: Case) -> Option<&Line> {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        self.0.iter().rev().find(|line| line.matches(path, name, is_folder, case))
    }
}

impl Line {
    fn read(line: &[u8]) -> Option<Self> {
        let line = trimmed(line);
        let (negated, text) = match line.strip_prefix(b"!") {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let (only_folders, text) = match text.strip_suffix(b"/") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let by_name = !text.contains(&b'/');
        let text = text.strip_prefix(b"/").unwrap_or(text);
        let literal = text.iter().position(|byte| is_special(*byte)).unwrap_or(text.len());
        let written = String::from_utf8_lossy(line).into_owned();
        (!text.is_empty()).then(|| Self {
            written,
            negated,
            only_folders,
            text: text.to_owned(),
            by_name,
            literal,
        })
    }

    /// Whether its last part is a name, without wildcards.
    pub(super) fn names(&self) -> bool {
        super::is_name(&self.text)
    }

    fn matches(&self, path: &[u8], name: &[u8], is_folder: bool, case: Case) -> bool {
        if self.only_folders && !is_folder {
            return false;
        }
        let path = if self.by_name { name } else { path };
        let (literal, pattern) = self.text.split_at(self.literal);
        let Some((start, rest)) = path.split_at_checked(literal.len()) else { return false };
        let same = match case {
            Case::Counts => start == literal,
            Case::Ignored => start.eq_ignore_ascii_case(literal),
        };
        // As in git, what follows the literal part is a pattern of its own.
        same && (pattern.is_empty() && rest.is_empty()
            || !pattern.is_empty() && Wild { case, in_path: !self.by_name }.matches(pattern, rest))
    }
}

/// Removes spaces at the end, unless a backslash escapes them.
fn trimmed(line: &[u8]) -> &[u8] {
    let mut spaces = None;
    let mut at = 0;
    while at < line.len() {
        match line[at] {
            b' ' => {
                spaces.get_or_insert(at);
            }
            b'\\' => {
                at += 1;
                if at == line.len() {
                    return line;
                }
                spaces = None;
            }
            _ => spaces = None,
        }
        at += 1;
    }
    &line[..spaces.unwrap_or(line.len())]
}

const fn is_special(byte: u8) -> bool {
    matches!(byte, b'*' | b'?' | b'[' | b'\\')
}

/// How a pattern is matched with a text.
#[derive(Clone, Copy)]
struct Wild {
    case: Case,
    /// Whether only `**` matches a slash.
    in_path: bool,
}

/// The result of a match, as in git's `wildmatch`: a failure shows how far back another attempt is worth it.
#[derive(PartialEq, Eq)]
enum Outcome {
    Match,
    No,
    /// No other length of a single star can match.
    UpToDoubleStar,
    /// The text ended before the pattern.
    Never,
}

impl Wild {
    fn matches(self, pattern: &[u8], text: &[u8]) -> bool {
        self.attempt(pattern, 0, text) == Outcome::Match
    }

    fn letter(self, byte: u8) -> u8 {
        if self.case == Case::Ignored { byte.to_ascii_lowercase() } else { byte }
    }

    /// Matches from `at` on. The pattern before it shows whether a double star begins a part.
    fn attempt(self, pattern: &[u8], mut at: usize, mut text: &[u8]) -> Outcome {
        while let Some(&sign) = pattern.get(at) {
            let letter = match text.first() {
                Some(letter) => self.letter(*letter),
                None if sign != b'*' => return Outcome::Never,
                None => 0,
            };
            match sign {
                b'?' if self.in_path && letter == b'/' => return Outcome::No,
                b'?' => {}
                b'*' => match self.star(pattern, &mut at, &mut text) {
                    Some(outcome) => return outcome,
                    None => continue,
                },
                b'[' => match self.class(pattern, &mut at, letter) {
                    None => return Outcome::Never,
                    Some(false) => return Outcome::No,
                    Some(true) if self.in_path && letter == b'/' => return Outcome::No,
                    Some(true) => {}
                },
                sign => {
                    let sign = match sign {
                        b'\\' => {
                            at += 1;
                            pattern.get(at).copied().unwrap_or(0)
                        }
                        sign => sign,
                    };
                    if self.letter(sign) != letter {
                        return Outcome::No;
                    }
                }
            }
            at += 1;
            text = &text[1..];
        }
        if text.is_empty() { Outcome::Match } else { Outcome::No }
    }

    /// Matches one or more stars. `None` if a whole part of the path was skipped, up to its slash.
    fn star(self, pattern: &[u8], at: &mut usize, text: &mut &[u8]) -> Option<Outcome> {
        let first = *at;
        while pattern.get(*at) == Some(&b'*') {
            *at += 1;
        }
        let behind = &pattern[*at..];
        let any_slash = match (self.in_path, *at - first) {
            (false, _) => true,
            (true, 1) => false,
            (true, _) => {
                let begins = first == 0 || pattern[first - 1] == b'/';
                let ends = behind.is_empty() || behind[0] == b'/' || behind.starts_with(b"\\/");
                if begins && ends && behind.first() == Some(&b'/') {
                    // `**/` also matches nothing.
                    if self.attempt(pattern, *at + 1, text) == Outcome::Match {
                        return Some(Outcome::Match);
                    }
                }
                begins && ends
            }
        };
        if behind.is_empty() {
            let ends = any_slash || !text.contains(&b'/');
            return Some(if ends { Outcome::Match } else { Outcome::UpToDoubleStar });
        }
        if !any_slash && behind[0] == b'/' {
            let Some(slash) = text.iter().position(|byte| *byte == b'/') else { return Some(Outcome::Never) };
            *text = &text[slash..];
            return None;
        }
        while !text.is_empty() {
            // Skip to the next place with the letter that follows the star.
            if !is_special(behind[0]) {
                let wanted = self.letter(behind[0]);
                let ends = |byte: &u8| self.letter(*byte) == wanted || !any_slash && *byte == b'/';
                let place = text.iter().position(ends);
                match place.filter(|place| self.letter(text[*place]) == wanted) {
                    Some(place) => *text = &text[place..],
                    None => return Some(if any_slash { Outcome::Never } else { Outcome::UpToDoubleStar }),
                }
            }
            match self.attempt(pattern, *at, text) {
                Outcome::No if !any_slash && text[0] == b'/' => return Some(Outcome::UpToDoubleStar),
                Outcome::No => {}
                Outcome::UpToDoubleStar if any_slash => {}
                outcome => return Some(outcome),
            }
            *text = &text[1..];
        }
        Some(Outcome::Never)
    }

    /// Whether a letter is in a class, which begins at `at` with its bracket; `at` is moved to the closing bracket. `None`
    /// if there is no closing bracket.
    fn class(self, pattern: &[u8], at: &mut usize, letter: u8) -> Option<bool> {
        let next = |at: &mut usize| {
            *at += 1;
            pattern.get(*at).copied()
        };
        let mut sign = next(at)?;
        let negated = matches!(sign, b'!' | b'^');
        if negated {
            sign = next(at)?;
        }
        let mut found = false;
        let mut before = 0;
        loop {
            before = match sign {
                b'\\' => {
                    let escaped = next(at)?;
                    found |= letter == escaped;
                    escaped
                }
                b'-' if before != 0 && pattern.get(*at + 1).is_some_and(|after| *after != b']') => {
                    let mut last = next(at)?;
                    if last == b'\\' {
                        last = next(at)?;
                    }
                    let range = before..=last;
                    let upper = letter.to_ascii_uppercase();
                    found |= range.contains(&letter) || self.case == Case::Ignored && range.contains(&upper);
                    0
                }
                b'[' if pattern.get(*at + 1) == Some(&b':') => {
                    let start = *at + 2;
                    let end = start + pattern.get(start..)?.iter().position(|byte| *byte == b']')?;
                    match pattern[start..end].strip_suffix(b":") {
                        Some(name) => {
                            found |= is_of_class(name, letter, self.case)?;
                            *at = end;
                            0
                        }
                        None => {
                            found |= letter == b'[';
                            b'['
                        }
                    }
                }
                sign => {
                    found |= letter == self.letter(sign);
                    sign
                }
            };
            sign = next(at)?;
            if sign == b']' {
                return Some(found != negated);
            }
        }
    }
}

/// Whether a letter is in a POSIX class such as `[:alpha:]`. `None` if there is no class of that name.
fn is_of_class(name: &[u8], letter: u8, case: Case) -> Option<bool> {
    Some(match name {
        b"alnum" => letter.is_ascii_alphanumeric(),
        b"alpha" => letter.is_ascii_alphabetic(),
        b"blank" => matches!(letter, b' ' | b'\t'),
        b"cntrl" => letter.is_ascii_control(),
        b"digit" => letter.is_ascii_digit(),
        b"graph" => letter.is_ascii_graphic(),
        b"lower" => letter.is_ascii_lowercase(),
        b"print" => letter.is_ascii_graphic() || letter == b' ',
        b"punct" => letter.is_ascii_punctuation(),
        b"space" => letter.is_ascii_whitespace() || letter == 0x0b,
        b"upper" => letter.is_ascii_uppercase() || case == Case::Ignored && letter.is_ascii_lowercase(),
        b"xdigit" => letter.is_ascii_hexdigit(),
        _ => return None,
    })
}
