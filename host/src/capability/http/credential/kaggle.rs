//! Kaggle's credentials, where its own client finds them and in its order: an access token, an API key, and what
//! `kaggle auth login` left.

use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine};
use jiff::{Span, Timestamp};
use reqwest::header::HeaderValue;
use serde_json::{Value, json};

use super::{Credential, header, kept::Exchange, read};
use crate::{
    environment::Environment,
    error::{Error, Kind, Result},
};

/// In Kaggle's configuration folder.
const API_KEY_FILE: &str = "kaggle.json";
const API: &str = "https://api.kaggle.com/v1";
const HINT: &str = "make a token at https://www.kaggle.com/settings/api and put it into KAGGLE_API_TOKEN or \
                    ~/.kaggle/access_token, or run `kaggle auth login`";

/// The first credential that there is and that Kaggle knows.
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
        Some(place) => Error::new(
            Kind::Denied,
            format!("Kaggle does not know the token of {place}: it is wrong, or has expired"),
        ),
        None => Error::new(Kind::Denied, "there is no credential for Kaggle"),
    }
    .hint(HINT))
}

/// And where it was found.
async fn access_token() -> Result<Option<(String, String)>> {
    if let Some(value) = Environment::variable("KAGGLE_API_TOKEN") {
        // A token, or the path of a file with one.
        let token = match Path::new(&value).exists() {
            true => text(Path::new(&value), "the file that KAGGLE_API_TOKEN names").await?,
            false => Some(value.trim().to_owned()),
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

/// Whose it is; none where Kaggle does not know it.
async fn introspect(exchange: &Exchange, token: &str) -> Result<Option<String>> {
    let url = format!("{API}/security.OAuthService/IntrospectToken");
    let (status, answer) = exchange.post(&url, &json!({ "token": token }), Some(token)).await?;
    match status {
        200 if answer["active"] == true => Ok(answer["username"].as_str().map(str::to_owned)),
        200 | 400 | 401 | 403 | 404 => Ok(None),
        status => Err(troubled(status)),
    }
}

/// User and key, by `kaggle.json` and, stronger, by variables.
async fn api_key() -> Result<Option<(String, String)>> {
    let file: Value = match text(&config_folder().join(API_KEY_FILE), API_KEY_FILE).await? {
        // The parser's own message may hold a part of the key.
        Some(text) => serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|_| {
            Error::new(Kind::Denied, format!("{API_KEY_FILE} is not JSON"))
                .hint("download it again at https://www.kaggle.com/settings/api, and do not edit it")
        })?,
        None => Value::Null,
    };
    let part = |variable: &str, member: &str| {
        let value = Environment::variable(variable).or_else(|| file[member].as_str().map(str::to_owned));
        value.filter(|value| !value.is_empty())
    };
    Ok(part("KAGGLE_USERNAME", "username").zip(part("KAGGLE_KEY", "key")))
}

/// What `kaggle auth login` left. Only that writes it: a token that was made anew here is kept in memory.
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
            (400..=404, _) => Err(Error::new(
                Kind::Denied,
                "Kaggle does not know the login in ~/.kaggle/credentials.json any more",
            )
            .hint("run `kaggle auth login` again")),
            (status, _) => Err(troubled(status)),
        }
    }
}

fn bearer(token: &str, user: Option<String>, until: Option<Timestamp>) -> Result<Credential> {
    Ok(Credential { user, ..Credential::new(header(&format!("Bearer {token}"))?, until) })
}

fn troubled(status: u16) -> Error {
    Error::new(
        Kind::Unavailable,
        format!("Kaggle cannot tell whether the credential is good: it answers {status}"),
    )
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

/// Where `kaggle.json` is.
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
