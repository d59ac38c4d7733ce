//! The `never-grant` setting: `[plugins] never-grant = ["docker", "env:*"]`.

use std::path::{Component, Path, PathBuf};

use super::{
    grant::{Capability, Grant},
    origin::Origin,
};
use crate::{
    config::Defaults,
    environment::Environment,
    error::{Error, Kind, Result},
};

/// The prefixes of rules that are not a capability or `*`.
const FORMS: [&str; 7] = ["env:", "file:", "https://", "http://", "private:", "google", "kaggle"];

/// The grants that no installed plugin gets, whatever the user types or answers. Shipped drivers are not affected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NeverGranted {
    /// Capabilities, credential sources and origins; `*` matches any text.
    rules: Vec<Rule>,
    /// The user's home folder, for paths that begin with `~`.
    home: PathBuf,
    /// The file that sets them.
    file: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    written: String,
    /// The same in the one spelling of grants.
    plain: String,
}

impl NeverGranted {
    pub(crate) fn read(environment: &Environment) -> Result<Self> {
        let defaults = Defaults::read(environment)?;
        let rules = defaults.never_granted().map(str::to_owned).collect();
        Self::of(rules, Defaults::users_file(environment), environment.packages.home.clone())
    }

    fn of(rules: Vec<String>, file: PathBuf, home: PathBuf) -> Result<Self> {
        let is_rule = |rule: &String| {
            rule == "*"
                || Capability::of_interface(rule).is_some()
                || FORMS.iter().any(|form| rule.starts_with(form))
        };
        if let Some(wrong) = rules.iter().find(|rule| !is_rule(rule)) {
            return Err(Error::invalid(format!(
                "invalid rule `{wrong}` in never-grant of {}",
                file.display()
            ))
            .hint(
                "use a capability such as docker, a credential such as env:*, or an origin such as https://*",
            ));
        }
        let rule = |written: String| Rule { plain: plain_rule(&written, &home), written };
        Ok(Self { rules: rules.into_iter().map(rule).collect(), file, home })
    }

    /// The rule that forbids a grant; `None` if no rule does.
    pub fn rule(&self, grant: &Grant) -> Option<&str> {
        let mut names = vec![grant.to_string()];
        if let Grant::Requests(requests) = grant {
            names.push(requests.origins.to_string());
            names.extend(
                requests.credential.as_ref().map(|source| plain_path(&source.to_string(), &self.home)),
            );
            if requests.private {
                names.push(format!("private:{}", requests.origins));
            }
        }
        let rule = self.rules.iter().find(|rule| names.iter().any(|name| matches(&rule.plain, name)))?;
        Some(&rule.written)
    }

    /// The rule that forbids requests to an origin by any grant; `None` if no rule does.
    pub(crate) fn rule_for(&self, origin: &Origin) -> Option<&str> {
        let name = origin.to_string();
        self.rules.iter().find(|rule| matches(&rule.plain, &name)).map(|rule| rule.written.as_str())
    }

    /// The error for a grant that a rule forbids.
    pub fn refused(&self, grant: &Grant, rule: &str) -> Error {
        Error::new(Kind::Denied, format!("{grant} is never granted"))
            .hint(format!("to allow it, remove `{rule}` from never-grant in {}", self.file.display()))
    }
}

/// Spells a rule as grants are spelled: origins in lower case and without their usual port, paths without `~` and `..`.
fn plain_rule(written: &str, home: &Path) -> String {
    if !written.contains('*')
        && let Ok(grant) = written.parse::<Grant>()
    {
        return grant.to_string();
    }
    let origin = written.strip_prefix("private:").unwrap_or(written);
    if !origin.starts_with("https://") && !origin.starts_with("http://") {
        return plain_path(written, home);
    }
    let plain = written.to_ascii_lowercase();
    let plain = plain.trim_end_matches('/');
    let port = if origin.starts_with("https://") { ":443" } else { ":80" };
    plain.strip_suffix(port).unwrap_or(plain).to_owned()
}

/// Spells the path of `file:PATH` in full; another text stays as it is.
fn plain_path(written: &str, home: &Path) -> String {
    let Some(path) = written.strip_prefix("file:") else { return written.to_owned() };
    let path = match path.strip_prefix("~/") {
        Some(inside) => home.join(inside),
        None => PathBuf::from(path),
    };
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    format!("file:{}", plain.display())
}

/// Whether a name matches a rule, in which `*` matches any text.
fn matches(rule: &str, name: &str) -> bool {
    let mut parts = rule.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never(rules: &[&str]) -> Result<NeverGranted> {
        let rules = rules.iter().map(|rule| (*rule).to_owned()).collect();
        NeverGranted::of(rules, "/user.toml".into(), "/home/me".into())
    }

    #[test]
    fn a_rule_forbids_a_capability_a_credential_or_an_origin() {
        let forbids =
            |rule: &str, grant: &str| never(&[rule]).unwrap().rule(&grant.parse().unwrap()).is_some();
        for (rule, grant) in [
            ("docker", "docker"),
            ("*", "s3"),
            ("env:*", "https://a.example=env:TOKEN"),
            ("env:AWS_*", "https://a.example=env:AWS_SECRET"),
            ("google", "https://storage.googleapis.com=google"),
            ("https://a.example", "https://a.example"),
            ("https://a.example", "https://a.example=env:TOKEN"),
            ("https://a.example", "private:https://a.example=env:TOKEN"),
            ("https://*.example", "https://b.a.example"),
            ("private:*", "private:https://a.example"),
            ("http://*", "http://127.0.0.1:80"),
            ("https://A.Example:443/", "https://a.example"),
            ("https://*.Example", "https://b.example=env:TOKEN"),
            ("file:~/.ssh/*", "https://a.example=file:/home/me/.ssh/id"),
            ("file:/home/me/.ssh/*", "https://a.example=file:~/x/../.ssh/id"),
        ] {
            assert!(forbids(rule, grant), "{rule} {grant}");
        }
        for (rule, grant) in [
            ("docker", "s3"),
            ("env:*", "https://a.example"),
            ("env:AWS_*", "https://a.example=env:TOKEN"),
            ("https://a.example", "https://a.example.evil.example"),
            ("https://*.example", "https://b.example.com"),
            ("private:*", "https://a.example"),
            ("http://*", "https://a.example"),
        ] {
            assert!(!forbids(rule, grant), "{rule} {grant}");
        }
        let like = never(&["https://us-docker.pkg.dev"]).unwrap();
        assert!(
            like.rule_for(&"https://us-docker.pkg.dev".parse().unwrap()).is_some(),
            "also for a grant with a pattern"
        );
        assert!(like.rule_for(&"https://eu-docker.pkg.dev".parse().unwrap()).is_none());
    }

    #[test]
    fn an_invalid_rule_is_an_error() {
        for rule in ["dokcer", "", "example.com", "S3"] {
            let error = never(&[rule]).unwrap_err();
            assert!(error.message().contains("in never-grant of /user.toml"), "{error}");
        }
    }
}
