//! Reads the secrets that a run requests.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{SecretValues, dotenv};
use crate::{
    disk,
    environment::Environment,
    error::{Error, Result},
};

/// Maximum size of a file in bytes. Services accept less.
const MAX_SIZE: u64 = 128 << 10;

/// The secrets that a command line requests.
#[derive(Clone, Default)]
pub struct AskedSecrets {
    /// Values of `--secret`, as typed: `NAME` or `NAME=file:PATH`. An invalid one may be a secret itself.
    pub named: Vec<String>,
    /// Values of `--secrets-file`.
    pub files: Vec<PathBuf>,
}

impl std::fmt::Debug for AskedSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AskedSecrets").finish_non_exhaustive()
    }
}

/// The source of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Variable,
    File(PathBuf),
}

impl AskedSecrets {
    /// Reads all of them, and the variables that `others` names: those of a configuration file or of a job's record.
    ///
    /// # Errors
    /// A name is invalid, a variable is not set, or a file cannot be read.
    pub fn read(&self, others: &[String], current: &Path) -> Result<SecretValues> {
        let mut sources: BTreeMap<String, Source> = BTreeMap::new();
        for name in others {
            named(name)?;
            sources.insert(name.clone(), Source::Variable);
        }
        let mut values = BTreeMap::new();
        for file in &self.files {
            let path = current.join(file);
            let text = String::from_utf8(contents(&path)?).map_err(|_| {
                Error::invalid(format!("{} is not UTF-8", file.display())).hint("save it as UTF-8")
            })?;
            let lines = dotenv::parse(&text).map_err(|line| {
                // The line itself may be a secret.
                Error::invalid(format!("{}:{line} is not NAME=VALUE", file.display()))
                    .hint(format!("correct line {line}, or start it with #"))
            })?;
            for (name, value) in lines {
                sources.remove(&name);
                values.insert(name.clone(), checked(&name, value)?);
            }
        }
        for typed in &self.named {
            let (name, source) = source(typed, current)?;
            values.remove(&name);
            sources.insert(name, source);
        }
        for (name, source) in sources {
            let value = source.read(&name)?;
            values.insert(name, value);
        }
        Ok(values.into_iter().collect())
    }

    /// Returns the existing files with secrets, which must not be sent with a project.
    pub fn places(&self, current: &Path) -> impl Iterator<Item = PathBuf> {
        let of_names = self.named.iter().filter_map(|typed| match source(typed, current) {
            Ok((_, Source::File(path))) => Some(path),
            _ => None,
        });
        let files = self.files.iter().map(|file| current.join(file));
        files.chain(of_names).filter_map(|path| path.canonicalize().ok())
    }
}

/// Parses one `--secret`.
fn source(typed: &str, current: &Path) -> Result<(String, Source)> {
    let (name, place) = match typed.split_once('=') {
        Some((name, place)) => (name, Some(place)),
        None => (typed, None),
    };
    named(name)?;
    let source = match place {
        None => Source::Variable,
        Some(place) => {
            let path = place.strip_prefix("file:").filter(|path| !path.is_empty()).ok_or_else(|| {
                Error::invalid(format!("--secret {name} accepts no value: the shell would record it"))
                    .hint(format!("export {name} and use --secret {name}, or use --secret {name}=file:PATH"))
            })?;
            Source::File(current.join(path))
        }
    };
    Ok((name.to_owned(), source))
}

impl Source {
    fn read(&self, name: &str) -> Result<String> {
        match self {
            Self::Variable => checked(name, Environment::variable(name).unwrap_or_default()),
            Self::File(path) => {
                let mut text = String::from_utf8(contents(path)?).map_err(|_| {
                    Error::invalid(format!("the secret {name} is not text: {}", path.display()))
                        .hint("encode it, as base64 does, and let the script decode it")
                })?;
                // Editors end a file with a line end, which is not part of the value.
                if text.ends_with('\n') {
                    text.pop();
                    if text.ends_with('\r') {
                        text.pop();
                    }
                }
                if text.is_empty() {
                    return Err(Error::invalid(format!("the secret {name} is empty: {}", path.display()))
                        .hint("write its value to that file"));
                }
                checked(name, text)
            }
        }
    }
}

fn contents(path: &Path) -> Result<Vec<u8>> {
    disk::read(path, MAX_SIZE).map_err(|error| disk::cannot_read(path, error))
}

/// Returns the value if a variable can have it.
fn checked(name: &str, value: String) -> Result<String> {
    if value.is_empty() {
        return Err(Error::invalid(format!("the secret {name} has no value: the variable is not set"))
            .hint(format!("export {name}, or name a file: --secret {name}=file:PATH")));
    }
    if value.contains('\0') {
        return Err(Error::invalid(format!(
            "the secret {name} contains a NUL character, which a variable cannot have"
        ))
        .hint("encode it, as base64 does, and let the script decode it"));
    }
    Ok(value)
}

/// Checks a name. The error does not repeat it, because it may be a value that was typed by mistake.
fn named(name: &str) -> Result<()> {
    if is_name(name) {
        Ok(())
    } else {
        Err(Error::invalid("the name of a secret is not a valid variable name")
            .hint("use letters, digits and underscores, as in --secret WANDB_API_KEY"))
    }
}

/// Whether shells and services accept the name.
pub(super) fn is_name(text: &str) -> bool {
    const MAX_LENGTH: usize = 128;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (1..=MAX_LENGTH).contains(&text.len())
        && text.chars().all(plain)
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(named: &[&str], files: &[&str], others: &[&str], folder: &Path) -> Result<Vec<(String, String)>> {
        let asked = AskedSecrets {
            named: named.iter().map(|text| (*text).to_owned()).collect(),
            files: files.iter().map(PathBuf::from).collect(),
        };
        let others: Vec<String> = others.iter().map(|text| (*text).to_owned()).collect();
        let read = asked.read(&others, folder)?;
        Ok(read.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn values_come_from_files_and_variables() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("token"), "of a file\n").unwrap();
        fs::write(folder.path().join("all.env"), "A=1st\nPATH=2nd\n").unwrap();
        let path = Environment::variable("PATH").unwrap();
        let read =
            |named: &[&str], files: &[&str], others: &[&str]| read(named, files, others, folder.path());
        assert_eq!(read(&["A=file:token"], &[], &[]).unwrap(), [pair("A", "of a file")]);
        assert_eq!(read(&[], &["all.env"], &["PATH"]).unwrap(), [pair("A", "1st"), pair("PATH", "2nd")]);
        let typed = read(&["PATH", "A=file:token"], &["all.env"], &["PATH"]).unwrap();
        assert_eq!(typed, [pair("A", "of a file"), pair("PATH", &path)], "what is typed wins");
    }

    #[test]
    fn an_error_does_not_repeat_a_value() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("empty"), "\n").unwrap();
        fs::write(folder.path().join("bad.env"), "hunter2\n").unwrap();
        for (named, files, says) in [
            (vec!["ALEKSEYLEARN_NOT_SET"], vec![], "the secret ALEKSEYLEARN_NOT_SET has no value"),
            (vec!["A=hunter2"], vec![], "--secret A accepts no value"),
            (vec!["A=file:"], vec![], "--secret A accepts no value"),
            (vec!["hunter2-x"], vec![], "is not a valid variable name"),
            (vec!["A=file:empty"], vec![], "the secret A is empty"),
            (vec!["A=file:missing"], vec![], "missing"),
            (vec![], vec!["bad.env"], "bad.env:1 is not NAME=VALUE"),
        ] {
            let error = read(&named, &files, &[], folder.path()).unwrap_err();
            assert!(error.chain().contains(says), "{}", error.chain());
            assert!(error.hint_text().is_some(), "{says}");
            let told = format!("{} {:?}", error.chain(), error.hint_text());
            assert!(!told.contains("hunter2"), "{told}");
        }
        assert!(read(&[], &[], &["not a name"], folder.path()).is_err());
    }

    #[test]
    fn files_with_secrets_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in ["a", "b"] {
            fs::write(root.join(name), "x").unwrap();
        }
        let named = vec!["X=file:a".to_owned(), "Y".to_owned(), "Z=file:none".to_owned()];
        let asked = AskedSecrets { named, files: vec!["b".into()] };
        assert_eq!(asked.places(&root).collect::<Vec<_>>(), [root.join("b"), root.join("a")]);
    }
}
