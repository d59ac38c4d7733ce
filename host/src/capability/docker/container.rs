//! Starts, inspects, stops and removes containers.

use std::{collections::HashMap, str::FromStr, sync::Arc, time::Duration};

use bollard::{
    models::{
        ContainerCreateBody, ContainerInspectResponse, DeviceRequest, HostConfig, HostConfigLogConfig, Mount,
        MountType,
    },
    query_parameters::{
        CreateContainerOptionsBuilder, KillContainerOptionsBuilder, RemoveContainerOptionsBuilder,
        StartContainerOptions, UploadToContainerOptionsBuilder,
    },
};
use jiff::Timestamp;

use super::{
    Engine, Gpus, archive, explain, failure, network,
    secrets::{environment, labels},
};
use crate::{
    config::SecretValues,
    error::{Error, Kind, Result},
};

/// Maximum number of processes and threads of a container: data loaders on a large machine use a few thousand.
const MAX_PROCESSES: i64 = 32_768;

/// The specification of a container.
#[derive(Clone, Debug, Default)]
pub struct ContainerSpec {
    /// The container's name.
    pub name: String,
    /// The job that it belongs to.
    pub job: String,
    /// Its host name.
    pub host_name: String,
    /// The image's name.
    pub image: String,
    /// Arguments of the image's entry point.
    pub arguments: Vec<String>,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
    /// Secrets: variables of which the driver knows the names only.
    pub secrets: Arc<SecretValues>,
    /// Files to write before the start, by absolute path.
    pub files: Vec<(String, Vec<u8>)>,
    /// Folders outside of the image's layers, which are removed with the container.
    pub scratch: Vec<String>,
    /// Local folders to mount read-only, by path in the container.
    pub inputs: Vec<(String, String)>,
    /// Its GPUs.
    pub gpus: Option<Gpus>,
    /// The size of its `/dev/shm`; `None` for the engine's default (64 MiB).
    pub shared_memory: Option<SharedMemory>,
    /// The network on which its host name is known, created if it is missing.
    pub network: Option<String>,
}

/// The size of a container's `/dev/shm`. Only its content uses memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedMemory {
    /// Half of the engine's memory, as on Linux by default and on SageMaker's instances
    /// (<https://github.com/aws/sagemaker-python-sdk/issues/937>: 32 of 64 GiB).
    Half,
    /// A number of bytes.
    Bytes(u64),
}

impl FromStr for SharedMemory {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "half" {
            return Ok(Self::Half);
        }
        let lower = text.to_lowercase();
        let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match &lower[digits.len()..] {
            "" | "b" => Some(0),
            "k" | "kb" => Some(10),
            "m" | "mb" => Some(20),
            "g" | "gb" => Some(30),
            _ => None,
        };
        let number = digits.parse::<u64>().ok().filter(|number| *number > 0);
        let size = number.zip(unit).and_then(|(number, unit)| number.checked_mul(1 << unit));
        size.filter(|size| i64::try_from(*size).is_ok()).map(Self::Bytes).ok_or_else(|| {
            Error::invalid(format!("`{text}` is not a size"))
                .hint("use a size such as 8g, as for `docker run --shm-size`, or `half`")
        })
    }
}

/// A container's current state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerState {
    /// Whether it is running.
    pub running: bool,
    /// `None` until it has ended.
    pub exit_code: Option<i32>,
    /// Whether the kernel killed it because it ran out of memory.
    pub out_of_memory: bool,
    /// When it started, in milliseconds since the Unix epoch.
    pub started: Option<u64>,
    /// When it ended, in milliseconds since the Unix epoch.
    pub finished: Option<u64>,
}

/// How often and at what interval to create a container again that the engine removed.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);
/// How long the first process of a container may need until it handles signals.
const START: Duration = Duration::from_secs(3);

impl Engine {
    /// Creates and starts a container. One of this name that was never started is only started.
    ///
    /// # Errors
    /// The image is missing, or the engine refuses.
    pub async fn start(&self, spec: &ContainerSpec) -> Result<()> {
        let operation = format!("cannot start the container {}", spec.name);
        let files = archive::of_files(&spec.files)?;
        let devices = match &spec.gpus {
            Some(gpus) => {
                let support = self.gpu_support().await?.ok_or_else(|| no_gpus(self))?;
                Some(vec![support.request(gpus)])
            }
            None => None,
        };
        let shared_memory = self.bytes_of(spec.shared_memory).await;
        if let Some(network) = &spec.network {
            self.ensure_network(network, &spec.job).await?;
        }
        let mut tries = 0;
        loop {
            match self.try_start(spec, devices.clone(), shared_memory, files.clone()).await {
                Ok(()) => return Ok(()),
                // The process that created it was killed: the engine removes the incomplete container, which frees the
                // name.
                Err(error) if vanished(&error, &spec.name) && tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                // The runtime is configured but not installed. The job is not recorded, so its container is removed.
                Err(error) if failure::causes(&error).contains("could not select device driver") => {
                    self.remove(&spec.name).await?;
                    return Err(no_gpus(self).source(error));
                }
                Err(error) => return Err(spec.secrets.mask().error(explain(&operation, error))),
            }
        }
    }

    async fn try_start(
        &self,
        spec: &ContainerSpec,
        devices: Option<Vec<DeviceRequest>>,
        shared_memory: Option<i64>,
        files: Vec<u8>,
    ) -> std::result::Result<(), bollard::errors::Error> {
        let options = CreateContainerOptionsBuilder::new().name(&spec.name).build();
        match self.docker.create_container(Some(options), body(spec, devices, shared_memory)).await {
            Ok(_) => {}
            // Another process or an earlier attempt created it: continue from there.
            Err(error) if failure::is_taken(&error) => {
                let there = self.inspect(&spec.name).await?.state.unwrap_or_default();
                if there.started_at.as_deref().and_then(milliseconds).is_some() {
                    return Ok(());
                }
            }
            Err(error) => return Err(error),
        }
        if !spec.files.is_empty() {
            let upload = UploadToContainerOptionsBuilder::new().path("/").build();
            self.docker
                .upload_to_container(&spec.name, Some(upload), bollard::body_full(files.into()))
                .await?;
        }
        self.docker.start_container(&spec.name, None::<StartContainerOptions>).await
    }

    /// `None` for the engine's default, and if the engine does not report its memory.
    async fn bytes_of(&self, shared_memory: Option<SharedMemory>) -> Option<i64> {
        match shared_memory? {
            SharedMemory::Bytes(bytes) => i64::try_from(bytes).ok(),
            SharedMemory::Half => {
                let memory = self.docker.info().await.ok()?.mem_total?;
                Some(memory / 2).filter(|half| *half > 0)
            }
        }
    }

    /// Inspects a container. Podman reports `stopped` until it has cleaned up, which Docker and the library do not
    /// know, so the request is repeated until then.
    pub(super) async fn inspect(
        &self,
        name: &str,
    ) -> std::result::Result<ContainerInspectResponse, bollard::errors::Error> {
        let mut patience = 100;
        loop {
            match self.docker.inspect_container(name, None).await {
                Ok(found) => return Ok(found),
                Err(error)
                    if self.podman && patience > 0 && failure::causes(&error).contains("`stopped`") =>
                {
                    patience -= 1;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// A container's state; `None` if there is no such container.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn container(&self, name: &str) -> Result<Option<ContainerState>> {
        let found = match self.inspect(name).await {
            Ok(found) => found.state.unwrap_or_default(),
            Err(error) if failure::is_not_found(&error) => return Ok(None),
            Err(error) => return Err(explain(&format!("cannot inspect the container {name}"), error)),
        };
        let started = found.started_at.as_deref().and_then(milliseconds);
        let finished = found.finished_at.as_deref().and_then(milliseconds);
        let running = found.running.unwrap_or(false);
        let ended = started.is_some() && !running;
        Ok(Some(ContainerState {
            running,
            exit_code: found.exit_code.filter(|_| ended).and_then(|code| code.try_into().ok()),
            out_of_memory: found.oom_killed.unwrap_or(false),
            started,
            finished: finished.filter(|_| ended),
        }))
    }

    /// Sends SIGTERM to all containers, and SIGKILL to those that still run after the grace period.
    ///
    /// # Errors
    /// The engine refuses.
    pub async fn stop(&self, names: &[String], grace: Duration) -> Result<()> {
        // The engine's stop would block one request for the whole grace period, beyond the request's timeout.
        for name in names {
            self.wait_for_handlers(name).await?;
            self.signal(name, "SIGTERM").await?;
        }
        let deadline = tokio::time::Instant::now() + grace;
        for name in names {
            while self.container(name).await?.is_some_and(|state| state.running) {
                if tokio::time::Instant::now() >= deadline {
                    self.signal(name, "SIGKILL").await?;
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }

    /// The kernel drops a signal to a container's first process that has no handler for it yet, such as a Python that has
    /// just started: the stop would wait for the whole grace period.
    async fn wait_for_handlers(&self, name: &str) -> Result<()> {
        let Some(ContainerState { running: true, started: Some(started), .. }) = self.container(name).await?
        else {
            return Ok(());
        };
        // The engine may run on a machine with another clock.
        let now = Timestamp::now().as_millisecond();
        let age = u64::try_from(now).unwrap_or_default().saturating_sub(started);
        tokio::time::sleep(START.saturating_sub(Duration::from_millis(age))).await;
        Ok(())
    }

    async fn signal(&self, name: &str, signal: &str) -> Result<()> {
        let options = KillContainerOptionsBuilder::new().signal(signal).build();
        match self.docker.kill_container(name, Some(options)).await {
            Ok(()) => Ok(()),
            // It has ended or is gone.
            Err(error) if failure::has_status(&error, 409) || failure::is_not_found(&error) => Ok(()),
            Err(error) => Err(explain(&format!("cannot stop the container {name}"), error)),
        }
    }

    /// Removes a container with its scratch folders. Does nothing if there is none.
    ///
    /// # Errors
    /// The engine refuses.
    pub async fn remove(&self, name: &str) -> Result<()> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match self.docker.remove_container(name, Some(options)).await {
            Ok(()) => Ok(()),
            Err(error) if failure::is_not_found(&error) || failure::has_status(&error, 409) => Ok(()),
            Err(error) => Err(explain(&format!("cannot remove the container {name}"), error)),
        }
    }
}

fn no_gpus(engine: &Engine) -> Error {
    Error::new(Kind::Unsupported, format!("{engine} cannot give GPUs to containers"))
        .hint("install the NVIDIA driver and the NVIDIA Container Toolkit")
}

fn body(
    spec: &ContainerSpec,
    devices: Option<Vec<DeviceRequest>>,
    shared_memory: Option<i64>,
) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        hostname: Some(spec.host_name.clone()),
        cmd: Some(spec.arguments.clone()),
        env: Some(environment(spec)),
        labels: Some(labels(spec)),
        volumes: Some(spec.scratch.clone()),
        host_config: Some(HostConfig {
            // The engine's default driver may rotate the log, which loses lines.
            log_config: Some(HostConfigLogConfig {
                typ: Some("json-file".into()),
                config: Some(HashMap::new()),
            }),
            device_requests: devices,
            // A setuid program in the image cannot make the training root, and a fork bomb is limited.
            security_opt: Some(vec!["no-new-privileges".into()]),
            pids_limit: Some(MAX_PROCESSES),
            shm_size: shared_memory,
            network_mode: spec.network.clone(),
            mounts: Some(spec.inputs.iter().map(|(path, folder)| mount(path, folder)).collect()),
            ..HostConfig::default()
        }),
        networking_config: spec.network.as_ref().map(|network| network::by_name(network, &spec.host_name)),
        ..ContainerCreateBody::default()
    }
}

fn mount(path: &str, folder: &str) -> Mount {
    Mount {
        target: Some(path.to_owned()),
        source: Some(folder.to_owned()),
        typ: Some(MountType::BIND),
        read_only: Some(true),
        ..Mount::default()
    }
}

/// Whether the container is missing, not its image.
fn vanished(error: &bollard::errors::Error, name: &str) -> bool {
    failure::is_not_found(error) && failure::causes(error).contains(name)
}

/// The engine writes the year 1 for "never".
fn milliseconds(time: &str) -> Option<u64> {
    let time: Timestamp = time.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok().filter(|time| *time > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_parsed_as_docker_does() {
        for (text, expected) in [
            ("half", SharedMemory::Half),
            ("64m", SharedMemory::Bytes(64 << 20)),
            ("8G", SharedMemory::Bytes(8 << 30)),
            ("2gb", SharedMemory::Bytes(2 << 30)),
            ("1048576", SharedMemory::Bytes(1 << 20)),
        ] {
            assert_eq!(text.parse::<SharedMemory>().unwrap(), expected, "{text}");
        }
        for text in ["", "0", "g", "-1g", "1t", "99999999999g", "a half"] {
            assert!(text.parse::<SharedMemory>().is_err(), "{text}");
        }
    }
}
