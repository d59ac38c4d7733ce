//! The `local` plugin: builds and trains with the Docker engine of the user's machine.

use docker_drivers::{Docker, Plain};

type Local = Docker<Plain>;

alekseylearn_sdk::plugin!(build = Local, train = Local);
