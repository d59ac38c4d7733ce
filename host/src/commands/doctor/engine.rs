use std::path::Path;

use super::{Check, PATIENCE, files::room};
use crate::{
    error::{Error, Kind},
    job::Context,
};

/// The Docker engine, its disk and its GPUs.
pub(super) async fn look(context: &Context) -> Vec<Check> {
    let asked = tokio::time::timeout(PATIENCE, async { context.services.docker().await?.about().await });
    let late = || {
        Err(Error::new(Kind::Unavailable, "the Docker engine does not answer in time")
            .hint("see whether DOCKER_HOST is right, and restart the engine"))
    };
    let about = match asked.await.unwrap_or_else(|_| late()) {
        Ok(about) => about,
        Err(error) => return vec![Check::of("docker", &error)],
    };
    let what = format!("version {}, API {}, {}", about.version, about.api, about.platform);
    let mut checks = vec![Check::ok("docker", what)];
    checks.push(match about.buildkit {
        true => Check::ok("builder", "BuildKit"),
        false => Check::warning(
            "builder",
            "no BuildKit",
            "Docker Engine has it, unless DOCKER_BUILDKIT=0 is set; Podman has none",
        ),
    });
    checks.push(match about.gpus {
        true => Check::ok("gpu", "the engine offers NVIDIA's"),
        false => Check::ok("gpu", "the engine offers none; only training with one here needs it"),
    });
    if let Some(folder) = about.folder.as_deref().filter(|folder| Path::new(folder).exists()) {
        checks.extend(room("docker-disk", folder));
    }
    checks
}
