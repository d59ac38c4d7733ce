use std::path::Path;

use super::{Check, PATIENCE, files::disk_space};
use crate::{
    error::{Error, Kind},
    job::Context,
};

/// Checks the Docker engine, its disk and its GPUs.
pub(super) async fn look(context: &Context) -> Vec<Check> {
    let asked = tokio::time::timeout(PATIENCE, async { context.services.docker().await?.about().await });
    let late = || {
        Err(Error::new(Kind::Unavailable, "the Docker engine did not respond in time")
            .hint("check DOCKER_HOST, or restart the engine"))
    };
    let about = match asked.await.unwrap_or_else(|_| late()) {
        Ok(about) => about,
        Err(error) => return vec![Check::of("docker", &error)],
    };
    let what = format!("version {}, API {}, {}", about.version, about.api, about.platform);
    let mut checks = vec![Check::ok("docker", what)];
    checks.push(if about.buildkit {
        Check::ok("builder", "BuildKit")
    } else {
        Check::warning(
            "builder",
            "no BuildKit",
            "use Docker Engine without DOCKER_BUILDKIT=0; Podman has no BuildKit",
        )
    });
    checks.push(if about.gpus {
        Check::ok("gpu", "NVIDIA GPUs available")
    } else {
        Check::ok("gpu", "no GPUs; only GPU training on this machine needs them")
    });
    if let Some(folder) = about.folder.as_deref().filter(|folder| Path::new(folder).exists()) {
        checks.extend(disk_space("docker-disk", folder));
    }
    checks
}
