//! Plugin identities. A name does not identify a plugin: everybody can call a component `acme`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::shipped::{RESERVED, shipped};

/// The source of the shipped drivers.
const THE_PROGRAM: &str = "alekseylearn";

/// The identity of a plugin: its name, its source and its signer. Grants and jobs belong to an identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The installed name, as in `--train-driver NAME`.
    pub name: String,
    /// The component's own name; `None` if it has none.
    pub own_name: Option<String>,
    /// Where it comes from, without the version.
    pub source: String,
    /// The ID of the key that signed it; `None` if it is unsigned.
    pub signer: Option<String>,
}

/// A difference between two plugins of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It comes from somewhere else.
    Source,
    /// Its own name is another one.
    OwnName,
    /// The signature is missing, or is from another key.
    Signer,
}

impl Identity {
    /// The identity of a shipped driver.
    pub(crate) fn of_shipped(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            own_name: Some(name.to_owned()),
            source: THE_PROGRAM.to_owned(),
            signer: None,
        }
    }

    /// The differences that make `other` a different plugin. Adding a signature is not one.
    pub fn changes_to(&self, other: &Self) -> Vec<Change> {
        let changes = [
            (Change::Source, self.source != other.source),
            (Change::OwnName, self.own_name != other.own_name),
            (Change::Signer, self.signer.is_some() && self.signer != other.signer),
        ];
        changes.into_iter().filter_map(|(change, is)| is.then_some(change)).collect()
    }

    /// Whether `other` is the same plugin, and may use this one's grants and jobs.
    pub fn admits(&self, other: &Self) -> bool {
        self.name == other.name && self.changes_to(other).is_empty()
    }
}

/// For example "acme, signed by key 0123456789ABCDEF, from https://example.org/acme.wasm".
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.source == THE_PROGRAM {
            return write!(f, "the shipped {}", self.name);
        }
        f.write_str(&self.name)?;
        match &self.signer {
            Some(key) => write!(f, ", signed by key {key}")?,
            None => f.write_str(", unsigned")?,
        }
        write!(f, ", from {}", self.source)
    }
}

/// Whether only the project's own drivers may use a name.
pub(crate) fn is_reserved(name: &str) -> bool {
    shipped(name).is_some() || RESERVED.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_source_or_signer_is_another_plugin() {
        let acme = Identity {
            name: "acme".into(),
            own_name: Some("acme".into()),
            source: "https://example.org/acme.wasm".into(),
            signer: Some("AA".into()),
        };
        assert!(acme.admits(&acme));
        for (other, change) in [
            (Identity { source: "/tmp/acme.wasm".into(), ..acme.clone() }, Change::Source),
            (Identity { own_name: Some("beta".into()), ..acme.clone() }, Change::OwnName),
            (Identity { own_name: None, ..acme.clone() }, Change::OwnName),
            (Identity { signer: Some("BB".into()), ..acme.clone() }, Change::Signer),
            (Identity { signer: None, ..acme.clone() }, Change::Signer),
        ] {
            assert_eq!(acme.changes_to(&other), [change]);
            assert!(!acme.admits(&other));
        }
        let unsigned = Identity { signer: None, ..acme.clone() };
        assert!(unsigned.admits(&acme), "adding a signature keeps the identity");
        assert!(!acme.admits(&Identity { name: "beta".into(), ..acme.clone() }));
        assert!(!Identity::of_shipped("acme").admits(&acme));
    }

    #[test]
    fn the_names_of_the_projects_own_drivers_are_reserved() {
        for name in ["local", "local-gpu", "daemonless", "sagemaker", "kaggle", "ml-engine", "vertex-ai"] {
            assert!(is_reserved(name), "{name}");
        }
        assert!(!is_reserved("acme") && !is_reserved("local-rust"));
    }
}
