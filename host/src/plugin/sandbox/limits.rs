//! The limits of one driver call: its own memory, and what it may make the host keep.

use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::error::{Error, Kind, Result};

/// The total size of all memories of a call. A driver needs a few megabytes, or fifty if it is written in Python.
const MAX_MEMORY: usize = 512 << 20;
/// The total size of all tables of a call.
const MAX_TABLE_ELEMENTS: usize = 100_000;
/// The number of instances, of tables and of memories.
const MAX_PARTS: usize = 100;
/// The bytes that a driver may make the host keep in one call, such as option descriptions and build files.
const MAX_HELD: usize = 64 << 20;
/// The number of handles that a driver may hold at once.
pub(crate) const MAX_HANDLES: usize = 10_000;
/// The number of options, findings, phases or results in one response. Real drivers return a few dozen at most.
pub(crate) const MAX_SHOWN: usize = 1_000;
/// The number of log lines or job names in one response: ten times a service's page.
pub(crate) const MAX_LINES: usize = 100_000;
/// The number of progress messages in one call.
const MAX_HOST_CALL_BYTES: usize = 10_000;
/// The bytes that a plugin may write to `/job` while this program runs.
pub(crate) const MAX_WRITTEN: u64 = 128 << 20;
/// The number of files and folders that it may create there, minus those that it removes.
pub(crate) const MAX_FILES: i64 = 10_000;
/// The memory to compile a component, in bytes. A Python driver takes a third of a gigabyte and a few seconds.
pub(crate) const MAX_COMPILING_MEMORY: u64 = 2 << 30;
/// The CPU time to compile a component, on all cores together.
pub(crate) const MAX_COMPILING_SECONDS: u64 = 120;
/// The wall-clock time to compile a component, even on a busy machine.
pub(crate) const MAX_COMPILING: Duration = Duration::from_mins(10);
/// The size of compiled code, in bytes. It is about twice the size of the component.
pub(crate) const MAX_COMPILED: usize = 512 << 20;

/// What a call has used so far. Nothing is returned before the call ends.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    memory: usize,
    table_elements: usize,
    held: usize,
    said: usize,
}

impl Limits {
    /// Counts a message to the user.
    pub(crate) fn say(&mut self) -> Result<()> {
        self.said += 1;
        if self.said <= MAX_HOST_CALL_BYTES {
            return Ok(());
        }
        Err(Error::new(
            Kind::Plugin,
            format!("it sent more than {MAX_HOST_CALL_BYTES} progress messages in one call"),
        ))
    }

    /// Counts bytes that the host keeps for the driver.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<()> {
        self.held = self.held.saturating_add(bytes);
        if self.held <= MAX_HELD {
            return Ok(());
        }
        Err(Error::new(
            Kind::Plugin,
            format!("it passed more than {} MiB to the host in one call", MAX_HELD >> 20),
        ))
    }
}

/// Adds growth to the sum, and fails if that exceeds the limit.
fn grow(sum: &mut usize, from: usize, to: usize, most: usize, what: &str) -> wasmtime::Result<bool> {
    *sum = sum.saturating_add(to.saturating_sub(from));
    if *sum <= most { Ok(true) } else { Err(wasmtime::Error::msg(format!("it needs {what}"))) }
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, from: usize, to: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let what = format!("more than {} MiB of memory", MAX_MEMORY >> 20);
        grow(&mut self.memory, from, to, MAX_MEMORY, &what)
    }

    fn table_growing(&mut self, from: usize, to: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let what = format!("tables of more than {MAX_TABLE_ELEMENTS} elements");
        grow(&mut self.table_elements, from, to, MAX_TABLE_ELEMENTS, &what)
    }

    fn instances(&self) -> usize {
        MAX_PARTS
    }

    fn tables(&self) -> usize {
        MAX_PARTS
    }

    fn memories(&self) -> usize {
        MAX_PARTS
    }
}
