//! The images that alekseylearn built, recognised by their label.

use std::collections::HashMap;

use bollard::{
    models::ImageSummary,
    query_parameters::{ListImagesOptionsBuilder, RemoveImageOptionsBuilder},
};

use super::{Engine, HASH_LABEL, STEPS_LABEL, context::is_tag_of, explain, failure, peek};
use crate::error::Result;

/// An image that alekseylearn built.
#[derive(Clone, Debug)]
pub struct KeptImage {
    /// `sha256:…`
    pub id: String,
    /// Its names from alekseylearn; empty if a newer build took them over.
    pub names: Vec<String>,
    /// When it was built, in seconds since the Unix epoch.
    pub created: i64,
    /// Its size in bytes, including layers that it shares with other images.
    pub size: u64,
    /// The hashes of its steps.
    pub steps: Vec<String>,
}

impl Engine {
    /// The images that alekseylearn built, newest first, optionally only those of a tag.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn kept_images(&self, tag: Option<&str>) -> Result<Vec<KeptImage>> {
        let filters = HashMap::from([("label", vec![HASH_LABEL])]);
        let options = ListImagesOptionsBuilder::new().filters(&filters).build();
        let listed = self.docker.list_images(Some(options)).await;
        let listed = listed.map_err(|error| explain("cannot list the images", error))?;
        let mut kept: Vec<KeptImage> = listed.into_iter().filter_map(kept).collect();
        kept.retain(|image| tag.is_none_or(|tag| image.is_of(tag)));
        kept.sort_by_key(|image| std::cmp::Reverse(image.created));
        Ok(kept)
    }

    /// Removes a name of an image, and with the last name the image. Returns false if a container still uses it.
    ///
    /// # Errors
    /// The engine refuses.
    pub async fn remove_image(&self, name: &str) -> Result<bool> {
        if self.try_remove_image(name).await? {
            return Ok(true);
        }
        // A program that was killed while it read from the image may have left a container.
        let Some(image) = self.image(name).await? else { return Ok(true) };
        self.remove(&peek::container_of(&image.id)).await?;
        self.try_remove_image(name).await
    }

    async fn try_remove_image(&self, name: &str) -> Result<bool> {
        let options = RemoveImageOptionsBuilder::new().build();
        match self.docker.remove_image(name, Some(options), None).await {
            Ok(_) => Ok(true),
            Err(error) if failure::is_not_found(&error) => Ok(true),
            Err(error) if failure::has_status(&error, 409) => Ok(false),
            Err(error) => Err(explain(&format!("cannot remove the image {name}"), error)),
        }
    }
}

/// `None` for an image that somebody built from one of ours: it inherits the label, but has another name.
fn kept(image: ImageSummary) -> Option<KeptImage> {
    let hash = image.labels.get(HASH_LABEL)?;
    let ours = |name: &String| name.rsplit_once(':').is_some_and(|(_, tag)| is_tag_of(tag, hash));
    let named = image.repo_tags.iter().any(|name| name != "<none>:<none>");
    let names: Vec<String> = image.repo_tags.iter().filter(|name| ours(name)).cloned().collect();
    if named && names.is_empty() {
        return None;
    }
    let steps = image.labels.get(STEPS_LABEL).map(|steps| steps.split(',').map(str::to_owned).collect());
    Some(KeptImage {
        names,
        created: image.created,
        size: image.size.unsigned_abs(),
        steps: steps.unwrap_or_default(),
        id: image.id,
    })
}

impl KeptImage {
    /// Whether it was built for this tag, such as `models/train`.
    pub fn is_of(&self, tag: &str) -> bool {
        self.names.iter().any(|name| name.rsplit_once(':').is_some_and(|(repository, _)| repository == tag))
    }
}
