//! Exchanges Google's credential files for tokens: a user's login, a service account's key, a federated identity such
//! as that of a CI service, and an impersonated service account.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

use super::{HINT, SCOPE, troubled};
use crate::{
    capability::http::{
        credential::{cache::Exchange, from_home, read},
        is_safe,
    },
    error::{Error, Kind, Result},
};

pub(super) const TOKEN_ADDRESS: &str = "https://oauth2.googleapis.com/token";
const FEDERATION_ADDRESS: &str = "https://sts.googleapis.com/v1/token";
/// One hour, the maximum.
pub(super) const ASSERTION_SECONDS: i64 = 3600;
/// Maximum depth of impersonation: a source of credentials may not be impersonated itself.
const DEEPEST: usize = 2;

/// A token.
pub(super) struct Token {
    pub(super) token: String,
    pub(super) until: Timestamp,
    /// The user, if known.
    pub(super) user: Option<String>,
}

/// The error for unusable credentials in a place.
pub(super) fn wrong(place: &str, why: &str) -> Error {
    Error::new(Kind::Denied, format!("the credentials in {place} {why}")).hint(HINT)
}

/// Exchanges a credential file for a token.
///
/// # Errors
/// Its type is not supported, or Google rejects it.
pub(super) async fn token(exchange: &Exchange, place: &str, file: &Value) -> Result<Token> {
    of_kind(&Asked { exchange, place }, file, 0).await
}

struct Asked<'a> {
    exchange: &'a Exchange,
    place: &'a str,
}

async fn of_kind(asked: &Asked<'_>, file: &Value, depth: usize) -> Result<Token> {
    let needed = |name: &str| asked.needed(file, name);
    match member(file, "type").unwrap_or_default() {
        "authorized_user" => {
            let form = vec![
                ("grant_type", "refresh_token".to_owned()),
                ("client_id", needed("client_id")?.to_owned()),
                ("client_secret", needed("client_secret")?.to_owned()),
                ("refresh_token", needed("refresh_token")?.to_owned()),
            ];
            asked.by_form(file, "token_uri", TOKEN_ADDRESS, &form, member(file, "account")).await
        }
        "service_account" => {
            let (email, key) = (needed("client_email")?, needed("private_key")?);
            let assertion = assertion(email, member(file, "private_key_id"), key, Timestamp::now())
                .ok_or_else(|| asked.wrong("have a `private_key` that is not an RSA key in PKCS #8"))?;
            let form = vec![
                ("assertion", assertion),
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned()),
            ];
            asked.by_form(file, "token_uri", TOKEN_ADDRESS, &form, Some(email)).await
        }
        "external_account" => {
            let form = vec![
                ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange".to_owned()),
                ("audience", needed("audience")?.to_owned()),
                ("scope", SCOPE.to_owned()),
                ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token".to_owned()),
                ("subject_token_type", needed("subject_token_type")?.to_owned()),
                ("subject_token", asked.subject(file).await?),
            ];
            let own = asked.by_form(file, "token_url", FEDERATION_ADDRESS, &form, None).await?;
            match member(file, "service_account_impersonation_url") {
                Some(address) => asked.stand_in(address, &own, &json!([])).await,
                None => Ok(own),
            }
        }
        "impersonated_service_account" if depth < DEEPEST => {
            let source = Box::pin(of_kind(asked, &file["source_credentials"], depth + 1)).await?;
            let delegates = match &file["delegates"] {
                Value::Array(_) => &file["delegates"],
                _ => &json!([]),
            };
            asked.stand_in(needed("service_account_impersonation_url")?, &source, delegates).await
        }
        other => Err(asked.wrong(&format!("have the type `{other}`, which is not supported"))),
    }
}

fn member<'a>(file: &'a Value, name: &str) -> Option<&'a str> {
    file[name].as_str().filter(|value| !value.is_empty())
}

impl Asked<'_> {
    fn wrong(&self, why: &str) -> Error {
        wrong(self.place, why)
    }

    fn needed<'f>(&self, file: &'f Value, name: &str) -> Result<&'f str> {
        member(file, name).ok_or_else(|| self.wrong(&format!("have no `{name}`")))
    }

    /// Checks an address that gets a secret.
    fn safe(&self, name: &str, address: &str) -> Result<()> {
        if address.parse::<Url>().is_ok_and(|address| is_safe(&address)) {
            Ok(())
        } else {
            Err(self.wrong(&format!("have a `{name}` that is not an https:// address")))
        }
    }

    async fn by_form(
        &self,
        file: &Value,
        name: &str,
        usual: &str,
        form: &[(&str, String)],
        user: Option<&str>,
    ) -> Result<Token> {
        let address = member(file, name).unwrap_or(usual);
        self.safe(name, address)?;
        let (status, answer) = self.exchange.post_form(address, form).await?;
        self.refuse(status, &[&answer["error"], &answer["error_description"]])?;
        let (token, until) = super::token(&answer)?;
        Ok(Token { token, until, user: user.map(str::to_owned) })
    }

    fn refuse(&self, status: u16, said: &[&Value]) -> Result<()> {
        match status {
            200 => Ok(()),
            400..=404 => {
                let said: Vec<&str> = said.iter().filter_map(|text| text.as_str()).collect();
                let said: String = said.join(": ").chars().filter(|c| !c.is_control()).take(200).collect();
                let place = self.place;
                let message = format!("Google rejected the credentials in {place} ({said})");
                Err(Error::new(Kind::Denied, message).hint(HINT))
            }
            status => Err(troubled(status)),
        }
    }

    /// The token of a service account, by impersonation.
    async fn stand_in(&self, address: &str, own: &Token, delegates: &Value) -> Result<Token> {
        self.safe("service_account_impersonation_url", address)?;
        let lifetime = format!("{ASSERTION_SECONDS}s");
        let body = json!({ "scope": [SCOPE], "lifetime": lifetime, "delegates": delegates });
        let (status, answer) = self.exchange.post(address, &body, Some(&own.token)).await?;
        self.refuse(status, &[&answer["error"]["status"], &answer["error"]["message"]])?;
        let none = || Error::new(Kind::Unavailable, "Google returned no token");
        let token = member(&answer, "accessToken").ok_or_else(none)?.to_owned();
        let until = member(&answer, "expireTime").and_then(|text| text.parse().ok()).ok_or_else(none)?;
        let email = address.rsplit_once("/serviceAccounts/").and_then(|(_, rest)| rest.split(':').next());
        Ok(Token { token, until, user: email.map(str::to_owned) })
    }

    /// The token of the external identity provider.
    async fn subject(&self, file: &Value) -> Result<String> {
        let source = &file["credential_source"];
        let text = if let Some(path) = member(source, "file") {
            let name = format!("the token file of {}", self.place);
            read(&from_home(path), &name)
                .await?
                .ok_or_else(|| self.wrong("name a token file that does not exist"))?
        } else if let Some(address) = member(source, "url") {
            self.safe("credential_source.url", address)?;
            let headers = source["headers"].as_object().into_iter().flatten();
            let headers: Vec<(&str, &str)> =
                headers.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
            let (status, text) = self.exchange.get(address, &headers).await?;
            match status {
                200 => text,
                status => {
                    let message =
                        format!("cannot get a token from the identity provider: HTTP status {status}");
                    return Err(Error::new(Kind::Denied, message).hint(
                        "allow the job to request one (in GitHub Actions: `permissions: id-token: write`)",
                    ));
                }
            }
        } else if !source.is_object() {
            return Err(self.wrong("have no `credential_source`"));
        } else {
            return Err(self.wrong("get the identity from AWS or a program, which is not supported"));
        };
        let field = member(&source["format"], "subject_token_field_name")
            .filter(|_| member(&source["format"], "type") == Some("json"));
        let token = match field {
            Some(field) => {
                let answer: Value = serde_json::from_str(&text).unwrap_or_default();
                member(&answer, field).map(str::to_owned)
            }
            None => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        };
        token.ok_or_else(|| self.wrong("give no token of the identity provider"))
    }
}

/// A JWT (RFC 7523) signed with RS256, by which a service account authenticates. `None` if the key is not valid.
pub(super) fn assertion(email: &str, key_id: Option<&str>, key: &str, now: Timestamp) -> Option<String> {
    let pem: String = key.lines().map(str::trim).filter(|line| !line.starts_with("-----")).collect();
    let key = RsaKeyPair::from_pkcs8(&BASE64_STANDARD.decode(pem).ok()?).ok()?;
    let mut head = json!({ "typ": "JWT", "alg": "RS256" });
    if let Some(id) = key_id {
        head["kid"] = id.into();
    }
    let claims = json!({
        "iat": now.as_second(),
        "exp": now.as_second() + ASSERTION_SECONDS,
        "iss": email,
        "aud": TOKEN_ADDRESS,
        "scope": SCOPE,
    });
    let encode = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(part);
    let signed = format!("{}.{}", encode(head.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).ok()?;
    Some(format!("{signed}.{}", encode(&signature)))
}
