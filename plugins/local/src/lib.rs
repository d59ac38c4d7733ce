//! The `local` plugin: builds and trains with the user's Docker engine.

use docker_drivers::{Docker, Plain};

type Local = Docker<Plain>;

alekseylearn_sdk::plugin!(build = Local, train = Local);
