//! What one call of a driver may take, in memory of its own and of the host.

use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::error::{Error, Kind, Result};

/// A driver needs a few megabytes; the Python ones fifty. All memories of a call together.
const MOST_MEMORY: usize = 512 << 20;
/// All tables of a call together.
const MOST_TABLE_ELEMENTS: usize = 100_000;
/// Instances, tables and memories, of each.
const MOST_PARTS: usize = 100;
/// As many bytes as a driver may leave with the host in one call: what it says of its options, files of a build.
const MOST_HELD: usize = 64 << 20;
/// As many things as a driver may hold at once.
pub(super) const MOST_HANDLES: usize = 10_000;
/// Options, findings, phases or results that a driver tells of at once: the most that any has is some dozens.
pub(super) const MOST_TOLD: usize = 1_000;
/// Lines of a log, or names of jobs, in one answer: ten times the page of a service.
pub(super) const MOST_LINES: usize = 100_000;
/// What it says of its progress in one call.
const MOST_SAID: usize = 10_000;
/// Names that a component imports or exports.
pub(super) const MOST_NAMES: usize = 1_000;
/// Bytes that the driver of a plugin writes to `/job` while this program runs: what it keeps there is little.
pub(super) const MOST_WRITTEN: u64 = 128 << 20;
/// Files and folders that it makes there, less those that it removes.
pub(super) const MOST_FILES: i64 = 10_000;
/// To compile a component, once: a Python driver takes a third of a gigabyte, and some seconds.
pub(super) const MOST_COMPILING_MEMORY: u64 = 2 << 30;
/// Of computing, on all cores together.
pub(super) const MOST_COMPILING_SECONDS: u64 = 120;
/// Also where the machine has other things to do.
pub(super) const LONGEST_COMPILING: Duration = Duration::from_mins(10);
/// Compiled code: twice a component.
pub(super) const MOST_COMPILED: usize = 512 << 20;

/// What a call has taken so far. Nothing of it comes back before the call ends.
#[derive(Debug, Default)]
pub(super) struct Limits {
    memory: usize,
    table_elements: usize,
    held: usize,
    said: usize,
}

impl Limits {
    /// The user is told something.
    pub(super) fn say(&mut self) -> Result<()> {
        self.said += 1;
        if self.said <= MOST_SAID {
            return Ok(());
        }
        Err(Error::new(Kind::Plugin, format!("it said more than {MOST_SAID} things in one call")))
    }

    /// The host keeps something for the driver.
    pub(super) fn hold(&mut self, bytes: usize) -> Result<()> {
        self.held = self.held.saturating_add(bytes);
        if self.held <= MOST_HELD {
            return Ok(());
        }
        Err(Error::new(
            Kind::Plugin,
            format!("it gave the host too much to keep: more than {} MiB", MOST_HELD >> 20),
        ))
    }
}

/// Adds what is to grow to the sum of all, or says what is too much.
fn grow(sum: &mut usize, from: usize, to: usize, most: usize, what: &str) -> wasmtime::Result<bool> {
    *sum = sum.saturating_add(to.saturating_sub(from));
    if *sum <= most { Ok(true) } else { Err(wasmtime::Error::msg(format!("it needs {what}"))) }
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, from: usize, to: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let what = format!("more than {} MiB of memory", MOST_MEMORY >> 20);
        grow(&mut self.memory, from, to, MOST_MEMORY, &what)
    }

    fn table_growing(&mut self, from: usize, to: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let what = format!("tables of more than {MOST_TABLE_ELEMENTS} elements");
        grow(&mut self.table_elements, from, to, MOST_TABLE_ELEMENTS, &what)
    }

    fn instances(&self) -> usize {
        MOST_PARTS
    }

    fn tables(&self) -> usize {
        MOST_PARTS
    }

    fn memories(&self) -> usize {
        MOST_PARTS
    }
}
