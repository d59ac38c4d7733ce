//! Who signed a component: minisign's signatures, and the keys that the user trusts.

use std::{fmt, path::PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine};
use minisign_verify::{Error as Problem, PublicKey, Signature};

use super::{manifest::is_name, source::Source};
use crate::{
    config::Defaults,
    environment::Environment,
    error::{Error, Kind, Result},
};

/// What vouches for a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signed {
    /// A key that the user trusts, by the user's name for it.
    By(String),
    /// A key that the user does not know, so it says nothing.
    ByUnknown,
    /// Nothing.
    Not,
    /// Nothing, but it is a file of the user's own.
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

/// Whom the user trusts, and whether that is required.
#[derive(Debug)]
pub(super) struct Trust {
    pub(super) keys: Vec<(String, PublicKey)>,
    /// The file that requires signatures.
    pub(super) required_by: Option<PathBuf>,
    /// The file that names the keys.
    pub(super) file: PathBuf,
}

/// A component, and what came with it.
#[derive(Clone, Copy)]
pub(super) struct Claim<'a> {
    pub(super) name: &'a str,
    /// What it calls itself.
    pub(super) own_name: Option<&'a str>,
    pub(super) version: Option<&'a str>,
    pub(super) wasm: &'a [u8],
    /// The text of a `.minisig` file.
    pub(super) signature: Option<&'a str>,
    pub(super) source: &'a Source,
}

impl Trust {
    /// Reads the user's settings, which a project can only make stricter.
    pub(super) fn read(environment: &Environment) -> Result<Self> {
        let defaults = Defaults::read(environment)?;
        let file = Defaults::users_file(environment);
        let key = |(name, text): (&String, &String)| match PublicKey::from_base64(text.trim()) {
            Ok(key) => Ok((name.clone(), key)),
            Err(error) => {
                Err(Error::invalid(format!("the trusted key {name} in {} is no key", file.display()))
                    .hint("it is the line that begins with RW in the .pub file that `minisign -G` makes")
                    .source(error))
            }
        };
        let keys = defaults.trusted_keys().map(key).collect::<Result<_>>()?;
        Ok(Self { keys, required_by: defaults.signatures_required_by().map(Into::into), file })
    }

    /// Only components that a trusted key signed may be installed and run.
    pub(super) fn is_required(&self) -> bool {
        self.required_by.is_some()
    }

    /// Who signed it.
    ///
    /// # Errors
    /// It comes with a signature that is none, or that does not verify.
    pub(super) fn judge(&self, claim: Claim<'_>) -> Result<Signed> {
        let name = claim.name;
        let Some(text) = claim.signature else {
            return Ok(if matches!(claim.source, Source::File(_)) { Signed::Local } else { Signed::Not });
        };
        let signature = Signature::decode(text).map_err(|error| {
            Error::new(Kind::Plugin, format!("{name} comes with a signature that is none"))
                .hint("a signature is the whole text of the .minisig file that `minisign -S` makes")
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
                Err(Error::new(Kind::Plugin, format!("{name} was signed in minisign's old way"))
                    .hint("its author can sign it again with `minisign -S` of version 0.10 or newer"))
            }
            Some((signer, error)) => {
                Err(Error::new(Kind::Plugin, format!("{name} is not what {signer} signed"))
                    .hint("it was changed since, or the signature is of another file: do not use it")
                    .source(error))
            }
        }
    }

    /// The same, and refuses what the settings do.
    ///
    /// # Errors
    /// As [`Trust::judge`]; or no trusted key signed it, where that is required.
    pub(super) fn admit(&self, claim: Claim<'_>) -> Result<Signed> {
        let signed = self.judge(claim)?;
        let Some(required_by) = &self.required_by else { return Ok(signed) };
        let state = match &signed {
            Signed::By(_) => return Ok(signed),
            Signed::ByUnknown => "is signed by an unknown key",
            Signed::Not | Signed::Local => "is unsigned",
        };
        let message = format!("{} {state}, and {} requires signatures", claim.name, required_by.display());
        Err(Error::new(Kind::Denied, message).hint(match signed {
            Signed::ByUnknown => format!(
                "where you know whose key it is, trust it: NAME = \"RW…\" under [plugins.trusted-keys] of {}",
                self.file.display()
            ),
            _ => format!(
                "ask its author to sign it (`minisign -Sm FILE.wasm`), or remove `require-signatures = true` from {}",
                required_by.display()
            ),
        }))
    }
}

/// What a signature says of the plugin that it is for, in minisign's trusted comment: `name:acme version:0.2.0`.
fn said<'a>(comment: &'a str, key: &str) -> Option<&'a str> {
    let mut words = comment.split_whitespace();
    words.find_map(|word| word.strip_prefix(key)?.strip_prefix(':')).filter(|said| !said.is_empty())
}

/// What a signature that came with a component calls it; not verified.
pub(super) fn name_in(signature: &str) -> Option<&str> {
    let comment = signature.lines().find_map(|line| line.strip_prefix("trusted comment: "))?;
    said(comment, "name").filter(|name| is_name(name))
}

/// The number of the key that a signature says to be made with, as minisign shows it; not verified.
pub(super) fn key_of(signature: &str) -> Option<String> {
    let bytes = BASE64_STANDARD.decode(signature.lines().nth(1)?.trim()).ok()?;
    let id: &[u8; 8] = bytes.get(2..)?.first_chunk()?;
    Some(hex::encode_upper(u64::from_le_bytes(*id).to_be_bytes()))
}

/// Refuses a verified signature that is of another plugin, or of another version of it.
///
/// The comment is signed, and so is what the component says of itself: one of them must name it, else the signature
/// would be as good for any other plugin of its signer's.
fn bound(claim: &Claim<'_>, comment: &str, signer: &str) -> Result<()> {
    let (name, version) = (said(comment, "name"), said(comment, "version"));
    let another = |what: &str, signed: &str, is: &str| {
        Err(Error::new(
            Kind::Plugin,
            format!(
                "{} is not what {signer} signed: the signature is of {what} {signed}, and this is {is}",
                claim.name
            ),
        )
        .hint("the signature is of another plugin or version: do not use it"))
    };
    match (name, claim.own_name) {
        (Some(signed), Some(own)) if signed != own => return another("the plugin", signed, own),
        (None, None) => {
            return Err(Error::new(
                Kind::Plugin,
                format!(
                    "the signature of {} names no plugin: {signer} may have signed it as another one",
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
        (Some(signed), None) => another("version", signed, "of none"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::fuzz::{KEY, SIGNATURE};

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
    fn a_signature_is_of_one_plugin_and_version() {
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
            (both, Some("beta"), Some("0.2.0"), "is of the plugin acme, and this is beta"),
            (both, Some("acme"), Some("0.3.0"), "is of version 0.2.0, and this is 0.3.0"),
            (both, Some("acme"), None, "is of version 0.2.0, and this is of none"),
            ("timestamp:1\tfile:a.wasm", None, Some("0.2.0"), "names no plugin"),
            ("name:", None, None, "names no plugin"),
        ] {
            let problem = judged(comment, own_name, version).unwrap_err();
            assert!(problem.contains(says), "{problem}");
        }
        // As `minisign -G` writes it into the file of the key.
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
    fn what_is_required_is_refused_with_the_setting() {
        let near = Source::File("/a.wasm".into());
        let refused = |keys: &[&str], signature| {
            let error = trust(keys, true).admit(claim(b"test", signature, &near)).unwrap_err();
            assert_eq!(error.kind(), Kind::Denied);
            error.hint_text().unwrap().to_owned()
        };
        assert!(refused(&[], Some(SIGNATURE)).contains("[plugins.trusted-keys] of /user.toml"));
        assert!(refused(&[KEY], None).contains("`require-signatures = true` from /project.toml"));
        assert!(trust(&[KEY], true).admit(claim(b"test", Some(SIGNATURE), &near)).is_ok());
    }
}
