//! What the host can do for drivers, each by the library that knows the service: the only rooms that name bollard,
//! the AWS SDK or a client of registries. None of them knows of plugins, grants or the terminal.

pub mod aws;
pub mod certificates;
pub mod docker;
pub mod http;
mod logins;
pub mod oci;
mod proxy;
pub mod transfer;

#[cfg(any(test, fuzzing))]
pub use transfer::FUZZ;

/// How far some work is, told while it goes on.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// A step begins.
    Step(&'a str),
    /// A line of what the service says.
    Line(&'a str),
    /// Bytes of some work done, of a total where that is known.
    Bytes {
        /// Which work, such as `pushing`.
        what: &'static str,
        /// So many.
        done: u64,
        /// Of so many.
        total: Option<u64>,
    },
}

/// Who listens to the progress.
pub type Listener<'a> = &'a (dyn Fn(Progress<'_>) + Send + Sync);
