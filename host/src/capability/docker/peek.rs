//! Reads a file of an image without running it.

use bollard::{models::ContainerCreateBody, query_parameters::CreateContainerOptionsBuilder};

use super::{Engine, explain, failure};
use crate::error::{Kind, Result};

/// Digits of an image's digest in its container's name.
const DIGITS: usize = 16;

impl Engine {
    /// At most 64 KiB of a file in an image; `None` if there is no such file. No container is started.
    ///
    /// # Errors
    /// There is no such image, or the engine does not answer.
    pub async fn peek(&self, image: &str, path: &str) -> Result<Option<Vec<u8>>> {
        let name = container_of(image);
        match self.peek_by(&name, image, path).await {
            // Another process that reads from the same image may have removed the container.
            Err(error) if error.kind() == Kind::NotFound => self.peek_by(&name, image, path).await,
            found => found,
        }
    }

    /// Reads the file through a container of this name. One that a killed program left is used and removed too.
    async fn peek_by(&self, name: &str, image: &str, path: &str) -> Result<Option<Vec<u8>>> {
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            network_disabled: Some(true),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        match self.docker.create_container(Some(options), body).await {
            Err(error) if !failure::is_taken(&error) => {
                return Err(explain(&format!("cannot read the image {image}"), error));
            }
            _ => {}
        }
        let found = self.read(name, path).await;
        self.remove(name).await?;
        found
    }
}

/// The container's name for an image with this digest.
pub(super) fn container_of(image: &str) -> String {
    let digest = image.trim_start_matches("sha256:");
    format!("alekseylearn-look-{}", digest.get(..DIGITS).unwrap_or(digest))
}
