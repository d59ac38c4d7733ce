//! Kaggle's credentials, found in the places and order of its own client: an access token, an API key, and the login of
//! `kaggle auth login`.

use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine};
use jiff::{Span, Timestamp};
use reqwest::header::HeaderValue;
use serde_json::{Value, json};

use super::{Credential, cache::Exchange, header, read};
use crate::{
    environment::Environment,
    error::{Error, Kind, Result},
};

/// In Kaggle's configuration folder.
const API_KEY_FILE: &str = "kaggle.json";
const API: &str = "https://api.kaggle.com/v1";
const HINT: &str = "create a token at https://www.kaggle.com/settings/api and set KAGGLE_API_TOKEN or write it to \
                    ~/.kaggle/access_token, or run `kaggle auth login`";

/// The first credentials found that Kaggle accepts.
pub(super) async fn find(exchange: &Exchange, refused: Option<&HeaderValue>) -> Result<Credential> {
    let mut unknown = None;
    if let Some((token, place)) = access_token().await? {
        match introspect(exchange, &token).await? {
            Some(user) => return bearer(&token, Some(user), None),
            None => unknown = Some(place),
        }
    }
    if let Some((user, key)) = api_key().await? {
        let pair = BASE64_STANDARD.encode(format!("{user}:{key}"));
        return Ok(Credential {
            user: Some(user),
            ..Credential::new(header(&format!("Basic {pair}"))?, None)
        });
    }
    if let Some(login) = Login::read().await? {
        return login.credential(exchange, refused).await;
    }
    Err(match unknown {
        Some(place) => {
            Error::new(Kind::Denied, format!("Kaggle rejected the token in {place}: invalid or expired"))
        }
        None => Error::new(Kind::Denied, "no Kaggle credentials found"),
    }
    .hint(HINT))
}

/// An access token, and its place.
async fn access_token() -> Result<Option<(String, String)>> {
    if let Some(value) = Environment::variable("KAGGLE_API_TOKEN") {
        // A token, or the path of a file with one.
        let token = if Path::new(&value).exists() {
            text(Path::new(&value), "the file in KAGGLE_API_TOKEN").await?
        } else {
            Some(value.trim().to_owned())
        };
        return Ok(token.map(|token| (token, "KAGGLE_API_TOKEN".to_owned())));
    }
    for name in ["access_token", "access_token.txt"] {
        let shown = format!("~/.kaggle/{name}");
        if let Some(token) = text(&home().join(name), &shown).await? {
            return Ok(Some((token, shown)));
        }
    }
    Ok(None)
}

/// The user of a token; `None` if Kaggle does not accept it.
async fn introspect(exchange: &Exchange, token: &str) -> Result<Option<String>> {
    let url = format!("{API}/security.OAuthService/IntrospectToken");
    let (status, answer) = exchange.post(&url, &json!({ "token": token }), Some(token)).await?;
    match status {
        200 if answer["active"] == true => Ok(answer["username"].as_str().map(str::to_owned)),
        200 | 400 | 401 | 403 | 404 => Ok(None),
        status => Err(troubled(status)),
    }
}

/// User and key from variables, which take precedence, and `kaggle.json`.
async fn api_key() -> Result<Option<(String, String)>> {
    let file: Value = match text(&config_folder().join(API_KEY_FILE), API_KEY_FILE).await? {
        // The parser's message may hold a part of the key.
        Some(text) => serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|_| {
            Error::new(Kind::Denied, format!("{API_KEY_FILE} is not valid JSON"))
                .hint("download it again at https://www.kaggle.com/settings/api")
        })?,
        None => Value::Null,
    };
    let part = |variable: &str, member: &str| {
        let value = Environment::variable(variable).or_else(|| file[member].as_str().map(str::to_owned));
        value.filter(|value| !value.is_empty())
    };
    Ok(part("KAGGLE_USERNAME", "username").zip(part("KAGGLE_KEY", "key")))
}

/// The login of `kaggle auth login`, which alone writes the file. A renewed token is only kept in memory.
struct Login {
    refresh_token: String,
    token: Option<String>,
    until: Option<Timestamp>,
    user: Option<String>,
}

impl Login {
    async fn read() -> Result<Option<Self>> {
        let place = home().join("credentials.json");
        let Some(content) = text(&place, "~/.kaggle/credentials.json").await? else { return Ok(None) };
        let file: Value = serde_json::from_str(&content).unwrap_or_default();
        let member = |name: &str| file[name].as_str().filter(|value| !value.is_empty()).map(str::to_owned);
        Ok(member("refresh_token").map(|refresh_token| Self {
            refresh_token,
            token: member("access_token"),
            until: member("access_token_expiration").and_then(|text| text.parse().ok()),
            user: member("username"),
        }))
    }

    async fn credential(self, exchange: &Exchange, refused: Option<&HeaderValue>) -> Result<Credential> {
        if let (Some(token), Some(until)) = (&self.token, self.until)
            && until > Timestamp::now() + Span::new().minutes(5)
        {
            let credential = bearer(token, self.user.clone(), Some(until))?;
            if Some(&credential.authorization) != refused {
                return Ok(credential);
            }
        }
        let body = json!({
            "refreshToken": self.refresh_token,
            "apiVersion": "API_VERSION_V1",
            "expirationDuration": "43200s",
        });
        let url = format!("{API}/users.AccountService/GenerateAccessToken");
        let (status, answer) = exchange.post(&url, &body, None).await?;
        match (status, answer["token"].as_str()) {
            (200, Some(token)) => {
                let seconds = answer["expiresIn"].as_i64().unwrap_or(0).clamp(0, 1 << 30);
                bearer(token, self.user, Some(Timestamp::now() + Span::new().seconds(seconds)))
            }
            (400..=404, _) => {
                Err(Error::new(Kind::Denied, "Kaggle rejected the login in ~/.kaggle/credentials.json")
                    .hint("run `kaggle auth login` again"))
            }
            (status, _) => Err(troubled(status)),
        }
    }
}

fn bearer(token: &str, user: Option<String>, until: Option<Timestamp>) -> Result<Credential> {
    Ok(Credential { user, ..Credential::new(header(&format!("Bearer {token}"))?, until) })
}

fn troubled(status: u16) -> Error {
    Error::new(Kind::Unavailable, format!("Kaggle cannot check the credentials: HTTP status {status}"))
        .hint("try again later")
}

async fn text(path: &Path, name: &str) -> Result<Option<String>> {
    let content = read(path, name).await?;
    Ok(content.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()))
}

fn user_home() -> PathBuf {
    PathBuf::from(Environment::variable("HOME").unwrap_or_default())
}

fn home() -> PathBuf {
    user_home().join(".kaggle")
}

/// The folder of `kaggle.json`.
fn config_folder() -> PathBuf {
    if let Some(folder) = Environment::variable("KAGGLE_CONFIG_DIR") {
        return folder.into();
    }
    if home().exists() {
        return home();
    }
    let config = Environment::variable("XDG_CONFIG_HOME").map(PathBuf::from);
    config.unwrap_or_else(|| user_home().join(".config")).join("kaggle")
}
