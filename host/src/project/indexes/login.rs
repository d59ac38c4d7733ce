//! Removes logins from URLs such as `https://user:password@host/` in files and settings.

use std::fmt;

use percent_encoding::percent_decode_str;

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

/// Removes the logins from the URLs in a text. Returns the text, and the logins of web URLs, which an installation
/// needs. `${NAME}` in a login is replaced with the value of `variable`, as in pip and uv.
///
/// # Errors
/// A variable is not set.
pub(in crate::project) fn take_out(
    text: &str,
    origin: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<(String, Vec<Login>)> {
    let mut clean = String::new();
    let mut logins = Vec::new();
    let mut done = 0;
    for found in addresses(text) {
        // `git` is everybody's user on git hosts: not a secret, and without a password.
        if !found.is_web || found.login == "git" {
            if let Some(password) = found.password.filter(|password| !password.is_empty()) {
                let end = found.start + found.login.len();
                clean.push_str(&text[done..end - password.len() - 1]);
                done = end;
            }
            continue;
        }
        let part = |text: &str| -> Result<String> {
            Ok(percent_decode_str(&expanded(text, origin, variable)?).decode_utf8_lossy().into_owned())
        };
        logins.push(Login {
            host: host_of(found.host).to_owned(),
            user: part(found.user)?,
            password: part(found.password.unwrap_or_default())?,
            origin: origin.to_owned(),
        });
        clean.push_str(&text[done..found.start]);
        done = found.start + found.login.len() + 1;
    }
    clean.push_str(&text[done..]);
    Ok((clean, logins))
}

/// Does the same with a file in any encoding. `None` if there is nothing to remove.
///
/// # Errors
/// A variable is not set.
pub(in crate::project) fn take_out_of(
    bytes: &[u8],
    origin: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<(Vec<u8>, Vec<Login>)>> {
    if !bytes.contains(&b'@') {
        return Ok(None);
    }
    let (text, encoding) = Encoding::read(bytes);
    let (clean, logins) = take_out(&text, origin, variable)?;
    Ok((clean != text).then(|| (encoding.write(&clean), logins)))
}

/// Whether the file has a password in a URL, also in UTF-16 without a mark, and in any other encoding based on ASCII.
pub(in crate::project) fn holds_password(bytes: &[u8]) -> bool {
    let letters = bytes.iter().filter(|byte| **byte != 0);
    let text: String = letters.map(|byte| char::from(*byte)).collect();
    addresses(&text).any(|found| found.password.is_some_and(|password| !stands_for_one(password)))
}

/// Whether the text is a placeholder for a password.
fn stands_for_one(password: &str) -> bool {
    const WORDS: &[&str] = &["password", "passwd", "pass", "pwd", "pw", "secret", "token", "api_key", "..."];
    let known = WORDS.iter().any(|word| password.eq_ignore_ascii_case(word));
    password.is_empty()
        || known
        || password.starts_with(['$', '{', '<', '%', '*', '[', '('])
        || password.ends_with('}')
}

/// A URL with a login, `scheme://login@host`.
struct Address<'a> {
    is_web: bool,
    /// Where the login begins in the text.
    start: usize,
    login: &'a str,
    user: &'a str,
    password: Option<&'a str>,
    host: &'a str,
}

fn addresses(text: &str) -> impl Iterator<Item = Address<'_>> {
    text.match_indices("://").filter_map(|(at, mark)| {
        let (before, rest) = (&text[..at], &text[at + mark.len()..]);
        if !before.ends_with(|c: char| c.is_ascii_alphanumeric()) {
            return None;
        }
        let (login, host) = rest[..end_of_authority(rest)].rsplit_once('@')?;
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (login, None),
        };
        let is_web = before.ends_with("http") || before.ends_with("https");
        Some(Address { is_web, start: at + mark.len(), login, user, password, host })
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
            let units = bytes.chunks_exact(2).map(|pair| match little {
                true => u16::from_le_bytes([pair[0], pair[1]]),
                false => u16::from_be_bytes([pair[0], pair[1]]),
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

/// Returns the hosts of the URLs in a text, from which logins have been removed.
pub(super) fn hosts(text: &str) -> impl Iterator<Item = &str> {
    text.split("://").skip(1).map(|rest| host_of(&rest[..end_of_authority(rest)]))
}

fn end_of_authority(text: &str) -> usize {
    let ends = |c: char| c.is_whitespace() || "/\\?#\"'`,;<>)]".contains(c);
    text.find(ends).unwrap_or(text.len())
}

fn host_of(authority: &str) -> &str {
    authority.split(':').next().unwrap_or(authority)
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
        let (clean, logins) = take_out(text, "requirements.txt", &variable).unwrap();
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
        assert!(!format!("{logins:?}").contains("p@ss"));
        assert_eq!(hosts(&clean).collect::<Vec<_>>()[0], "a.example");
        let error = take_out(text, "requirements.txt", &|_| None).unwrap_err();
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
            let (bytes, logins) = take_out_of(&encode(text), "a", &|_| None).unwrap().unwrap();
            assert_eq!(bytes, encode(clean));
            assert_eq!((logins.len(), logins[0].host.as_str()), (1, "a.example"));
            assert!(!holds_password(&bytes));
            assert!(take_out_of(&bytes, "a", &|_| None).unwrap().is_none());
        }
        // Half a character at the end: the password is found, so that the file can be excluded.
        let mut odd = utf16(text, "\u{feff}", u16::to_le_bytes);
        odd.push(b'x');
        assert!(holds_password(&odd));
        for harmless in
            ["f'https://{user}:{password}@{host}'", "https://a.example/x:y@z", "a://b@c", "http://x:$P@y"]
        {
            assert!(!holds_password(harmless.as_bytes()), "{harmless}");
        }
    }
}
