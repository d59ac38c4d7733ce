//! Logins that stand in addresses, as `https://user:password@host/`: taken out wherever a file or a setting has them.

use std::fmt;

use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};

/// Who logs in at a host.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The host's name.
    pub host: String,
    /// The user, or a token.
    pub user: String,
    /// May be empty.
    pub password: String,
    /// Which file or variable has it, for people.
    pub origin: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a login at {} by {}", self.host, self.origin)
    }
}

/// A text without the logins of its web addresses, and these. `${NAME}` in a login is what `variable` gives, as pip and
/// uv have it.
pub(in crate::project) fn take_out(
    text: &str,
    origin: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<(String, Vec<Login>)> {
    let mut clean = String::new();
    let mut logins = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, behind) = rest.split_at(at + 3);
        clean.push_str(before);
        rest = behind;
        let authority = &rest[..end_of_authority(rest)];
        let is_web = before.ends_with("http://") || before.ends_with("https://");
        let Some((login, host)) = authority.rsplit_once('@').filter(|_| is_web) else { continue };
        // Everybody's user on hosts of git: no secret, and no password belongs to it.
        if login == "git" {
            continue;
        }
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let part = |text: &str| -> Result<String> {
            Ok(percent_decode_str(&expanded(text, origin, variable)?).decode_utf8_lossy().into_owned())
        };
        logins.push(Login {
            host: host_of(host).to_owned(),
            user: part(user)?,
            password: part(password)?,
            origin: origin.to_owned(),
        });
        rest = &rest[login.len() + 1..];
    }
    clean.push_str(rest);
    Ok((clean, logins))
}

/// The hosts of a text's web addresses, whose logins have been taken out.
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
            Error::invalid(format!("{origin} logs in by the variable {name}, which is not set"))
                .hint(format!("export {name}, and run the same command again"))
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
    fn logins_leave_the_text() {
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
             c @ git+ssh://git:no@github.com/x/y.git\n\
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
}
