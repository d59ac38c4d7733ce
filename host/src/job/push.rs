//! Pushes an image to a registry: the Docker engine's, or one that was assembled on this machine.

use super::Context;
use crate::{
    capability::{Image, Listener, Progress},
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
    let digest = match push_once(context, image, repository).await {
        // A login lasts twelve hours; a large image on a slow line takes longer. The registry keeps the layers it has.
        Err(error) if error.chain().contains("token has expired") => {
            context.ui.detail("the registry's login has expired: logging in again");
            push_once(context, image, repository).await?
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

async fn push_once(context: &Context, image: &Image, repository: &Repository) -> Result<String> {
    let show: Listener<'_> = &|progress| {
        if let Progress::Bytes { what, done, total } = progress {
            context.ui.say(&Event::Progress { what, done, total });
        }
    };
    let login = repository.login(&context.services).await?;
    let (address, tag) = (&repository.address, tag_of(image));
    match image {
        Image::InEngine(image) => {
            context.services.docker().await?.push(image, address, tag, login, show).await
        }
        Image::Assembled(image) => image.push(address, tag, login, show).await,
    }
}

/// Returns the image's digest if the repository has this image.
pub(super) async fn pushed<'a>(
    context: &Context,
    image: &'a Image,
    repository: &Repository,
) -> Result<Option<&'a str>> {
    let digest = match image {
        Image::InEngine(image) => image.digest_in(&repository.address),
        Image::Assembled(image) => Some(image.digest.as_str()),
    };
    let Some(digest) = digest else { return Ok(None) };
    let there = repository.digest(&context.services, tag_of(image)).await?;
    Ok((there.as_deref() == Some(digest)).then_some(digest))
}

fn tag_of(image: &Image) -> &str {
    image.reference().rsplit_once(':').map_or("latest", |(_, tag)| tag)
}
