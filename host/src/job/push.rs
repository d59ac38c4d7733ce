//! Pushes an image from the engine to a registry.

use super::Context;
use crate::{
    capability::{Listener, Progress, docker::Image},
    error::{Kind, Result},
    plugin::Repository,
    ui::Event,
};

/// Pushes the image unless the repository has it. Returns its name in the repository, by digest.
pub(super) async fn push(context: &Context, image: &Image, repository: &Repository) -> Result<String> {
    let tag = tag_of(image);
    if let Some(digest) = pushed(context, image, repository).await? {
        context
            .ui
            .stage(&format!("Nothing changed: {}:{tag} is already in the registry", repository.address));
        return Ok(format!("{}@{digest}", repository.address));
    }
    context.ui.stage(&format!("Pushing to {}", repository.address));
    let show: Listener<'_> = &|progress| {
        if let Progress::Bytes { what, done, total } = progress {
            context.ui.say(&Event::Progress { what, done, total });
        }
    };
    let engine = context.services.docker().await?;
    let login = repository.login(&context.services).await?;
    let digest = match engine.push(image, &repository.address, tag, login, show).await {
        // A login lasts twelve hours; a large image on a slow line takes longer. The registry keeps the layers it has.
        Err(error) if error.chain().contains("token has expired") => {
            context.ui.detail("the registry's login has expired: logging in again");
            let login = repository.login(&context.services).await?;
            engine.push(image, &repository.address, tag, login, show).await?
        }
        // The tag stands for the content, so the image there is the same, from another build.
        Err(error) if error.kind() == Kind::Conflict => {
            let there = repository.digest(&context.services, tag).await?.ok_or(error)?;
            context
                .ui
                .stage(&format!("Using {}:{tag}, which is already in the registry", repository.address));
            there
        }
        pushed => pushed?,
    };
    Ok(format!("{}@{digest}", repository.address))
}

/// Returns the image's digest if the repository has this image.
pub(super) async fn pushed<'a>(
    context: &Context,
    image: &'a Image,
    repository: &Repository,
) -> Result<Option<&'a str>> {
    let Some(digest) = image.digest_in(&repository.address) else { return Ok(None) };
    let there = repository.digest(&context.services, tag_of(image)).await?;
    Ok((there.as_deref() == Some(digest)).then_some(digest))
}

fn tag_of(image: &Image) -> &str {
    image.reference.rsplit_once(':').map_or("latest", |(_, tag)| tag)
}
