//! Signatures of components: minisign's signatures, and the keys that the user trusts.

use std::{fmt, path::PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine};
use minisign_verify::{Error as Problem, PublicKey, Signature};

use super::{manifest::is_name, source::Source};
use crate::{
    config::Defaults,
    environment::Environment,
    error::{Error, Kind, Result},
};

/// Who signed a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signed {
    /// Signed by a trusted key, with the user's name for it.
    By(String),
    /// Signed by a key that the user does not trust, so not verified.
    ByUnknown,
    /// Unsigned.
    Not,
    /// Unsigned, but from a local file.
    Local,
}

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::By(name) => write!(f, "signed by {name}"),
            Self::ByUnknown => f.write_str("signed by an unknown key"),
            Self::Not => f.write_str("unsigned"),
            Self::Local => f.write_str("local"),
        }
    }
}

/// The keys that the user trusts, and whether signatures are required.
#[derive(Debug)]
pub(crate) struct Trust {
    pub(crate) keys: Vec<(String, PublicKey)>,
    /// The file that requires signatures; `None` if they are not required.
    pub(crate) required_by: Option<PathBuf>,
    /// The file that names the keys.
    pub(crate) file: PathBuf,
}

/// A component and the signature that came with it.
#[derive(Clone, Copy)]
pub(crate) struct Claim<'a> {
    pub(crate) name: &'a str,
    /// The component's own name.
    pub(crate) own_name: Option<&'a str>,
    pub(crate) version: Option<&'a str>,
    pub(crate) wasm: &'a [u8],
    /// The text of a `.minisig` file.
    pub(crate) signature: Option<&'a str>,
    pub(crate) source: &'a Source,
}

impl Trust {
    /// Reads the settings. A project's file can only make the user's stricter.
    pub(crate) fn read(environment: &Environment) -> Result<Self> {
        let defaults = Defaults::read(environment)?;
        let file = Defaults::users_file(environment);
        let key = |(name, text): (&String, &String)| match PublicKey::from_base64(text.trim()) {
            Ok(key) => Ok((name.clone(), key)),
            Err(error) => {
                Err(Error::invalid(format!("the trusted key {name} in {} is not valid", file.display()))
                    .hint("use the line that begins with RW in the .pub file from `minisign -G`")
                    .source(error))
            }
        };
        let keys = defaults.trusted_keys().map(key).collect::<Result<_>>()?;
        Ok(Self { keys, required_by: defaults.signatures_required_by().map(Into::into), file })
    }

    /// Whether only components that a trusted key signed may be installed and run.
    pub(crate) fn is_required(&self) -> bool {
        self.required_by.is_some()
    }

    /// Verifies the signature.
    ///
    /// # Errors
    /// If the signature is malformed or does not verify.
    pub(crate) fn judge(&self, claim: Claim<'_>) -> Result<Signed> {
        let name = claim.name;
        let Some(text) = claim.signature else {
            let is_local = matches!(claim.source, Source::File(_) | Source::Bundled(_));
            return Ok(if is_local { Signed::Local } else { Signed::Not });
        };
        let signature = Signature::decode(text).map_err(|error| {
            Error::new(Kind::Plugin, format!("the signature of {name} is malformed"))
                .hint("use the whole text of the .minisig file from `minisign -S`")
                .source(error)
        })?;
        let mut problem = None;
        for (signer, key) in &self.keys {
            match key.verify(claim.wasm, &signature, false) {
                Ok(()) => {
                    bound(&claim, signature.trusted_comment(), signer)?;
                    return Ok(Signed::By(signer.clone()));
                }
                Err(Problem::UnexpectedKeyId) => {}
                Err(other) => problem = Some((signer, other)),
            }
        }
        match problem {
            None => Ok(Signed::ByUnknown),
            Some((_, Problem::UnexpectedAlgorithm)) => {
                Err(Error::new(Kind::Plugin, format!("the signature of {name} has minisign's legacy format"))
                    .hint("ask its author to sign it again with minisign 0.10 or newer"))
            }
            Some((signer, error)) => {
                Err(Error::new(Kind::Plugin, format!("{name} is not what {signer} signed"))
                    .hint(
                        "do not use it: it changed after it was signed, or the signature is for another file",
                    )
                    .source(error))
            }
        }
    }

    /// Verifies the signature, and refuses what the settings do not allow.
    ///
    /// # Errors
    /// As [`Trust::judge`], or if a trusted signature is required but missing.
    pub(crate) fn admit(&self, claim: Claim<'_>) -> Result<Signed> {
        let signed = self.judge(claim)?;
        let Some(required_by) = &self.required_by else { return Ok(signed) };
        let state = match &signed {
            Signed::By(_) => return Ok(signed),
            Signed::ByUnknown => "is signed by an unknown key",
            Signed::Not | Signed::Local => "is unsigned",
        };
        let message = format!("{} {state}, but {} requires signatures", claim.name, required_by.display());
        Err(Error::new(Kind::Denied, message).hint(match signed {
            Signed::ByUnknown => format!(
                "if you trust its signer, add NAME = \"RW…\" to [plugins.trusted-keys] in {}",
                self.file.display()
            ),
            _ => format!(
                "ask its author to sign it (`minisign -Sm FILE.wasm`), or remove `require-signatures = true` from {}",
                required_by.display()
            ),
        }))
    }
}

/// A value in minisign's trusted comment, such as `name:acme version:0.2.0`; `None` if it is missing.
fn said<'a>(comment: &'a str, key: &str) -> Option<&'a str> {
    let mut words = comment.split_whitespace();
    words.find_map(|word| word.strip_prefix(key)?.strip_prefix(':')).filter(|said| !said.is_empty())
}

/// The plugin's name in a signature, not verified.
pub(crate) fn name_in(signature: &str) -> Option<&str> {
    let comment = signature.lines().find_map(|line| line.strip_prefix("trusted comment: "))?;
    said(comment, "name").filter(|name| is_name(name))
}

/// The ID of a signature's key, as minisign shows it, not verified.
pub(crate) fn key_of(signature: &str) -> Option<String> {
    let bytes = BASE64_STANDARD.decode(signature.lines().nth(1)?.trim()).ok()?;
    let id: &[u8; 8] = bytes.get(2..)?.first_chunk()?;
    Some(hex::encode_upper(u64::from_le_bytes(*id).to_be_bytes()))
}

/// Refuses a verified signature that is for another plugin or version.
///
/// The comment and the component's metadata are both signed. One of them must name the plugin, or the signature could
/// be used for any other plugin of that signer.
fn bound(claim: &Claim<'_>, comment: &str, signer: &str) -> Result<()> {
    let (name, version) = (said(comment, "name"), said(comment, "version"));
    let another = |what: &str, signed: &str, is: &str| {
        Err(Error::new(
            Kind::Plugin,
            format!(
                "{} is not what {signer} signed: the signature is for {what} {signed}, but this is {is}",
                claim.name
            ),
        )
        .hint("do not use it: the signature is for another plugin or version"))
    };
    match (name, claim.own_name) {
        (Some(signed), Some(own)) if signed != own => return another("the plugin", signed, own),
        (None, None) => {
            return Err(Error::new(
                Kind::Plugin,
                format!(
                    "the signature of {} names no plugin: {signer} may have signed it under another name",
                    claim.name
                ),
            )
            .hint(
                "ask its author to sign it with `minisign -S -t 'name:NAME version:VERSION' -m FILE.wasm`",
            ));
        }
        _ => {}
    }
    match (version, claim.version) {
        (Some(signed), Some(own)) if signed != own => another("version", signed, own),
        (Some(signed), None) => another("version", signed, "unversioned"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::package::fuzz::{KEY, SIGNATURE};

    fn trust(keys: &[&str], required: bool) -> Trust {
        Trust {
            keys: keys.iter().map(|key| ("Ada".to_owned(), PublicKey::from_base64(key).unwrap())).collect(),
            required_by: required.then(|| "/project.toml".into()),
            file: "/user.toml".into(),
        }
    }

    fn claim<'a>(wasm: &'a [u8], signature: Option<&'a str>, source: &'a Source) -> Claim<'a> {
        Claim { name: "driver", own_name: Some("driver"), version: None, wasm, signature, source }
    }

    #[test]
    fn a_signature_names_its_signer_or_is_an_error() {
        let far = Source::Address("https://example.org/a.wasm".into());
        let near = Source::File("/a.wasm".into());
        let knows = trust(&[KEY], false);
        assert_eq!(knows.judge(claim(b"test", Some(SIGNATURE), &far)).unwrap(), Signed::By("Ada".into()));
        assert_eq!(knows.judge(claim(b"test", None, &far)).unwrap(), Signed::Not);
        assert_eq!(knows.judge(claim(b"test", None, &near)).unwrap(), Signed::Local);
        assert!(knows.judge(claim(b"tess", Some(SIGNATURE), &near)).is_err());
        assert!(knows.judge(claim(b"test", Some("<html>"), &near)).is_err());
        let nobody = trust(&[], false);
        assert_eq!(nobody.judge(claim(b"test", Some(SIGNATURE), &far)).unwrap(), Signed::ByUnknown);
    }

    #[test]
    fn a_signature_is_for_one_plugin_and_version() {
        let near = Source::File("/a.wasm".into());
        let judged = |comment: &str, own_name: Option<&'static str>, version: Option<&'static str>| {
            let claim = Claim { own_name, version, ..claim(b"test", None, &near) };
            bound(&claim, comment, "Ada").map_err(|error| error.message().to_owned())
        };
        let both = "timestamp:1\tname:acme version:0.2.0";
        assert_eq!(judged(both, Some("acme"), Some("0.2.0")), Ok(()));
        assert_eq!(judged(both, None, Some("0.2.0")), Ok(()));
        assert_eq!(
            judged("timestamp:1\tfile:a.wasm\thashed", Some("acme"), None),
            Ok(()),
            "its own name is signed too"
        );
        for (comment, own_name, version, says) in [
            (both, Some("beta"), Some("0.2.0"), "is for the plugin acme, but this is beta"),
            (both, Some("acme"), Some("0.3.0"), "is for version 0.2.0, but this is 0.3.0"),
            (both, Some("acme"), None, "is for version 0.2.0, but this is unversioned"),
            ("timestamp:1\tfile:a.wasm", None, Some("0.2.0"), "names no plugin"),
            ("name:", None, None, "names no plugin"),
        ] {
            let problem = judged(comment, own_name, version).unwrap_err();
            assert!(problem.contains(says), "{problem}");
        }
        // The ID that `minisign -G` writes into the key file.
        let key =
            hex::encode_upper(u64::from_le_bytes(*base64_of(KEY)[2..].first_chunk().unwrap()).to_be_bytes());
        assert_eq!(key_of(SIGNATURE), Some(key));
        for none in ["", "<html>", "untrusted comment: x\nRU\n"] {
            assert_eq!(key_of(none), None);
        }
    }

    fn base64_of(text: &str) -> Vec<u8> {
        BASE64_STANDARD.decode(text).unwrap()
    }

    #[test]
    fn a_missing_required_signature_names_the_setting() {
        let near = Source::File("/a.wasm".into());
        let refused = |keys: &[&str], signature| {
            let error = trust(keys, true).admit(claim(b"test", signature, &near)).unwrap_err();
            assert_eq!(error.kind(), Kind::Denied);
            error.hint_text().unwrap().to_owned()
        };
        assert!(refused(&[], Some(SIGNATURE)).contains("[plugins.trusted-keys] in /user.toml"));
        assert!(refused(&[KEY], None).contains("`require-signatures = true` from /project.toml"));
        assert!(trust(&[KEY], true).admit(claim(b"test", Some(SIGNATURE), &near)).is_ok());
    }
}
