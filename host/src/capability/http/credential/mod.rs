//! Finds credentials by the name of their source. A secret is read only when a request needs it, and used for nothing
//! else.

mod cache;
mod google;
mod kaggle;

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use base64::prelude::{BASE64_STANDARD, Engine};
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};

pub(super) use cache::Credentials;
use cache::Exchange;

use crate::{
    capability::docker::Login,
    disk,
    environment::Environment,
    error::{Error, Kind, Result},
};

const BILLED: &str = "x-goog-user-project";
/// Maximum length of a secret in bytes.
const MAX_SECRET_LENGTH: u64 = 64 << 10;

/// The source of credentials. Its name is not secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CredentialSource {
    /// `env:NAME`, an environment variable.
    Variable(String),
    /// `file:PATH`, an absolute path or one that starts with `~`.
    File(String),
    /// `kaggle`, found as in Kaggle's own client.
    Kaggle,
    /// `google`, the application default credentials.
    Google,
}

/// Credentials from a source.
#[derive(Clone)]
pub(super) struct Credential {
    /// The value of the `Authorization` header.
    pub(super) authorization: HeaderValue,
    /// The user, if known.
    pub(super) user: Option<String>,
    /// The project, if known.
    pub(super) project: Option<String>,
    /// The project that is billed for requests, which is a separate header, if there is one.
    billed: Option<HeaderValue>,
    /// When they expire; `None` if never.
    until: Option<Timestamp>,
}

impl Credential {
    fn new(authorization: HeaderValue, until: Option<Timestamp>) -> Self {
        Self { authorization, user: None, project: None, billed: None, until }
    }

    /// The credentials as user and password, for image registries.
    ///
    /// # Errors
    /// They are not a user and a password.
    pub(super) fn login(&self, source: &CredentialSource) -> Result<Login> {
        let text = self.authorization.to_str().unwrap_or_default();
        let login = match text.split_once(' ') {
            Some(("Basic", pair)) => {
                BASE64_STANDARD.decode(pair).ok().and_then(|pair| String::from_utf8(pair).ok()).and_then(
                    |pair| pair.split_once(':').map(|(user, word)| (user.to_owned(), word.to_owned())),
                )
            }
            Some(("Bearer", token)) if *source == CredentialSource::Google => {
                Some((google::REGISTRY_USER.to_owned(), token.to_owned()))
            }
            _ => None,
        };
        let (user, password) = login.ok_or_else(|| {
            Error::new(
                Kind::Denied,
                format!("the credentials in {source} are not a login for an image registry"),
            )
            .hint("set them to `Basic ` and the base64 of `user:password`")
        })?;
        Ok(Login { user, password })
    }

    /// The headers of a request.
    pub(super) fn headers(&self) -> impl Iterator<Item = (HeaderName, &HeaderValue)> {
        let billed = self.billed.as_ref().map(|project| (HeaderName::from_static(BILLED), project));
        [(AUTHORIZATION, &self.authorization)].into_iter().chain(billed)
    }
}

impl CredentialSource {
    /// A description such as "the token of EXAMPLE_TOKEN".
    pub fn described(&self) -> String {
        match self {
            Self::Variable(name) => format!("the token of {name}"),
            Self::File(path) => format!("the token in {path}"),
            Self::Kaggle => "your Kaggle credentials".to_owned(),
            Self::Google => "your Google credentials".to_owned(),
        }
    }

    /// The service's hosts: they and their subdomains may get the credentials. Empty if the user chooses the hosts.
    pub const fn hosts(&self) -> &'static [&'static str] {
        match self {
            Self::Variable(_) | Self::File(_) => &[],
            Self::Kaggle => &["kaggle.com"],
            Self::Google => &["googleapis.com", "pkg.dev", "gcr.io"],
        }
    }

    /// Whether the credentials come from a service, so that they are cached.
    fn is_asked_for(&self) -> bool {
        matches!(self, Self::Kaggle | Self::Google)
    }

    /// The credentials, or if `refused` is set, others if there are any.
    ///
    /// # Errors
    /// There is no secret, or it is not valid. The message has nothing of it.
    async fn find(&self, exchange: &Exchange, refused: Option<&HeaderValue>) -> Result<Credential> {
        let (secret, hint) = match self {
            Self::Variable(name) => {
                (Environment::variable(name), format!("set the environment variable {name} to the token"))
            }
            Self::File(path) => (
                read(&from_home(path), path).await?,
                format!("write the token to {path}, and make the file readable only for you"),
            ),
            Self::Kaggle => return kaggle::find(exchange, refused).await,
            Self::Google => return google::find(exchange).await,
        };
        let secret = secret
            .filter(|secret| !secret.trim().is_empty())
            .ok_or_else(|| Error::new(Kind::Denied, format!("credentials not found: {self}")).hint(hint))?;
        // `Bearer` and the secret, or only the secret if it has a scheme, such as `Basic …`.
        let secret = secret.trim();
        let text = if secret.contains(' ') { secret.to_owned() } else { format!("Bearer {secret}") };
        let authorization = header(&text).map_err(|error| error.source(format!("it comes from {self}")))?;
        Ok(Credential::new(authorization, None))
    }
}

/// Expands `~` in a path.
fn from_home(path: &str) -> PathBuf {
    match path.strip_prefix("~/") {
        Some(rest) => PathBuf::from(Environment::variable("HOME").unwrap_or_default()).join(rest),
        None => PathBuf::from(path),
    }
}

/// A header value that is never shown.
fn header(text: &str) -> Result<HeaderValue> {
    let value = HeaderValue::from_str(text).ok().filter(|_| text.is_ascii());
    let mut value = value.ok_or_else(|| {
        Error::new(
            Kind::Denied,
            "the credentials are not a token: they have several lines or invalid characters",
        )
        .hint("store only the token there")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// A file's content, if it exists. Messages use `name`, which never is a variable's value: a user may have put the
/// secret itself there.
async fn read(place: &Path, name: &str) -> Result<Option<String>> {
    let failed = |error: std::io::Error| {
        Error::new(Kind::Denied, format!("cannot read {name}"))
            .hint("make sure that you can read the file, and that it holds a token")
            .source(error)
    };
    match disk::text(place, MAX_SECRET_LENGTH) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        text => text.map(Some).map_err(failed),
    }
}

impl FromStr for CredentialSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{text}` is not a source of credentials, such as env:NAME, file:/PATH, kaggle or google")
        };
        match text {
            "kaggle" => return Ok(Self::Kaggle),
            "google" => return Ok(Self::Google),
            _ => {}
        }
        let (kind, place) = text.split_once(':').ok_or_else(wrong)?;
        match kind {
            "env" => {
                let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let is_name = !place.is_empty()
                    && place.chars().all(plain)
                    && !place.starts_with(|c: char| c.is_ascii_digit());
                is_name.then(|| Self::Variable(place.to_owned())).ok_or_else(wrong)
            }
            "file" => {
                let is_path = (place.starts_with('/') || place.starts_with("~/"))
                    && !place.contains(|c: char| c.is_control() || c == ',');
                is_path.then(|| Self::File(place.to_owned())).ok_or_else(wrong)
            }
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{path}"),
            Self::Kaggle => f.write_str("kaggle"),
            Self::Google => f.write_str("google"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_parsed_and_shown() {
        for text in [
            "env:EXAMPLE_TOKEN",
            "env:_x1",
            "file:/run/secrets/token",
            "file:~/.config/token",
            "kaggle",
            "google",
        ] {
            assert_eq!(text.parse::<CredentialSource>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "env",
            "env:",
            "env:A-B",
            "env:1A",
            "env:A B",
            "file:",
            "file:token",
            "file:../t",
            "other:x",
            "kaggle:x",
            "Kaggle",
            "google:x",
        ] {
            assert!(text.parse::<CredentialSource>().is_err(), "{text}");
        }
    }

    #[test]
    fn credentials_for_a_registry_are_a_user_and_a_password() {
        let file = CredentialSource::File("/t".into());
        let login = |text: &str, source: &CredentialSource| {
            let login = Credential::new(header(text).unwrap(), None).login(source);
            login.map(|login| format!("{} {}", login.user, login.password))
        };
        assert_eq!(login("Basic YWRhOnA6dw==", &file).unwrap(), "ada p:w");
        assert_eq!(login("Bearer ya29.x", &CredentialSource::Google).unwrap(), "oauth2accesstoken ya29.x");
        for text in ["Bearer SECRET", "Basic SECRET", "Basic YWRh", "SECRET"] {
            let error = login(text, &file).unwrap_err();
            assert!(error.kind() == Kind::Denied && !format!("{error:?}").contains("SECRET"), "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_secret_becomes_a_header_and_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let source = CredentialSource::File(path.to_str().unwrap().to_owned());
        let missing = Credentials::new(None).of(&source).await.map(|_| ()).unwrap_err();
        assert_eq!(missing.kind(), Kind::Denied);
        assert!(missing.hint_text().is_some());
        for (content, header) in [("SECRET\n", "Bearer SECRET"), ("Basic U0VDUkVU", "Basic U0VDUkVU")] {
            std::fs::write(&path, content).unwrap();
            let value = Credentials::new(None).of(&source).await.unwrap().authorization;
            assert_eq!(value.to_str().unwrap(), header);
            assert!(value.is_sensitive() && !format!("{value:?}").contains("SECRET"));
        }
        for content in ["SECRET\nSECRET", "SECRÉT", " \n", &"SECRET".repeat(20_000)] {
            std::fs::write(&path, content).unwrap();
            let error = Credentials::new(None).of(&source).await.map(|_| ()).unwrap_err();
            assert!(!format!("{error:?}").contains("SECR"), "{error:?}");
        }
        let folder = CredentialSource::File(folder.path().to_str().unwrap().to_owned());
        assert_eq!(Credentials::new(None).of(&folder).await.map(|_| ()).unwrap_err().kind(), Kind::Denied);
    }
}
