//! Masks options that are secret by their names, such as `--config.environment.API_KEY`. The job needs them and the record
//! keeps them, but no output shows them.

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::mask::{MASKED, Mask};
use crate::project::holds_password;

/// Names of secret variables contain one of these.
const SIGNS: [&str; 7] = ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL"];
/// Words of such names. In others they are only parts of a word: `BYPASS`, `AUTHOR`.
const WORDS: [&str; 7] = ["PASS", "PWD", "PW", "AUTH", "PAT", "DSN", "SAS"];

/// Whether an option sets a variable that is secret by its name, `environment.API_KEY` or `request.Environment.API_KEY`, or
/// by the password of a URL in its value.
pub fn is_secret_option(key: &str, value: &str) -> bool {
    variable_of(key).is_some_and(|name| is_secret_name(name) || holds_password(value.as_bytes()))
}

/// Returns the variable that an option sets.
fn variable_of(key: &str) -> Option<&str> {
    let (before, name) = key.rsplit_once('.')?;
    let table = before.rsplit('.').next().unwrap_or(before);
    table.eq_ignore_ascii_case("environment").then_some(name)
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SIGNS.iter().any(|sign| name.contains(sign)) || name.split('_').any(|word| WORDS.contains(&word))
}

/// Options with masked values.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a [(String, String)]);

impl<'a> Shown<'a> {
    /// Returns keys and masked values.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), Self::value(key, value)))
    }

    /// Returns a value, masked if its option is secret.
    pub fn value(key: &str, value: &'a str) -> &'a str {
        if is_secret_option(key, value) && !value.is_empty() { MASKED } else { value }
    }

    /// Serializes options in a derived [`Serialize`].
    pub fn serialize<S: Serializer>(options: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
        Shown(options).iter().collect::<Vec<_>>().serialize(serializer)
    }
}

/// Masks such values in a request, before it is shown.
pub fn mask_request(request: &mut Value, given: &[(String, String)]) {
    let secret = given.iter().filter(|(key, value)| is_secret_option(key, value) && !value.is_empty());
    let secret: Vec<(&str, &str)> =
        secret.filter_map(|(key, value)| Some((variable_of(key)?, value.as_str()))).collect();
    if !secret.is_empty() {
        let mask = Mask::new(secret.iter().map(|(_, value)| value));
        walk(request, &secret, &mask);
    }
}

fn walk(value: &mut Value, secret: &[(&str, &str)], mask: &Mask) {
    let is_secret =
        |name: &str, text: &Value| text.as_str().is_some_and(|text| secret.contains(&(name, text)));
    match value {
        Value::String(text) => *text = mask.owned(std::mem::take(text)),
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, secret, mask)),
        Value::Object(members) => {
            // Some services have lists of `{"name": …, "value": …}`.
            let name = members.get("name").or_else(|| members.get("Name"));
            let name = name.and_then(Value::as_str).map(str::to_owned);
            for (key, member) in members {
                let named = key.eq_ignore_ascii_case("value").then_some(name.as_deref()).flatten();
                if is_secret(named.unwrap_or(key), member) {
                    // A short value, too.
                    *member = MASKED.into();
                } else {
                    walk(member, secret, mask);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_known_by_the_name_of_its_variable() {
        for key in [
            "environment.WANDB_API_KEY",
            "environment.db_password",
            "environment.DB_PASS",
            "environment.MYSQL_PWD",
            "request.Environment.HF_TOKEN",
        ] {
            assert!(is_secret_option(key, "x"), "{key}");
        }
        for key in [
            "environment.EPOCHS",
            "environment.AUTHOR",
            "environment.BYPASS_CACHE",
            "hyperparameters.token",
            "role_name",
            "environment",
            "tags.KEY",
        ] {
            assert!(!is_secret_option(key, "x"), "{key}");
        }
        assert!(is_secret_option("environment.DATABASE_URL", "postgres://me:hunter2@db/x"));
        assert!(!is_secret_option("environment.DATABASE_URL", "postgres://db/x"));
        let options =
            [("environment.A_KEY".to_owned(), "x".to_owned()), ("environment.B".to_owned(), "y".to_owned())];
        assert_eq!(Shown(&options).iter().map(|(_, value)| value).collect::<Vec<_>>(), ["***", "y"]);
    }

    #[test]
    fn a_request_is_shown_without_them() {
        let given = [("environment.A_KEY", "x"), ("environment.B_TOKEN", "hunter2"), ("environment.C", "x")];
        let given = given.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let mut request = json!({
            "environment": { "A_KEY": "x", "B_TOKEN": "hunter2", "C": "x" },
            "env": [{ "name": "A_KEY", "value": "x" }, { "name": "C", "value": "x" }],
            "text": "B = 'hunter2'",
        });
        mask_request(&mut request, &given);
        let expected = json!({
            "environment": { "A_KEY": "***", "B_TOKEN": "***", "C": "x" },
            "env": [{ "name": "A_KEY", "value": "***" }, { "name": "C", "value": "x" }],
            "text": "B = '***'",
        });
        assert_eq!(request, expected);
    }
}
