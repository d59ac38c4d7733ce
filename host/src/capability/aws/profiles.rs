//! The user's AWS configuration: `~/.aws/config` and `~/.aws/credentials`.
//!
//! The SDK reads them more strictly than AWS's own tools: it does not understand the quotes that `aws configure`
//! writes, and ignores a profile that does not exist. So the files are read here, and rewritten for the SDK.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    disk,
    environment::Environment,
    error::{Error, Kind, Result},
};

/// Characters that the SDK does not accept in a name.
const IN_A_NAME: AsciiSet = NON_ALPHANUMERIC
    .remove(b'_')
    .remove(b'-')
    .remove(b'/')
    .remove(b'.')
    .remove(b'%')
    .remove(b'@')
    .remove(b':')
    .remove(b'+');
/// Properties whose value is such a name.
const NAMES: [&str; 2] = ["source_profile", "sso_session"];
/// Maximum size of a file in bytes.
const MAX_SIZE: u64 = 4 << 20;
const COMMAND: &str = "credential_process";
/// The property that `aws login` writes into a profile.
const LOGIN: &str = "login_session";
/// Prefix of a command that may ask the user.
const ON_THE_TERMINAL: &str = "exec </dev/tty 2>/dev/tty;";

/// The properties of one profile.
pub(super) type Profile = BTreeMap<String, String>;

/// The profiles in both files.
#[derive(Debug, Default)]
pub(super) struct Profiles {
    profiles: BTreeMap<String, Profile>,
    config: String,
    credentials: String,
}

impl Profiles {
    /// Reads both files. `terminal`: a user is present who can answer a credential process's questions.
    ///
    /// # Errors
    /// A line is neither a section nor a property, or a file cannot be read.
    pub(super) fn read(terminal: bool) -> Result<Self> {
        let mut all = Self::default();
        let (config, shown) = place("AWS_CONFIG_FILE", "config");
        all.config = all.add(&text(&config, &shown)?, &shown, true, terminal)?;
        let (credentials, shown) = place("AWS_SHARED_CREDENTIALS_FILE", "credentials");
        all.credentials = all.add(&text(&credentials, &shown)?, &shown, false, terminal)?;
        Ok(all)
    }

    /// The profile of this name.
    pub(super) fn get(&self, name: &str) -> Option<&Profile> {
        self.profiles.get(name)
    }

    /// The profile that the user chose.
    ///
    /// # Errors
    /// No profile has this name.
    pub(super) fn named(&self, name: &str) -> Result<&Profile> {
        self.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.profiles.keys().map(String::as_str).collect();
            let hint = match known.as_slice() {
                [] => "create a profile with `aws configure`; there is none yet".to_owned(),
                known => format!("choose one of the existing profiles: {}", known.join(", ")),
            };
            Error::new(Kind::Denied, format!("no AWS profile `{name}`")).hint(hint)
        })
    }

    /// The files rewritten for the SDK.
    pub(super) fn files(&self) -> EnvConfigFiles {
        EnvConfigFiles::builder()
            .with_contents(EnvConfigFileKind::Config, &self.config)
            .with_contents(EnvConfigFileKind::Credentials, &self.credentials)
            .build()
    }

    /// Adds one file's profiles, and returns the file rewritten for the SDK.
    fn add(&mut self, text: &str, shown: &str, is_config: bool, terminal: bool) -> Result<String> {
        let mut rewritten = String::new();
        let mut section: Option<Section> = None;
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            // The line itself is not shown: it may hold a key.
            let odd = || {
                Error::invalid(format!(
                    "cannot read {shown}: line {} is neither `[NAME]` nor `name = value`",
                    index + 1
                ))
                .hint("fix that line")
            };
            let bare = line.trim();
            if bare.is_empty() || bare.starts_with(['#', ';']) {
                continue;
            }
            if let Some(rest) = line.strip_prefix('[') {
                let name = rest.split_once(']').ok_or_else(odd)?.0;
                let opened = Section::parse(name, is_config);
                rewritten.push_str(&format!("[{}]\n", opened.for_the_sdk(is_config)));
                if let Section::Profile(name) = &opened {
                    self.profiles.entry(name.clone()).or_default();
                }
                section = Some(opened);
                continue;
            }
            let Some(section) = &section else { return Err(odd()) };
            // Continues the previous property, such as with sub-properties.
            if line.starts_with([' ', '\t']) {
                rewritten.push_str(&format!("{line}\n"));
                continue;
            }
            let (name, value) = line.split_once('=').ok_or_else(odd)?;
            let (name, value) = (name.trim().to_lowercase(), value.trim());
            if name.is_empty() {
                return Err(odd());
            }
            let value = match name.as_str() {
                name if NAMES.contains(&name) => encoded(value),
                COMMAND if terminal => format!("{ON_THE_TERMINAL} {value}"),
                // A user of `aws login` has the AWS CLI, which renews that session.
                LOGIN => {
                    rewritten.push_str(&format!("{COMMAND} = {}\n", exported(section)));
                    continue;
                }
                _ => value.to_owned(),
            };
            rewritten.push_str(&format!("{name} = {value}\n"));
            if let Section::Profile(profile) = section {
                let value = line.split_once('=').map(|(_, value)| value.trim()).unwrap_or_default();
                self.profiles.entry(profile.clone()).or_default().insert(name, value.to_owned());
            }
        }
        Ok(rewritten)
    }
}

/// A section of a file.
enum Section {
    Profile(String),
    /// Another kind, such as `sso-session`, and its name.
    Other(String, String),
}

impl Section {
    fn parse(text: &str, is_config: bool) -> Self {
        let text = text.trim();
        let (kind, name) = match text.split_once([' ', '\t']) {
            Some((kind, name)) if is_config => (kind, name),
            // AWS's own tools do not treat it as a profile in this file.
            None if is_config && text != "default" => ("", text),
            _ => ("profile", text),
        };
        let name = name.trim();
        let quoted = |mark: char| name.strip_prefix(mark)?.strip_suffix(mark);
        let name = quoted('"').or_else(|| quoted('\'')).unwrap_or(name).to_owned();
        match kind {
            "profile" => Self::Profile(name),
            kind => Self::Other(kind.to_owned(), name),
        }
    }

    fn for_the_sdk(&self, is_config: bool) -> String {
        match self {
            Self::Profile(name) if is_config && name != "default" => format!("profile {}", encoded(name)),
            Self::Profile(name) => encoded(name),
            Self::Other(kind, name) => format!("{kind} {}", encoded(name)).trim_start().to_owned(),
        }
    }
}

/// The command that prints a profile's credentials.
fn exported(section: &Section) -> String {
    let (Section::Profile(name) | Section::Other(_, name)) = section;
    let quoted = name.replace('\'', r"'\''");
    format!("aws configure export-credentials --format process --profile '{quoted}'")
}

/// A name encoded for the SDK.
pub(super) fn encoded(name: &str) -> String {
    utf8_percent_encode(name, &IN_A_NAME).to_string()
}

/// A file's path, and its name in messages, which never is a variable's value.
fn place(variable: &str, name: &str) -> (PathBuf, String) {
    match Environment::variable(variable) {
        Some(path) => (from_home(&path), format!("the file in {variable}")),
        None => (from_home(&format!("~/.aws/{name}")), format!("~/.aws/{name}")),
    }
}

fn from_home(path: &str) -> PathBuf {
    match path.strip_prefix("~/") {
        Some(rest) => PathBuf::from(Environment::variable("HOME").unwrap_or_default()).join(rest),
        None => PathBuf::from(path),
    }
}

/// Empty if there is no such file.
fn text(path: &Path, shown: &str) -> Result<String> {
    match disk::text(path, MAX_SIZE) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Error::invalid(format!("cannot read {shown}"))
            .hint("make sure that it is a text file that you can read")
            .source(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_the_aws_cli_writes_them() {
        let mut all = Profiles::default();
        let config = "[default]\nregion = eu-west-1\n# a comment\n[profile \"two words\"]\nrole_arn = a\n\
                      source_profile = two words\ns3 =\n  max = 1\n[profile 'x']\ncredential_process = ask me\n\
                      [sso-session corp]\nsso_region = eu-west-1\n\
                      [profile console]\nlogin_session = arn:aws:iam::1:user/alice\n";
        let rewritten = all.add(config, "~/.aws/config", true, true).unwrap();
        assert!(all.add("[two words]\naws_access_key_id=A\n", "~/.aws/credentials", false, true).is_ok());
        assert_eq!(all.get("two words").unwrap()["aws_access_key_id"], "A");
        assert_eq!(all.get("two words").unwrap()["source_profile"], "two words");
        assert_eq!(all.get("x").unwrap()["credential_process"], "ask me");
        for line in [
            "[default]",
            "[profile two%20words]",
            "source_profile = two%20words",
            "  max = 1",
            "credential_process = exec </dev/tty 2>/dev/tty; ask me",
            "[sso-session corp]",
            "credential_process = aws configure export-credentials --format process --profile 'console'",
        ] {
            assert!(rewritten.lines().any(|known| known == line), "{line} in {rewritten}");
        }
        let error = all.named("twowords").unwrap_err();
        assert_eq!(
            error.hint_text(),
            Some("choose one of the existing profiles: console, default, two words, x")
        );
    }

    #[test]
    fn an_invalid_line_is_reported_only_by_its_number() {
        for (text, line) in [("a = b\n", 1), ("[x]\n\nSECRET\n", 3), ("[x\n", 1), ("[x]\n= SECRET\n", 2)] {
            let error = Profiles::default().add(text, "~/.aws/config", true, false).unwrap_err();
            assert!(error.message().contains(&format!("~/.aws/config: line {line} ")), "{error:?}");
            assert!(!format!("{error:?}").contains("SECRET"));
        }
    }
}
