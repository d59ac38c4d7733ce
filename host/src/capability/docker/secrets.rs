//! Secrets of a container: variables of which its driver knows the names only.

use std::collections::HashMap;

use super::{ContainerSpec, Engine, LABEL, explain};
use crate::{config::Mask, error::Result};

/// Label of a container with the names of its secrets.
const SECRETS_LABEL: &str = "io.alekseylearn.secrets";

impl Engine {
    /// Returns the mask of a container's secrets, whose values are in the container's own variables.
    ///
    /// # Errors
    /// There is no such container, or the engine does not answer.
    pub(super) async fn secrets_of(&self, name: &str) -> Result<Mask> {
        let found = self.inspect(name).await;
        let found = found.map_err(|error| explain(&format!("cannot inspect the container {name}"), error))?;
        let config = found.config.unwrap_or_default();
        let names = config.labels.unwrap_or_default().remove(SECRETS_LABEL).unwrap_or_default();
        let names: Vec<&str> = names.split(',').collect();
        let variables = config.env.unwrap_or_default();
        let variables = variables.iter().filter_map(|variable| variable.split_once('='));
        Ok(Mask::new(variables.filter(|(name, _)| names.contains(name)).map(|(_, value)| value)))
    }
}

/// Returns the variables of a container. A secret replaces a variable of the same name.
pub(super) fn environment(spec: &ContainerSpec) -> Vec<String> {
    let is_secret = |name: &str| spec.secrets.iter().any(|(secret, _)| secret == name);
    let others = spec.environment.iter().filter(|(name, _)| !is_secret(name));
    let others = others.map(|(name, value)| (name.as_str(), value.as_str()));
    others.chain(spec.secrets.iter()).map(|(name, value)| format!("{name}={value}")).collect()
}

/// Returns the labels of a container.
pub(super) fn labels(spec: &ContainerSpec) -> HashMap<String, String> {
    let mut labels = HashMap::from([(LABEL.to_owned(), spec.job.clone())]);
    if !spec.secrets.is_empty() {
        labels.insert(SECRETS_LABEL.to_owned(), spec.secrets.names().join(","));
    }
    labels
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_secret_is_a_variable_and_its_name_a_label() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let secrets = [pair("A", "hunter2"), pair("B", "x")].into_iter().collect();
        let spec = ContainerSpec {
            environment: vec![pair("A", "a driver's"), pair("C", "y")],
            secrets: Arc::new(secrets),
            ..ContainerSpec::default()
        };
        assert_eq!(environment(&spec), ["C=y", "A=hunter2", "B=x"]);
        assert_eq!(labels(&spec)[SECRETS_LABEL], "A,B");
        assert!(!format!("{spec:?}").contains("hunter2"));
        assert_eq!(labels(&ContainerSpec::default()).len(), 1);
    }
}
