//! The private network of a job with several nodes, which is removed with the last of them.

use std::collections::HashMap;

use bollard::models::{EndpointSettings, NetworkCreateRequest, NetworkingConfig};

use super::{Engine, LABEL, explain, failure};
use crate::error::Result;

/// The configuration that makes a container's host name known on a network.
pub(super) fn by_name(network: &str, host_name: &str) -> NetworkingConfig {
    let place = EndpointSettings { aliases: Some(vec![host_name.to_owned()]), ..EndpointSettings::default() };
    NetworkingConfig { endpoints_config: Some(HashMap::from([(network.to_owned(), place)])) }
}

impl Engine {
    /// Creates a job's network if it is missing.
    pub(super) async fn ensure_network(&self, name: &str, job: &str) -> Result<()> {
        let failed = |error| explain(&format!("cannot create the network {name}"), error);
        // Checked first, because an engine before version 23 creates a second network of the same name.
        match self.docker.inspect_network(name, None).await {
            Ok(_) => return Ok(()),
            Err(error) if failure::is_not_found(&error) => {}
            Err(error) => return Err(failed(error)),
        }
        let request = NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("bridge".into()),
            labels: Some(HashMap::from([(LABEL.to_owned(), job.to_owned())])),
            ..NetworkCreateRequest::default()
        };
        match self.docker.create_network(request).await {
            Ok(_) => Ok(()),
            Err(error) if failure::has_status(&error, 409) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    /// Removes a job's network once no container uses it. Does nothing if there is none.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn remove_network(&self, name: &str) -> Result<()> {
        match self.docker.remove_network(name).await {
            Ok(()) => Ok(()),
            // Nodes of the job still use it.
            Err(error) if failure::has_status(&error, 403) || failure::has_status(&error, 409) => Ok(()),
            Err(error) if failure::is_not_found(&error) => Ok(()),
            Err(error) => Err(explain(&format!("cannot remove the network {name}"), error)),
        }
    }
}
