//! The `local` plugin: a build driver that makes images with the Docker engine of the user's machine, and a train
//! driver that runs them there by SageMaker's container contract, as a true rehearsal of the cloud.

mod image;
mod train;

struct Local;

alekseylearn_sdk::plugin!(build = Local, train = Local);
