//! A file of an image that nothing runs.

use bollard::{
    models::ContainerCreateBody,
    query_parameters::{CreateContainerOptions, RemoveContainerOptionsBuilder},
};

use super::{Engine, explain};
use crate::error::Result;

impl Engine {
    /// At most 64 KiB of a file in an image; none where there is no such file. No container of it is started.
    ///
    /// # Errors
    /// There is no such image, or the engine does not answer.
    pub async fn peek(&self, image: &str, path: &str) -> Result<Option<Vec<u8>>> {
        let failed = |error| explain(&format!("cannot look into the image {image}"), error);
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            network_disabled: Some(true),
            ..ContainerCreateBody::default()
        };
        let made =
            self.docker.create_container(None::<CreateContainerOptions>, body).await.map_err(failed)?;
        let found = self.read(&made.id, path).await;
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        self.docker.remove_container(&made.id, Some(options)).await.map_err(failed)?;
        found
    }
}
