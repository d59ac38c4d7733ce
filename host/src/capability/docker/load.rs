//! Loads an image that was assembled on this machine into the engine.

use std::sync::Arc;

use bollard::query_parameters::ImportImageOptionsBuilder;
use futures_util::StreamExt;

use super::{Engine, Image, explain, failure};
use crate::{
    capability::oci::Assembled,
    error::{Error, Result},
};

impl Engine {
    /// Loads an image unless the engine has it.
    ///
    /// # Errors
    /// The base image's registry cannot be reached, or the engine refuses.
    pub async fn load(&self, image: &Arc<Assembled>) -> Result<Image> {
        let reference = &image.reference;
        let there = self.image(reference).await?;
        if let Some(there) = there.filter(|there| image.reused || there.id == image.config_digest) {
            return Ok(there);
        }
        let operation = format!("cannot load the image {reference} into the engine");
        let options = ImportImageOptionsBuilder::new().quiet(true).build();
        let mut answers = self.docker.import_image_stream(options, image.clone().archive(), None);
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(_) => {}
                Err(error) if failure::is_end(&error) => break,
                Err(error) => return Err(explain(&operation, error)),
            }
        }
        let loaded = self.image(reference).await?;
        loaded.map(|loaded| Image { reused: false, ..loaded }).ok_or_else(|| {
            Error::failed(format!("the engine loaded {reference}, but cannot find it"))
                .hint("run the same command again")
        })
    }
}
