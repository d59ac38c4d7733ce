//! The GPUs of a container, and how to request them from the engine.

use std::str::FromStr;

use bollard::models::{DeviceRequest, SystemInfo};

use super::{Engine, explain};
use crate::error::{Error, Result};

/// The kind of device in the Container Device Interface.
const CDI_KIND: &str = "nvidia.com/gpu";

/// The GPUs that a container requests, as in `docker run --gpus`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gpus {
    /// All GPUs.
    All,
    /// A number of GPUs.
    Count(u32),
    /// GPUs by number or UUID.
    Devices(Vec<String>),
}

impl FromStr for Gpus {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = || {
            Error::invalid(format!("`{text}` is not a list of GPUs"))
                .hint("use `all`, a number, or a list such as `device=0,2` or `device=GPU-UUID`")
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
        // No machine has more.
        text.parse().ok().filter(|count| (1..=64).contains(count)).map(Self::Count).ok_or_else(invalid)
    }
}

/// How an engine gives GPUs to containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GpuSupport {
    /// Through the Container Device Interface.
    Cdi,
    /// Through NVIDIA's container runtime.
    Nvidia,
}

impl GpuSupport {
    pub(super) fn of(info: &SystemInfo, podman: bool) -> Option<Self> {
        let devices = info.discovered_devices.iter().flatten();
        let listed = |id: Option<&String>| id.is_some_and(|id| id.starts_with(CDI_KIND));
        // Podman's Docker API drops a container's requests for GPUs.
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
    /// How this engine gives GPUs to containers; `None` if it cannot.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn gpu_support(&self) -> Result<Option<GpuSupport>> {
        let info = self.docker.info().await;
        let info = info.map_err(|error| explain("cannot get the Docker engine's information", error))?;
        Ok(GpuSupport::of(&info, self.podman))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_are_parsed_as_docker_does() {
        assert_eq!("all".parse::<Gpus>().unwrap(), Gpus::All);
        assert_eq!("2".parse::<Gpus>().unwrap(), Gpus::Count(2));
        let two = Gpus::Devices(vec!["0".into(), "GPU-1a".into()]);
        assert_eq!("device=0,GPU-1a".parse::<Gpus>().unwrap(), two);
        for text in ["", "0", "-1", "65", "some", "device=", "device=0,,1", "device=a/b"] {
            assert!(text.parse::<Gpus>().unwrap_err().hint_text().is_some(), "{text}");
        }
    }

    #[test]
    fn gpus_are_requested_as_the_engine_supports_it() {
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
