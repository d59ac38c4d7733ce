//! Lists the packages installed in an image: its build writes the list, and it is read once for each image.

use std::io::Write;

use super::Context;
use crate::{
    capability::{Image, docker},
    disk::{self, PRIVATE},
    environment::Environment,
    error::Result,
};

/// Written by the build drivers that install Python packages, as `pip freeze` does.
const FILE: &str = "/opt/alekseylearn/venv/installed.txt";
/// Maximum size of the list in bytes; a usual one has a few KiB.
const MAX_SIZE: u64 = 16 << 20;

/// Returns names and versions, sorted; `None` if the image has no list.
pub(super) async fn installed(context: &Context, image: &Image) -> Option<Vec<String>> {
    let image = match image {
        Image::InEngine(image) => image,
        Image::Assembled(image) => return Some(image.installed.clone()),
    };
    match read(context, image).await {
        Ok(text) => text.map(|text| lines(&text)),
        Err(error) => {
            context.ui.detail(&format!("cannot list the installed packages: {}", error.chain()));
            None
        }
    }
}

async fn read(context: &Context, image: &docker::Image) -> Result<Option<String>> {
    let folder = context.environment.cache.join("installed");
    let kept = folder.join(image.id.trim_start_matches("sha256:"));
    if let Ok(text) = disk::text(&kept, MAX_SIZE) {
        return Ok(Some(text));
    }
    let engine = context.services.docker().await?;
    let Some(bytes) = engine.peek(&image.id, FILE).await? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // If it cannot be cached, it is read from the image again next time.
    if Environment::private_folder(&folder).is_ok() {
        let _ = disk::write(&kept, PRIVATE, |file| file.write_all(text.as_bytes()));
    }
    Ok(Some(text))
}

fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    lines.sort_unstable_by_key(|line| line.to_lowercase());
    lines
}
