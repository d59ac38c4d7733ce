//! A file of an image that nothing runs.

use bollard::{models::ContainerCreateBody, query_parameters::CreateContainerOptionsBuilder};

use super::{Engine, explain, failure};
use crate::error::{Kind, Result};

/// As much of an image's digest as its container is named by.
const DIGITS: usize = 16;

impl Engine {
    /// At most 64 KiB of a file in an image; none where there is no such file. No container of it is started.
    ///
    /// # Errors
    /// There is no such image, or the engine does not answer.
    pub async fn peek(&self, image: &str, path: &str) -> Result<Option<Vec<u8>>> {
        let name = container_of(image);
        match self.peek_by(&name, image, path).await {
            // Whoever looks into the same image at the same time may have removed the container.
            Err(error) if error.kind() == Kind::NotFound => self.peek_by(&name, image, path).await,
            found => found,
        }
    }

    /// What a killed program left has the same name: it is as good, and goes too.
    async fn peek_by(&self, name: &str, image: &str, path: &str) -> Result<Option<Vec<u8>>> {
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            network_disabled: Some(true),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        match self.docker.create_container(Some(options), body).await {
            Err(error) if !failure::is_taken(&error) => {
                return Err(explain(&format!("cannot look into the image {image}"), error));
            }
            _ => {}
        }
        let found = self.read(name, path).await;
        self.remove(name).await?;
        found
    }
}

/// Of an image that is known by its digest.
pub(super) fn container_of(image: &str) -> String {
    let digest = image.trim_start_matches("sha256:");
    format!("alekseylearn-look-{}", digest.get(..DIGITS).unwrap_or(digest))
}
