//! What the host can do for drivers. Only these modules use bollard, the AWS SDK and the registry client. None of them
//! knows about plugins, grants or the terminal.

pub mod aws;
pub mod certificates;
pub mod docker;
pub mod http;
mod image;
mod logins;
pub mod oci;
mod packages;
pub mod process;
mod proxy;
mod stream;
pub mod transfer;

pub use image::Image;
#[cfg(any(test, fuzzing))]
pub use transfer::FUZZ;

/// The progress of an operation.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// A step begins.
    Step(&'a str),
    /// A line of the service's output.
    Line(&'a str),
    /// Bytes done.
    Bytes {
        /// The operation, such as `pushing`.
        what: &'static str,
        /// How many bytes are done.
        done: u64,
        /// The total; `None` if it is unknown.
        total: Option<u64>,
    },
}

/// A callback for progress.
pub type Listener<'a> = &'a (dyn Fn(Progress<'_>) + Send + Sync);
