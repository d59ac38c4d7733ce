//! Containers: started, looked at, stopped and removed.

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

/// Processes and threads of one container: data loaders on a large machine have a few thousand.
const MOST_PROCESSES: i64 = 32_768;

/// One container to be started.
#[derive(Clone, Debug, Default)]
pub struct ContainerSpec {
    /// Its name in the engine.
    pub name: String,
    /// The job it belongs to.
    pub job: String,
    /// The host name that its programs see.
    pub host_name: String,
    /// The image's name.
    pub image: String,
    /// What the image's entry point gets.
    pub arguments: Vec<String>,
    /// Variables.
    pub environment: Vec<(String, String)>,
    /// More variables, which the driver knows by their names alone.
    pub secrets: Arc<SecretValues>,
    /// Files to be there before the start, by their absolute paths.
    pub files: Vec<(String, Vec<u8>)>,
    /// Folders kept outside of the image's layers, removed with the container.
    pub scratch: Vec<String>,
    /// Folders of this machine that can only be read, by their paths in the container.
    pub inputs: Vec<(String, String)>,
    /// The GPUs it gets.
    pub gpus: Option<Gpus>,
    /// The size of its `/dev/shm`; the engine's default (64 MiB) if there is none.
    pub shared_memory: Option<SharedMemory>,
    /// The network on which it is found by its host name; made where it is missing.
    pub network: Option<String>,
}

/// The size of a container's `/dev/shm`. It takes memory only for what lies in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedMemory {
    /// Half of the engine's machine, as Linux gives to itself, and as SageMaker's instances have it
    /// (<https://github.com/aws/sagemaker-python-sdk/issues/937>: 32 of 64 GiB).
    Half,
    /// So many bytes.
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
                .hint("write it as `docker run --shm-size` has it, such as 8g; or `half`")
        })
    }
}

/// A container as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerState {
    /// It has not ended.
    pub running: bool,
    /// Once it has ended.
    pub exit_code: Option<i32>,
    /// The kernel ended it for want of memory.
    pub out_of_memory: bool,
    /// Milliseconds since the Unix epoch.
    pub started: Option<u64>,
    /// Milliseconds since the Unix epoch.
    pub finished: Option<u64>,
}

/// How often, and how long after each other, a container is made again that the engine took back.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

impl Engine {
    /// Creates and starts a container; where one of that name exists already, it is started if it never was.
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
                // Its maker was cut off: the engine takes back what it had half made, and frees the name.
                Err(error) if vanished(&error, &spec.name) && tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                // It has the runtime's name, and not the runtime. A refused job is forgotten, so its container must go.
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
            // Another process, or an earlier try, was here: go on from where it stopped.
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

    /// None if the engine's default is to be taken, or it does not say how much memory its machine has.
    async fn bytes_of(&self, shared_memory: Option<SharedMemory>) -> Option<i64> {
        match shared_memory? {
            SharedMemory::Bytes(bytes) => i64::try_from(bytes).ok(),
            SharedMemory::Half => {
                let memory = self.docker.info().await.ok()?.mem_total?;
                Some(memory / 2).filter(|half| *half > 0)
            }
        }
    }

    /// As the engine has it. Podman calls what it has not yet cleaned up after `stopped`, a word that Docker does not
    /// know, and the library neither: it is asked again until it has.
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

    /// None where there is no such container.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn container(&self, name: &str) -> Result<Option<ContainerState>> {
        let found = match self.inspect(name).await {
            Ok(found) => found.state.unwrap_or_default(),
            Err(error) if failure::is_not_found(&error) => return Ok(None),
            Err(error) => return Err(explain(&format!("cannot look at the container {name}"), error)),
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

    /// SIGTERM to all, and SIGKILL to those that still run after the grace. Nothing happens to what has ended.
    ///
    /// # Errors
    /// The engine refuses.
    pub async fn stop(&self, names: &[String], grace: Duration) -> Result<()> {
        // Not the engine's own stop: that one blocks a single request for the whole grace, beyond its time limit.
        for name in names {
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

    async fn signal(&self, name: &str, signal: &str) -> Result<()> {
        let options = KillContainerOptionsBuilder::new().signal(signal).build();
        match self.docker.kill_container(name, Some(options)).await {
            Ok(()) => Ok(()),
            // It has ended, or is gone.
            Err(error) if failure::has_status(&error, 409) || failure::is_not_found(&error) => Ok(()),
            Err(error) => Err(explain(&format!("cannot stop the container {name}"), error)),
        }
    }

    /// Removes a container with its scratch folders; nothing happens where there is none.
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
    Error::new(Kind::Unsupported, format!("{engine} gives no GPUs to containers"))
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
            // The engine's default may rotate, and a rotated log has lost lines.
            log_config: Some(HostConfigLogConfig {
                typ: Some("json-file".into()),
                config: Some(HashMap::new()),
            }),
            device_requests: devices,
            // A program of root's in the image does not make the training root, and a fork bomb has an end.
            security_opt: Some(vec!["no-new-privileges".into()]),
            pids_limit: Some(MOST_PROCESSES),
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

/// It is the container that is missing, and not its image.
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
    fn sizes_are_written_as_docker_has_them() {
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
