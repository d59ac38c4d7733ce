//! The rig that `cargo xtask test` started: see `tests/rig/README.md`.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};

/// A running rig.
pub struct Rig {
    description: Value,
    /// Faults affect the whole rig, so only one test uses it at a time.
    _turn: MutexGuard<'static, ()>,
}

static TURN: Mutex<()> = Mutex::new(());

impl Rig {
    /// The rig in `ALEKSEYLEARN_RIG`, after a reset; `None` if it is not set.
    pub fn running() -> Option<Self> {
        let path = std::env::var_os("ALEKSEYLEARN_RIG")?;
        let text = std::fs::read_to_string(path).expect("ALEKSEYLEARN_RIG names a rig's description");
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let rig =
            Self { description: serde_json::from_str(&text).expect("the description is JSON"), _turn: turn };
        rig.post("/_rig/reset", &json!({}));
        Some(rig)
    }

    /// One of its names, such as `role` or `bucket`.
    pub fn name(&self, key: &str) -> &str {
        self.description[key].as_str().unwrap_or_else(|| panic!("the rig tells its {key}"))
    }

    /// The environment variables with which a program uses the rig as AWS.
    pub fn environment(&self) -> BTreeMap<String, String> {
        serde_json::from_value(self.description["env"].clone()).expect("the rig tells its environment")
    }

    /// Adds a fault: see the rig's README for its form.
    pub fn fault(&self, fault: &Value) {
        self.post("/_rig/faults", fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        ureq::delete(self.url("/_rig/faults")).call().expect("the rig answers");
    }

    /// All requests of an operation so far.
    pub fn calls(&self, operation: &str) -> Vec<Value> {
        let text =
            ureq::get(self.url("/_rig/calls")).call().expect("the rig answers").body_mut().read_to_string();
        let calls: Vec<Value> =
            serde_json::from_str(&text.expect("the rig answers")).expect("the calls are JSON");
        calls.into_iter().filter(|call| call["operation"] == operation).collect()
    }

    /// Creates an object. The rig needs no signature.
    pub fn put_object(&self, path: &str, content: &[u8]) {
        ureq::put(self.url(&format!("/_rig/objects/{path}")))
            .send(content)
            .expect("the rig's S3 takes the object");
    }

    /// Changes settings, such as the grace period of a stopped container.
    pub fn set(&self, settings: &Value) {
        self.post("/_rig/settings", settings);
    }

    fn post(&self, path: &str, body: &Value) {
        ureq::post(self.url(path)).send(body.to_string()).expect("the rig answers");
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.name("endpoint"))
    }
}
