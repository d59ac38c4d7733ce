use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::json;

use super::file::TOKEN_ADDRESS;
use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::KeySize,
    signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// A token service that gives each request the same response, and records the requests.
struct Stub {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    async fn of(answer: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, kept) = (answer.to_owned(), asked.clone());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                let mut part = [0; 4096];
                loop {
                    let text = String::from_utf8_lossy(&request).to_lowercase();
                    let length = text.split("content-length: ").nth(1);
                    let length = length.and_then(|rest| rest.lines().next()?.parse().ok()).unwrap_or(0);
                    if text.find("\r\n\r\n").is_some_and(|end| request.len() >= end + 4 + length) {
                        break;
                    }
                    let read = stream.read(&mut part).await.unwrap();
                    request.extend_from_slice(&part[..read]);
                }
                kept.lock().unwrap().push(String::from_utf8(request).unwrap());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { address, asked }
    }

    async fn giving(body: &Value) -> Self {
        let body = body.to_string();
        let length = body.len();
        Self::of(&format!(
            "HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
        .await
    }

    fn url(&self) -> String {
        format!("http://{}/token", self.address)
    }

    fn form(&self) -> Vec<(String, String)> {
        let asked = self.asked.lock().unwrap();
        let (_, body) = asked.last().unwrap().split_once("\r\n\r\n").unwrap();
        url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
    }
}

fn places(folder: &Path, file: &Value) -> Places {
    let path = folder.join("credential.json");
    std::fs::write(&path, file.to_string()).unwrap();
    Places { named: Some(path), never_metadata: true, ..Places::default() }
}

fn good() -> Value {
    json!({ "access_token": "ya29.SECRET", "expires_in": 3599, "token_type": "Bearer" })
}

fn user(stub: &Stub) -> Value {
    json!({
        "type": "authorized_user", "client_id": "client", "client_secret": "SECRET-c",
        "refresh_token": "1//SECRET-r", "quota_project_id": "billed-project", "token_uri": stub.url(),
    })
}

#[tokio::test]
async fn a_users_login_is_exchanged_for_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let stub = Stub::giving(&good()).await;
    let places = places(folder.path(), &user(&stub));
    let credential = places.find(&Exchange::new(None)).await.unwrap();
    assert_eq!(credential.authorization.to_str().unwrap(), "Bearer ya29.SECRET");
    assert!(credential.authorization.is_sensitive());
    assert_eq!(credential.billed.unwrap().to_str().unwrap(), "billed-project");
    assert_eq!(credential.project.as_deref(), Some("billed-project"));
    let left = credential.until.unwrap().as_second() - Timestamp::now().as_second();
    assert!((3590..=3599).contains(&left), "{left}");
    let form: Vec<(String, String)> = stub.form();
    let expected = [
        ("grant_type", "refresh_token"),
        ("client_id", "client"),
        ("client_secret", "SECRET-c"),
        ("refresh_token", "1//SECRET-r"),
    ];
    assert_eq!(form, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    // The environment takes precedence for the quota project.
    let places = Places { billed: Some("other".into()), project: Some("mine".into()), ..places };
    let credential = places.find(&Exchange::new(None)).await.unwrap();
    assert_eq!(credential.billed.unwrap().to_str().unwrap(), "other");
    assert_eq!(credential.project.as_deref(), Some("mine"));
}

fn key() -> (RsaKeyPair, String) {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).unwrap();
    let text = BASE64_STANDARD.encode(der.as_ref());
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    (key, pem)
}

#[tokio::test]
async fn a_service_account_signs_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let stub = Stub::giving(&good()).await;
    let (key, pem) = key();
    let file = json!({
        "type": "service_account", "project_id": "the-project", "private_key_id": "kid1", "private_key": pem,
        "client_email": "trainer@the-project.iam.gserviceaccount.com", "token_uri": stub.url(),
    });
    let credential = places(folder.path(), &file).find(&Exchange::new(None)).await.unwrap();
    assert_eq!(credential.user.as_deref(), Some("trainer@the-project.iam.gserviceaccount.com"));
    assert_eq!((credential.project.as_deref(), credential.billed), (Some("the-project"), None));
    let form = stub.form();
    assert_eq!(form[1].1, "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let (signed, signature) = form[0].1.rsplit_once('.').unwrap();
    let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key())
        .verify(signed.as_bytes(), &decode(signature))
        .expect("the signature is the key's");
    let (head, claims) = signed.split_once('.').unwrap();
    let head: Value = serde_json::from_slice(&decode(head)).unwrap();
    assert_eq!(head, json!({ "typ": "JWT", "alg": "RS256", "kid": "kid1" }));
    let claims: Value = serde_json::from_slice(&decode(claims)).unwrap();
    let seconds = |name: &str| claims[name].as_i64().unwrap();
    assert_eq!(seconds("exp") - seconds("iat"), 3600);
    assert_eq!(claims["iss"], file["client_email"]);
    assert_eq!((&claims["aud"], &claims["scope"]), (&json!(TOKEN_ADDRESS), &json!(SCOPE)));
}

#[tokio::test]
async fn a_metadata_server_gives_a_token() {
    let stub = Stub::giving(&good()).await;
    let places = Places { metadata: Some(stub.address.clone()), ..Places::default() };
    let credential = places.find(&Exchange::new(None)).await.unwrap();
    assert_eq!(credential.authorization.to_str().unwrap(), "Bearer ya29.SECRET");
    let asked = stub.asked.lock().unwrap()[0].to_lowercase();
    assert!(
        asked.starts_with("get /computemetadata/v1/instance/service-accounts/default/token?scopes=https%3a"),
        "{asked}"
    );
    assert!(asked.contains("metadata-flavor: google"), "{asked}");
    // Another server at that address is ignored.
    let other = Stub::of("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}").await;
    let places = Places { metadata: Some(other.address.clone()), ..Places::default() };
    assert!(places.find(&Exchange::new(None)).await.is_err());
}

#[tokio::test]
async fn each_error_has_a_hint_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let refused =
        json!({ "error": "invalid_grant", "error_description": "Token has been expired or revoked." });
    let text = refused.to_string();
    let stub = Stub::of(&format!(
        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    ))
    .await;
    let with = |name: &str, value: Value| {
        let mut file = user(&stub);
        file[name] = value;
        file
    };
    let (_, pem) = key();
    let account = |key: &str| json!({ "type": "service_account", "client_email": "a@b", "private_key": key, "token_uri": stub.url() });
    for (file, says) in [
        (user(&stub), "invalid_grant: Token has been expired or revoked."),
        (account(&pem), "invalid_grant"),
        (account("SECRET"), "not an RSA key"),
        (with("refresh_token", Value::Null), "have no `refresh_token`"),
        (with("token_uri", "http://example.com/token".into()), "not an https:// address"),
        (with("type", "external_account".into()), "have no `audience`"),
        (json!("SECRET"), "have the type ``"),
    ] {
        let error = places(folder.path(), &file).find(&Exchange::new(None)).await.map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), Kind::Denied);
        assert!(error.message().contains(says), "{error:?}");
        assert!(error.hint_text().is_some() && !format!("{error:?}").contains("SECRET"), "{error:?}");
    }
    let nowhere =
        Places { well_known: folder.path().join("none.json"), never_metadata: true, ..Places::default() };
    let none = nowhere.find(&Exchange::new(None)).await.map(|_| ()).unwrap_err();
    assert_eq!(none.message(), "no Google credentials found");
    let gone = Places { named: Some(folder.path().join("gone.json")), ..nowhere };
    let error = gone.find(&Exchange::new(None)).await.map(|_| ()).unwrap_err();
    assert!(error.message().contains("the file in GOOGLE_APPLICATION_CREDENTIALS"), "{error:?}");
}

#[tokio::test]
async fn a_key_instead_of_its_path_is_never_shown() {
    let long = format!("/{}", "SECRET".repeat(1000));
    for value in ["{\"private_key\": \"SECRET\"}", " {\n  \"private_key\": \"SECRET\"}", "SECRET", &long] {
        let places = Places { named: Some(value.into()), never_metadata: true, ..Places::default() };
        let error = places.find(&Exchange::new(None)).await.map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), Kind::Denied);
        assert!(error.hint_text().is_some() && !format!("{error:?}").contains("SECRET"), "{error:?}");
    }
}

#[tokio::test]
async fn a_federated_identity_is_exchanged_and_impersonates_an_account() {
    let folder = tempfile::tempdir().unwrap();
    let answer = json!({
        "access_token": "ya29.own", "expires_in": 3599, "accessToken": "ya29.SECRET",
        "expireTime": "2100-01-01T00:00:00Z", "value": "SECRET-subject",
    });
    let stub = Stub::giving(&answer).await;
    let subject = folder.path().join("subject");
    std::fs::write(&subject, "SECRET-subject\n").unwrap();
    let impersonation = format!("{}/serviceAccounts/a@p.iam:generateAccessToken", stub.url());
    let of_url = json!({
        "url": stub.url(), "headers": { "Authorization": "Bearer x" },
        "format": { "type": "json", "subject_token_field_name": "value" },
    });
    for source in [json!({ "file": subject }), of_url] {
        let file = json!({
            "type": "external_account", "audience": "//iam/pool", "subject_token_type": "jwt",
            "token_url": stub.url(), "credential_source": source,
            "service_account_impersonation_url": impersonation,
        });
        stub.asked.lock().unwrap().clear();
        let credential = places(folder.path(), &file).find(&Exchange::new(None)).await.unwrap();
        assert_eq!(credential.authorization.to_str().unwrap(), "Bearer ya29.SECRET");
        assert_eq!(credential.user.as_deref(), Some("a@p.iam"));
        let asked = stub.asked.lock().unwrap().join("\n");
        assert!(asked.contains("subject_token=SECRET-subject"), "{asked}");
        assert!(asked.to_lowercase().contains("authorization: bearer ya29.own"), "{asked}");
    }
    let file = json!({
        "type": "impersonated_service_account", "source_credentials": user(&stub),
        "service_account_impersonation_url": impersonation,
    });
    let credential = places(folder.path(), &file).find(&Exchange::new(None)).await.unwrap();
    assert_eq!(credential.authorization.to_str().unwrap(), "Bearer ya29.SECRET");
    // The depth of impersonation is limited.
    let mut deep = file.clone();
    for _ in 0..4 {
        deep = json!({
            "type": "impersonated_service_account", "source_credentials": deep,
            "service_account_impersonation_url": impersonation,
        });
    }
    let error = places(folder.path(), &deep).find(&Exchange::new(None)).await.map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
}

#[tokio::test]
async fn gclouds_login_is_found_if_no_file_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let stub = Stub::giving(&good()).await;
    let Places { named, .. } = places(folder.path(), &user(&stub));
    let places = Places { well_known: named.unwrap(), ..Places::default() };
    assert!(places.find(&Exchange::new(None)).await.is_ok());
}
