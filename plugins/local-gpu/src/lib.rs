//! The `local-gpu` plugin: builds and trains with the user's Docker engine and its GPUs.
//!
//! The base image is the same as for other drivers. The wheels of PyTorch, TensorFlow and JAX bring the CUDA libraries
//! that they were built for, and the engine brings the driver. An image with CUDA would only add gigabytes.

use alekseylearn_sdk::{Error, Finding, OptionSpec, Training, docker};
use docker_drivers::{Docker, Machine};

enum Nvidia {}

impl Machine for Nvidia {
    /// Variables that NVIDIA's runtime needs in an image to add the driver, wherever the image runs.
    const INSTRUCTIONS: &'static str =
        "ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility\n";

    fn options() -> Vec<OptionSpec> {
        let gpus =
            OptionSpec::text("gpus", "GPUs to train with: all, a number, or a list such as device=0,2");
        vec![gpus.default_to("all")]
    }

    fn check(_training: &Training) -> Result<Vec<Finding>, Error> {
        if docker::has_gpus()? {
            return Ok(Vec::new());
        }
        Err(Error::unsupported("the Docker engine cannot give GPUs to containers").hint(
            "install the NVIDIA driver and the NVIDIA Container Toolkit, run `sudo nvidia-ctk runtime configure \
             --runtime=docker` and restart Docker (Podman's Docker API does not support GPUs); or train without GPUs \
             with --train-driver local",
        ))
    }

    fn equip(container: &docker::Container, training: &Training) -> Result<(), Error> {
        container.gpus(&training.options().text("gpus").unwrap_or("all".into()))
    }
}

type LocalGpu = Docker<Nvidia>;

alekseylearn_sdk::plugin!(build = LocalGpu, train = LocalGpu);
