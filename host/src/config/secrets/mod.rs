//! Secrets of a training. The host reads their values and passes them to the job; only their names are recorded.

mod asked;
mod dotenv;
mod mask;
mod shown;

use std::{collections::BTreeMap, fmt};

pub use asked::AskedSecrets;
pub use mask::Mask;
pub use shown::{Shown, is_secret_option, mask_request};

/// The secrets of one training.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretValues(BTreeMap<String, String>);

impl SecretValues {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns their names, sorted.
    pub fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// Returns names and values, to pass them to a job.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the mask of their values.
    pub fn mask(&self) -> Mask {
        Mask::new(self.0.values())
    }
}

impl FromIterator<(String, String)> for SecretValues {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(secrets: T) -> Self {
        Self(secrets.into_iter().collect())
    }
}

/// Prints the names only.
impl fmt::Debug for SecretValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_printed() {
        let secrets: SecretValues = [("TOKEN".to_owned(), "hunter2".to_owned())].into_iter().collect();
        assert_eq!(format!("{secrets:?}"), "{\"TOKEN\"}");
    }
}
