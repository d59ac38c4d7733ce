//! What one call of a driver sees of the host. It lives as long as the call.

use std::sync::Arc;

use wasmtime::{
    StoreLimits, StoreLimitsBuilder,
    component::{Resource, ResourceTable},
};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView, p2::pipe::MemoryOutputPipe};

use super::{
    authority::{Authority, Verb},
    services::Services,
};
use crate::{
    capability::{Progress, aws::Repository},
    error::{Context, Error, Kind, Result},
    ui::{Event, Ui},
};
use std::path::Path;

/// A driver needs a few megabytes; the Python ones fifty.
const MOST_MEMORY: usize = 512 << 20;
const MOST_TABLE_ELEMENTS: usize = 100_000;
const MOST_INSTANCES: usize = 100;
/// As much of what a driver writes to its standard error as an error shows.
const LAST_WORDS: usize = 64 << 10;

/// One call's view of the host.
pub struct State {
    wasi: WasiCtx,
    pub(super) table: ResourceTable,
    pub(super) limits: StoreLimits,
    pub(super) authority: Authority,
    pub(super) services: Arc<Services>,
    pub(super) ui: Arc<Ui>,
    /// What the driver wrote to its standard error.
    pub(super) stderr: MemoryOutputPipe,
    /// Ten-millisecond ticks of its own running time, host calls not counted.
    pub(super) ticks: u32,
    /// The repositories that this call has made ready.
    pub(super) repositories: Vec<Repository>,
}

impl State {
    /// `job` is the folder that the driver sees as `/job`.
    pub(super) fn new(
        authority: Authority,
        services: Arc<Services>,
        ui: Arc<Ui>,
        job: Option<&Path>,
    ) -> Result<Self> {
        let stderr = MemoryOutputPipe::new(LAST_WORDS);
        let mut wasi = WasiCtx::builder();
        wasi.stderr(stderr.clone()).stdout(stderr.clone()).allow_tcp(false).allow_udp(false);
        if let Some(job) = job {
            wasi.preopened_dir(job, "/job", FsPerms::ReadWrite).map_err(|error| {
                Error::failed(format!("cannot open the job's folder {}", job.display())).source(error)
            })?;
        }
        Ok(Self {
            wasi: wasi.build(),
            table: ResourceTable::new(),
            limits: StoreLimitsBuilder::new()
                .memory_size(MOST_MEMORY)
                .table_elements(MOST_TABLE_ELEMENTS)
                .instances(MOST_INSTANCES)
                .tables(MOST_INSTANCES)
                .memories(MOST_INSTANCES)
                .trap_on_grow_failure(true)
                .build(),
            authority,
            services,
            ui,
            stderr,
            ticks: 0,
            repositories: Vec::new(),
        })
    }

    /// Every verb begins here.
    pub(super) fn allow(&self, verb: Verb<'_>) -> Result<()> {
        self.authority.decide(verb)
    }

    pub(super) fn push<T: Send + 'static>(&mut self, value: T) -> Result<Resource<T>> {
        self.table.push(value).context(|| "the driver holds too many things at once".into())
    }

    pub(super) fn get<T: Send + 'static>(&self, handle: &Resource<T>) -> Result<&T> {
        self.table.get(handle).map_err(stale)
    }

    pub(super) fn get_mut<T: Send + 'static>(&mut self, handle: &Resource<T>) -> Result<&mut T> {
        self.table.get_mut(handle).map_err(stale)
    }

    /// Takes back what a driver returned.
    pub(super) fn take<T: Send + 'static>(&mut self, handle: Resource<T>) -> Result<T> {
        self.table.delete(handle).map_err(stale)
    }

    /// What the driver wrote last.
    pub(super) fn last_words(&self) -> String {
        String::from_utf8_lossy(&self.stderr.contents()).trim().to_owned()
    }
}

fn stale(error: wasmtime::component::ResourceTableError) -> Error {
    Error::new(Kind::Plugin, "the driver uses something that it gave back before").source(error)
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Shows a capability's progress to the user.
pub(super) fn show(ui: &Ui) -> impl Fn(Progress<'_>) + Send + Sync {
    move |progress| match progress {
        Progress::Step(name) => ui.detail(name),
        Progress::Line(text) => ui.detail(text),
        Progress::Bytes(done, total) => ui.say(&Event::Progress { done, total }),
    }
}
