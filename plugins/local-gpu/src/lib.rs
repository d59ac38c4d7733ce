//! The `local-gpu` plugin: builds and trains with the Docker engine of the user's machine, and its GPUs.
//!
//! The base image is the same as elsewhere. The wheels of PyTorch, TensorFlow and JAX bring the CUDA libraries that they
//! were built for, and the engine brings the driver; an image with a CUDA of its own would only add gigabytes.

use alekseylearn_sdk::{Error, Finding, OptionSpec, Training, docker};
use docker_drivers::{Docker, Machine};

enum Nvidia {}

impl Machine for Nvidia {
    /// What NVIDIA's runtime looks for in an image before it adds the driver: also where others run the image.
    const INSTRUCTIONS: &'static str =
        "ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility\n";

    fn options() -> Vec<OptionSpec> {
        let gpus = OptionSpec::text("gpus", "GPUs to train with: all, how many, or which, as device=0,2");
        vec![gpus.default_to("all")]
    }

    fn check(_training: &Training) -> Result<Vec<Finding>, Error> {
        if docker::has_gpus()? {
            return Ok(Vec::new());
        }
        Err(Error::unsupported("the Docker engine gives no GPUs to containers").hint(
            "install the NVIDIA driver and the NVIDIA Container Toolkit, run `sudo nvidia-ctk runtime configure \
             --runtime=docker` and restart Docker; Podman hands none over by Docker's interface; or train without GPUs by --train-driver local",
        ))
    }

    fn equip(container: &docker::Container, training: &Training) -> Result<(), Error> {
        container.gpus(&training.options().text("gpus").unwrap_or("all".into()))
    }
}

type LocalGpu = Docker<Nvidia>;

alekseylearn_sdk::plugin!(build = LocalGpu, train = LocalGpu);
