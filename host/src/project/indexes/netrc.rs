//! Reads and writes `.netrc`, which pip, uv, Poetry and git use.

use super::Login;

/// Returns the logins of a netrc file, except its `default`, which is for every host.
pub(super) fn parse(text: &str, origin: &str) -> Vec<Login> {
    let mut logins: Vec<Login> = Vec::new();
    let mut named = false;
    let mut words = words(text).into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "machine" => {
                let host = words.next().unwrap_or_default();
                let (user, password) = (String::new(), String::new());
                logins.push(Login { host, user, password, origin: origin.to_owned() });
                named = true;
            }
            "default" => named = false,
            "login" | "user" | "password" | "account" => {
                let value = words.next().unwrap_or_default();
                let Some(login) = logins.last_mut().filter(|_| named) else { continue };
                match word.as_str() {
                    "password" => login.password = value,
                    "account" => {}
                    _ => login.user = value,
                }
            }
            _ => {}
        }
    }
    logins
}

/// Returns the words of a netrc file, without comments and macros.
fn words(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut in_macro = false;
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            in_macro = false;
        } else if line.starts_with("macdef") {
            in_macro = true;
        } else if !in_macro {
            all.extend(words_of(line));
        }
    }
    all
}

/// Splits a line at its spaces, except in quotes.
fn words_of(line: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let (mut open, mut quoted) = (false, false);
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        if letter.is_whitespace() && !quoted {
            open = false;
            continue;
        }
        if !open {
            all.push(String::new());
            open = true;
            if letter == '"' {
                quoted = true;
                continue;
            }
        }
        let Some(word) = all.last_mut() else { continue };
        match letter {
            '"' if quoted => quoted = false,
            '\\' => word.extend(letters.next()),
            letter => word.push(letter),
        }
    }
    all
}

pub(super) fn format<'a>(logins: impl Iterator<Item = &'a Login>) -> String {
    logins
        .map(|login| {
            format!(
                "machine {} login {} password {}\n",
                login.host,
                quoted(&login.user),
                quoted(&login.password)
            )
        })
        .collect()
}

fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '#');
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let text = "# mine\nmachine a.example login ada password p1 machine b\n  login \"x y\"\n\tpassword q\\\\\"\n\
                    macdef init\nmachine no login no\n\nmachine c login z account w password 3\ndefault login d password e\n";
        let logins = parse(text, "~/.netrc");
        let all = |logins: &[Login]| -> Vec<[String; 3]> {
            logins.iter().map(|l| [l.host.clone(), l.user.clone(), l.password.clone()]).collect()
        };
        assert_eq!(
            all(&logins),
            [["a.example", "ada", "p1"], ["b", "x y", "q\\\""], ["c", "z", "3"]]
                .map(|l| l.map(str::to_owned))
        );
        let mut more = logins;
        more.push(Login {
            host: "d".into(),
            user: "t#ken".into(),
            password: String::new(),
            origin: String::new(),
        });
        assert_eq!(all(&parse(&format(more.iter()), "")), all(&more));
    }
}
