//! Which GPUs a container gets, and how the engine hands them over.

use std::str::FromStr;

use bollard::models::{DeviceRequest, SystemInfo};

use super::{Engine, explain};
use crate::error::{Error, Result};

/// The kind of device in the Container Device Interface.
const CDI_KIND: &str = "nvidia.com/gpu";

/// The GPUs that a container asks for, in the words of `docker run --gpus`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gpus {
    /// Whatever is there.
    All,
    /// So many.
    Count(u32),
    /// These, by number or UUID.
    Devices(Vec<String>),
}

impl FromStr for Gpus {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = || {
            Error::invalid(format!("`{text}` are no GPUs"))
                .hint("say `all`, how many, or which: `device=0,2` or `device=GPU-UUID`")
        };
        if text == "all" {
            return Ok(Self::All);
        }
        if let Some(ids) = text.strip_prefix("device=") {
            let plain = |id: &str| {
                !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-:".contains(&byte))
            };
            let ids: Vec<String> = ids.split(',').map(str::to_owned).collect();
            return if ids.iter().all(|id| plain(id)) { Ok(Self::Devices(ids)) } else { Err(invalid()) };
        }
        // More than any machine has is a mistake.
        text.parse().ok().filter(|count| (1..=64).contains(count)).map(Self::Count).ok_or_else(invalid)
    }
}

/// How an engine hands GPUs to containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GpuSupport {
    /// By the Container Device Interface.
    Cdi,
    /// By NVIDIA's container runtime.
    Nvidia,
}

impl GpuSupport {
    pub(super) fn of(info: &SystemInfo, podman: bool) -> Option<Self> {
        let devices = info.discovered_devices.iter().flatten();
        let listed = |id: Option<&String>| id.is_some_and(|id| id.starts_with(CDI_KIND));
        // Whatever it has, Podman's compatible interface drops what a container asks of it.
        if podman {
            return None;
        }
        if devices.clone().any(|device| listed(device.id.as_ref())) {
            return Some(Self::Cdi);
        }
        info.runtimes.as_ref().is_some_and(|all| all.contains_key("nvidia")).then_some(Self::Nvidia)
    }

    pub(super) fn request(self, gpus: &Gpus) -> DeviceRequest {
        match self {
            Self::Cdi => {
                let ids = match gpus {
                    Gpus::All => vec!["all".to_owned()],
                    Gpus::Count(count) => (0..*count).map(|number| number.to_string()).collect(),
                    Gpus::Devices(ids) => ids.clone(),
                };
                DeviceRequest {
                    driver: Some("cdi".into()),
                    device_ids: Some(ids.iter().map(|id| format!("{CDI_KIND}={id}")).collect()),
                    ..DeviceRequest::default()
                }
            }
            Self::Nvidia => {
                let (count, device_ids) = match gpus {
                    Gpus::All => (Some(-1), None),
                    Gpus::Count(count) => (Some(i64::from(*count)), None),
                    Gpus::Devices(ids) => (None, Some(ids.clone())),
                };
                DeviceRequest {
                    count,
                    device_ids,
                    capabilities: Some(vec![vec!["gpu".into()]]),
                    ..DeviceRequest::default()
                }
            }
        }
    }
}

impl Engine {
    /// How this engine hands over GPUs; none where it does not.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn gpu_support(&self) -> Result<Option<GpuSupport>> {
        let info = self.docker.info().await;
        let info = info.map_err(|error| explain("cannot ask the engine what it can do", error))?;
        Ok(GpuSupport::of(&info, self.podman))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_are_named_as_docker_does() {
        assert_eq!("all".parse::<Gpus>().unwrap(), Gpus::All);
        assert_eq!("2".parse::<Gpus>().unwrap(), Gpus::Count(2));
        let two = Gpus::Devices(vec!["0".into(), "GPU-1a".into()]);
        assert_eq!("device=0,GPU-1a".parse::<Gpus>().unwrap(), two);
        for text in ["", "0", "-1", "65", "some", "device=", "device=0,,1", "device=a/b"] {
            assert!(text.parse::<Gpus>().unwrap_err().hint_text().is_some(), "{text}");
        }
    }

    #[test]
    fn the_engine_is_asked_in_the_way_that_it_offers() {
        let info = |text: &str| serde_json::from_str::<SystemInfo>(text).unwrap();
        let plain = info(r#"{"Runtimes": {"runc": {}}}"#);
        let nvidia = info(r#"{"Runtimes": {"runc": {}, "nvidia": {}}}"#);
        let cdi = info(
            r#"{"Runtimes": {"nvidia": {}}, "DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=all"}]}"#,
        );
        assert_eq!(GpuSupport::of(&plain, false), None);
        assert_eq!(GpuSupport::of(&cdi, true), None);
        assert_eq!(GpuSupport::of(&nvidia, false), Some(GpuSupport::Nvidia));
        assert_eq!(GpuSupport::of(&cdi, false), Some(GpuSupport::Cdi));
        let json = |support: GpuSupport, gpus| serde_json::to_value(support.request(&gpus)).unwrap();
        assert_eq!(
            json(GpuSupport::Nvidia, Gpus::All),
            serde_json::json!({"Count": -1, "Capabilities": [["gpu"]]})
        );
        assert_eq!(
            json(GpuSupport::Cdi, Gpus::Count(2)),
            serde_json::json!({"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=0", "nvidia.com/gpu=1"]})
        );
    }
}
