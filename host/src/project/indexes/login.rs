//! Removes logins from URLs such as `https://user:password@host/` in files and settings.

use std::{collections::BTreeSet, fmt, sync::LazyLock};

use percent_encoding::percent_decode_str;
use regex::Regex;

use crate::error::{Error, Result};

/// A login at a host.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The host's name.
    pub host: String,
    /// The user, or a token.
    pub user: String,
    /// The password, which may be empty.
    pub password: String,
    /// The file or variable that has it, for messages.
    pub origin: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a login at {} from {}", self.host, self.origin)
    }
}

/// A web URL as written, with its login.
#[derive(Clone, PartialEq, Eq)]
pub struct Written {
    /// The host's name in lower case.
    pub host: String,
    /// User and password as written, with `%40` and `${NAME}`; `None` if there is no login.
    login: Option<(String, String)>,
    /// The file or setting that has it, for messages.
    pub origin: String,
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a URL at {} from {}", self.host, self.origin)
    }
}

impl Written {
    /// Returns the names of the variables in the login, written `${NAME}` as in pip and uv.
    pub fn variables(&self) -> BTreeSet<&str> {
        let parts = self.login.iter().flat_map(|(user, password)| [user, password]);
        parts.flat_map(|text| variables(text)).collect()
    }

    /// Returns the login with the values of its variables; `None` if there is none.
    ///
    /// # Errors
    /// A variable is not set.
    pub fn login(&self, variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Login>> {
        let Some((user, password)) = &self.login else { return Ok(None) };
        let part = |text: &str| -> Result<String> {
            Ok(percent_decode_str(&expanded(text, &self.origin, variable)?).decode_utf8_lossy().into_owned())
        };
        let (user, password) = (part(user)?, part(password)?);
        Ok(Some(Login { host: self.host.clone(), user, password, origin: self.origin.clone() }))
    }
}

/// Returns the web URLs in a text, which an installation may need.
pub(in crate::project) fn written_in(text: &str, origin: &str) -> Vec<Written> {
    let all = addresses(text).filter(|found| found.is_web);
    let written = all.map(|found| {
        // `git` is everybody's user on git hosts: not a secret, and without a password.
        let login = found.login.filter(|login| *login != "git").map(|login| {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            (user.to_owned(), password.to_owned())
        });
        Written { host: host_of(found.host), login, origin: origin.to_owned() }
    });
    written.collect()
}

/// Removes the logins from the web URLs in a text, and the passwords from other URLs.
pub(in crate::project) fn take_out(text: &str) -> String {
    let mut clean = String::new();
    let mut done = 0;
    for Address { is_web, start, login, .. } in addresses(text) {
        let Some(login) = login else { continue };
        let end = start + login.len();
        if is_web && login != "git" {
            clean.push_str(&text[done..start]);
            done = end + 1;
        } else if let Some((user, _)) = login.split_once(':').filter(|(_, password)| !password.is_empty()) {
            clean.push_str(&text[done..start + user.len()]);
            done = end;
        }
    }
    clean.push_str(&text[done..]);
    clean
}

/// Does the same with a file in any encoding. `None` if there is nothing to remove.
pub(in crate::project) fn take_out_of(bytes: &[u8]) -> Option<Vec<u8>> {
    if !bytes.contains(&b'@') {
        return None;
    }
    let (text, encoding) = Encoding::read(bytes);
    let clean = take_out(&text);
    (clean != text).then(|| encoding.write(&clean))
}

/// Returns the text of a file in any encoding.
pub(in crate::project) fn decoded(bytes: &[u8]) -> String {
    Encoding::read(bytes).0
}

/// Whether the file has a password in a URL, also in UTF-16 without a mark, and in any other encoding based on ASCII.
pub fn holds_password(bytes: &[u8]) -> bool {
    let letters = bytes.iter().filter(|byte| **byte != 0);
    let text: String = letters.map(|byte| char::from(*byte)).collect();
    let password =
        |login: &'_ str| login.split_once(':').is_some_and(|(_, password)| !stands_for_one(password));
    addresses(&text).any(|found| found.login.is_some_and(password))
}

/// Whether the text is a placeholder for a password: a usual word, or a variable of a shell, a template or a format.
fn stands_for_one(password: &str) -> bool {
    static FORM: LazyLock<Regex> = LazyLock::new(|| {
        let forms = [
            r"\$?(?i:password|passwd|pass|pwd|pw|secret|token|api_?key)",
            r"\.{3}|\*+|x{3,}",
            r"\$?\{.*\}|.*\$\{.*\}|\$\(.*\)|\$[0-9_A-Z]+",
            r"%\(.*\)s|%s|%[0-9_A-Z]+%",
            r"\[.*\]|\(.*\)",
        ];
        Regex::new(&format!("^(?:{})$", forms.join("|"))).expect("a pattern of ours")
    });
    password.is_empty() || FORM.is_match(password)
}

/// A URL, `scheme://login@host` or `scheme://host`.
struct Address<'a> {
    is_web: bool,
    /// Where the login begins in the text, if there is one.
    start: usize,
    login: Option<&'a str>,
    host: &'a str,
}

fn addresses(text: &str) -> impl Iterator<Item = Address<'_>> {
    // JSON may escape slashes.
    static MARK: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r":(?://|\\/\\/)").expect("a pattern of ours"));
    MARK.find_iter(text).filter_map(|mark| {
        let (before, rest) = (&text[..mark.start()], &text[mark.end()..]);
        if !before.ends_with(|c: char| c.is_ascii_alphanumeric()) {
            return None;
        }
        let authority = &rest[..end_of_authority(rest)];
        let (login, host) = match authority.rsplit_once('@') {
            Some((login, host)) => (Some(login), host),
            None => (None, authority),
        };
        let ends = |scheme: &str| {
            let start = before.len().checked_sub(scheme.len()).and_then(|start| before.get(start..));
            start.is_some_and(|end| end.eq_ignore_ascii_case(scheme))
        };
        let is_web = ends("http") || ends("https");
        Some(Address { is_web, start: mark.end(), login, host })
    })
}

/// The encoding of a text file. What is neither UTF-8 nor UTF-16 is read byte by byte, so that nothing of it is lost.
enum Encoding {
    Utf8,
    Bytes,
    Utf16 { little: bool, mark: bool },
}

impl Encoding {
    fn read(bytes: &[u8]) -> (String, Self) {
        let utf16 = |bytes: &[u8], little: bool, mark: bool| {
            let units = bytes.chunks_exact(2).map(|pair| {
                if little {
                    u16::from_le_bytes([pair[0], pair[1]])
                } else {
                    u16::from_be_bytes([pair[0], pair[1]])
                }
            });
            let text: Option<String> = char::decode_utf16(units).map(Result::ok).collect();
            text.filter(|_| bytes.len().is_multiple_of(2)).map(|text| (text, Self::Utf16 { little, mark }))
        };
        // Without a mark, UTF-16 shows by the zeros in its ASCII text.
        let found = match bytes {
            [0xff, 0xfe, rest @ ..] => utf16(rest, true, true),
            [0xfe, 0xff, rest @ ..] => utf16(rest, false, true),
            [first, 0, ..] if *first != 0 => utf16(bytes, true, false),
            [0, second, ..] if *second != 0 => utf16(bytes, false, false),
            _ => None,
        };
        found.unwrap_or_else(|| match str::from_utf8(bytes) {
            Ok(text) => (text.to_owned(), Self::Utf8),
            Err(_) => (bytes.iter().map(|byte| char::from(*byte)).collect(), Self::Bytes),
        })
    }

    fn write(&self, text: &str) -> Vec<u8> {
        match self {
            Self::Utf8 => text.as_bytes().to_owned(),
            // A text that was read byte by byte has no other characters.
            Self::Bytes => text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect(),
            Self::Utf16 { little, mark } => {
                let mark = mark.then_some('\u{feff}');
                let units = mark.into_iter().chain(text.chars()).collect::<String>();
                let to_bytes = |unit: u16| if *little { unit.to_le_bytes() } else { unit.to_be_bytes() };
                units.encode_utf16().flat_map(to_bytes).collect()
            }
        }
    }
}

/// Returns the length of a URL's login, host and port. A password may have characters that end a URL in a text, such as
/// those of `https://me:a,b@host` and of a list `https://a.example,https://b.example`.
fn end_of_authority(text: &str) -> usize {
    let ends = |c: char| c.is_whitespace() || "/\\?#\"".contains(c);
    let may_end = |c: char| "',;)]<>`".contains(c);
    let mut length = text.find(ends).unwrap_or(text.len());
    // A list may continue a line within a password.
    while let Some(line_end) = ["\\\n", "\\\r\n"].iter().find(|end| text[length..].starts_with(**end)) {
        length += line_end.len();
        length += text[length..].find(ends).unwrap_or(text.len() - length);
    }
    let whole = &text[..length];
    let short = whole.find(may_end).unwrap_or(whole.len());
    let Some(at) = whole.rfind('@').filter(|at| *at > short) else { return short };
    let is_login = match whole[..short].split_once(':') {
        Some((_, port)) => port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()),
        None => false,
    };
    match is_login {
        true => whole[at..].find(may_end).map_or(whole.len(), |length| at + length),
        false => short,
    }
}

fn host_of(authority: &str) -> String {
    authority.split(':').next().unwrap_or(authority).to_ascii_lowercase()
}

/// Returns each NAME of `${NAME}` in a text.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    text.split("${").skip(1).filter_map(|rest| Some(rest.split_once('}')?.0))
}

fn expanded(text: &str, origin: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String> {
    let mut whole = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("${") {
        let Some((name, after)) = behind.split_once('}') else { break };
        let value = variable(name).ok_or_else(|| {
            Error::invalid(format!("{origin} needs the variable {name}, which is not set"))
                .hint(format!("export {name}, then run the same command again"))
        })?;
        whole.push_str(before);
        whole.push_str(&value);
        rest = after;
    }
    Ok(whole + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_removed_from_a_text() {
        let text = "--index-url https://me:p%40ss@a.example:8443/simple # why\n\
                    b @ git+https://git@github.com/x/y.git\n\
                    c @ git+ssh://git:no@github.com/x/y.git\n\
                    [d](https://${USER}:${TOKEN}@d.example), https://token@e.example\nmail@x.y\n";
        let variable = |name: &str| {
            [("USER", "ada"), ("TOKEN", "t:1")].iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
        };
        let clean = take_out(text);
        let written = written_in(text, "requirements.txt");
        let logins = written.iter().filter_map(|written| written.login(&variable).unwrap());
        let logins: Vec<Login> = logins.collect();
        assert_eq!(
            clean,
            "--index-url https://a.example:8443/simple # why\n\
             b @ git+https://git@github.com/x/y.git\n\
             c @ git+ssh://git@github.com/x/y.git\n\
             [d](https://d.example), https://e.example\nmail@x.y\n"
        );
        let all: Vec<_> =
            logins.iter().map(|l| (l.host.as_str(), l.user.as_str(), l.password.as_str())).collect();
        assert_eq!(
            all,
            [("a.example", "me", "p@ss"), ("d.example", "ada", "t:1"), ("e.example", "token", "")]
        );
        assert!(
            !format!("{logins:?} {written:?}").contains("p@ss") && !format!("{written:?}").contains("p%40ss")
        );
        let hosts: Vec<&str> = written.iter().map(|written| written.host.as_str()).collect();
        assert_eq!(hosts, ["a.example", "github.com", "d.example", "e.example"]);
        let asks = |written: &Written| written.variables().into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(written.iter().map(asks).collect::<Vec<_>>(), ["", "", "TOKEN USER", ""]);
        let error = written[2].login(&|_| None).unwrap_err();
        assert!(error.message().contains("the variable USER, which is not set"), "{}", error.message());
    }

    #[test]
    fn a_password_is_removed_from_a_file_in_any_encoding() {
        let text =
            "# f\u{fc}r\n--extra-index-url https://me:hunter2@a.example/simple\nredis://x:hunter2@h:1/0\n";
        let clean = "# f\u{fc}r\n--extra-index-url https://a.example/simple\nredis://x@h:1/0\n";
        let latin = |text: &str| text.chars().map(|c| c as u8).collect::<Vec<_>>();
        let utf16 = |text: &str, mark: &str, to: fn(u16) -> [u8; 2]| {
            format!("{mark}{text}").encode_utf16().flat_map(to).collect::<Vec<_>>()
        };
        type Encode<'a> = &'a dyn Fn(&str) -> Vec<u8>;
        let encodings: [Encode; 6] = [
            &|text| text.as_bytes().to_vec(),
            &latin,
            &|text| utf16(text, "\u{feff}", u16::to_le_bytes),
            &|text| utf16(text, "\u{feff}", u16::to_be_bytes),
            &|text| utf16(text, "", u16::to_le_bytes),
            &|text| utf16(text, "", u16::to_be_bytes),
        ];
        for encode in encodings {
            assert!(holds_password(&encode(text)));
            let bytes = take_out_of(&encode(text)).unwrap();
            assert_eq!(bytes, encode(clean));
            let written = written_in(&decoded(&encode(text)), "a");
            assert_eq!((written.len(), written[0].host.as_str()), (1, "a.example"));
            assert!(!holds_password(&bytes));
            assert!(take_out_of(&bytes).is_none());
        }
        // Half a character at the end: the password is found, so that the file can be excluded.
        let mut odd = utf16(text, "\u{feff}", u16::to_le_bytes);
        odd.push(b'x');
        assert!(holds_password(&odd));
        for harmless in [
            "f'https://{user}:{password}@{host}'",
            "https://a.example/x:y@z",
            "a://b@c",
            "http://x:$P@y",
            "http://x:${P}@y",
            "http://x:%(p)s@y",
            "http://x:***@y",
            "http://a.example:8080,me@b.example",
            "[a](http://a.example),me@b.example",
        ] {
            assert!(!holds_password(harmless.as_bytes()), "{harmless}");
        }
    }

    #[test]
    fn a_password_may_have_any_character() {
        for (text, clean) in [
            ("https://me:a,b@h.example/simple", "https://h.example/simple"),
            ("https://me:a;b)c]d@h.example", "https://h.example"),
            ("https://me:it's@h.example", "https://h.example"),
            ("https://me:$ecret@h.example", "https://h.example"),
            ("https://me:%40bc@h.example", "https://h.example"),
            ("https://me:(half@h.example", "https://h.example"),
            ("https://me:half}@h.example", "https://h.example"),
            ("HTTPS://me:hunter2@h.example", "HTTPS://h.example"),
            (r"https:\/\/me:hunter2@h.example\/simple", r"https:\/\/h.example\/simple"),
            ("https://me:a<b@h.example", "https://h.example"),
            ("https://me:hun\\\nter2@h.example", "https://h.example"),
            ("https://a:1@b.example,https://c:2@d.example/", "https://b.example,https://d.example/"),
        ] {
            assert!(holds_password(text.as_bytes()), "{text}");
            assert_eq!(take_out(text), clean);
        }
    }
}
