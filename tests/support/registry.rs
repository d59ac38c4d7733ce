//! The rig's image registry, and pushes to it in the format of `wkg oci push`.

use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::Rig;

/// The media type of the config in `wkg`'s format.
pub const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// The media type of its only layer.
pub const WASM_LAYER: &str = "application/wasm";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A new repository in the rig's registry, with credentials to push.
pub struct Repository {
    address: String,
    name: String,
    /// `user:password` in base64, as Docker stores it.
    login: String,
}

impl Repository {
    /// Creates a repository.
    pub fn of(rig: &Rig) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("drivers-{}/my-driver-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        ecr(rig, "CreateRepository", &json!({ "repositoryName": name }));
        let token = ecr(rig, "GetAuthorizationToken", &json!({}));
        let login = token["authorizationData"][0]["authorizationToken"].as_str().expect("ECR gives a token");
        Self { address: rig.name("registry").to_owned(), login: login.to_owned(), name }
    }

    /// Docker's `config.json` after `docker login`.
    pub fn docker_config(&self) -> String {
        json!({ "auths": { &self.address: { "auth": self.login } } }).to_string()
    }

    /// The credentials, in base64. They must not be printed.
    pub fn login(&self) -> &str {
        &self.login
    }

    /// The password in the credentials.
    pub fn password(&self) -> String {
        let text = base64::engine::general_purpose::STANDARD.decode(&self.login).expect("it is base64");
        let text = String::from_utf8(text).expect("a login is text");
        text.split_once(':').expect("it has two parts").1.to_owned()
    }

    /// The `oci://…` reference, with `:TAG` or `@DIGEST` at the end.
    pub fn reference(&self, tag_or_digest: &str) -> String {
        format!("oci://{}/{}{tag_or_digest}", self.address, self.name)
    }

    /// Pushes a component, and returns the digest of its manifest.
    pub fn push(&self, tag: &str, component: &[u8], annotations: &Value) -> String {
        let layer = self.push_blob(WASM_LAYER, component);
        let config = json!({ "architecture": "wasm", "os": "wasip2", "layerDigests": [layer["digest"]] });
        let config = self.push_blob(WASM_CONFIG, config.to_string().as_bytes());
        self.push_manifest(tag, &manifest(&config, &[layer], annotations))
    }

    /// Pushes a blob, and returns its descriptor.
    pub fn push_blob(&self, media_type: &str, content: &[u8]) -> Value {
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(content)));
        let opened =
            ureq::post(self.url("blobs/uploads/")).header("Authorization", self.basic()).send_empty();
        let opened = opened.expect("the registry opens an upload");
        let place = opened.headers()["location"].to_str().expect("it tells where").to_owned();
        let place = match place.strip_prefix('/') {
            Some(path) => format!("http://{}/{path}", self.address),
            None => place,
        };
        ureq::put(format!("{place}&digest={digest}"))
            .header("Authorization", self.basic())
            .send(content)
            .expect("the registry takes it");
        json!({ "mediaType": media_type, "digest": digest, "size": content.len() })
    }

    /// Pushes any manifest, and returns its digest.
    pub fn push_manifest(&self, tag: &str, manifest: &Value) -> String {
        let text = manifest.to_string();
        ureq::put(self.url(&format!("manifests/{tag}")))
            .header("Authorization", self.basic())
            .header("Content-Type", manifest["mediaType"].as_str().expect("a manifest has a type"))
            .send(&text)
            .expect("the registry takes it");
        format!("sha256:{}", hex::encode(Sha256::digest(text)))
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/v2/{}/{path}", self.address, self.name)
    }

    fn basic(&self) -> String {
        format!("Basic {}", self.login)
    }
}

/// The manifest of an image or of a component.
pub fn manifest(config: &Value, layers: &[Value], annotations: &Value) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config,
        "layers": layers,
        "annotations": annotations,
    })
}

fn ecr(rig: &Rig, operation: &str, request: &Value) -> Value {
    let text = ureq::post(rig.name("endpoint"))
        .header("X-Amz-Target", format!("AmazonEC2ContainerRegistry_V20150921.{operation}"))
        .header("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/ecr/aws4_request")
        .content_type("application/x-amz-json-1.1")
        .send(request.to_string())
        .expect("ECR answers")
        .body_mut()
        .read_to_string();
    serde_json::from_str(&text.expect("ECR answers")).expect("its answer is JSON")
}
