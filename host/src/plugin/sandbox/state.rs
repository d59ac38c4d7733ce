//! The host's state for one driver call.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::{
    job_folder::Writes,
    limits::{Limits, MAX_HANDLES},
    stderr_tail::StderrTail,
    time_budget::TimeBudget,
};
use crate::{
    capability::{
        Progress,
        aws::{Aws, Repository},
        docker::BuildContext,
        oci::Assembly,
    },
    error::{Error, Kind, Result},
    plugin::{
        host_calls::Requester,
        policy::{authority::Authority, verb::Verb},
        services::Services,
    },
    ui::{Event, Ui},
};

/// The host's state for one driver call.
pub struct CallState {
    pub(crate) wasi: WasiCtx,
    http: WasiHttpCtx,
    /// Sends the call's requests.
    pub(crate) requester: Requester,
    pub(crate) table: ResourceTable,
    pub(crate) limits: Limits,
    pub(crate) authority: Arc<Authority>,
    pub(crate) services: Arc<Services>,
    /// The AWS client for its verbs.
    pub(crate) aws: Arc<Aws>,
    pub(crate) ui: Arc<Ui>,
    /// The folder that the driver sees as `/job`; `None` if there is no job.
    pub(crate) job: Option<PathBuf>,
    /// The call's writes to that folder.
    pub(crate) writes: Writes,
    /// The driver's standard output and error.
    pub(crate) words: StderrTail,
    /// The time that the driver has used, without host calls.
    pub(crate) time: TimeBudget,
    /// The repositories that this call has prepared.
    pub(crate) repositories: Vec<Repository>,
    /// The requests of a dry run; `None` if this is not one.
    pub(crate) rehearsal: Option<DryRun>,
}

/// What a driver requested in a dry run, which builds, creates and starts nothing.
#[derive(Debug, Default)]
pub(crate) struct DryRun {
    /// The last build.
    pub(crate) build: Option<BuildContext>,
    /// The last assembly.
    pub(crate) assembly: Option<Arc<Assembly>>,
    /// Whether the repository does not exist yet.
    pub(crate) repository_is_missing: bool,
}

impl CallState {
    /// `job` is the folder that the driver sees as `/job`.
    pub(crate) fn new(
        authority: Authority,
        services: Arc<Services>,
        ui: Arc<Ui>,
        job: Option<&Path>,
        writes: Writes,
    ) -> Result<Self> {
        let (speaker, name, tried_out) = (ui.clone(), authority.plugin.clone(), authority.lent);
        let words = StderrTail::new(Box::new(move |line: &str| {
            let line = format!("{name}: {line}");
            // Only the plugin's author tries it out.
            if tried_out { speaker.stage(&line) } else { speaker.detail(&line) }
        }));
        let mut wasi = WasiCtx::builder();
        wasi.stderr(words.clone()).stdout(words.clone()).allow_tcp(false).allow_udp(false);
        if let Some(job) = job {
            wasi.preopened_dir(job, "/job", FsPerms::ReadWrite).map_err(|error| {
                Error::failed(format!("cannot open the job's folder {}", job.display())).source(error)
            })?;
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        let rehearsal = authority.scope.dry_run.then(DryRun::default);
        let authority = Arc::new(authority);
        Ok(Self {
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            requester: Requester::new(authority.clone(), services.clone()),
            table,
            limits: Limits::default(),
            aws: services.aws(&authority.scope.aws),
            authority,
            services,
            ui,
            job: job.map(Path::to_owned),
            writes,
            words,
            time: TimeBudget::default(),
            repositories: Vec::new(),
            rehearsal,
        })
    }

    /// Decides a verb. Every verb must call this first.
    pub(crate) fn allow(&self, verb: Verb<'_>) -> Result<()> {
        self.authority.decide(verb)
    }

    pub(crate) fn push<T: Send + 'static>(&mut self, value: T) -> Result<Resource<T>> {
        self.table.push(value).map_err(|_| Error::new(Kind::Plugin, "it holds too many handles"))
    }

    /// Counts bytes before the host keeps them for the driver.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<()> {
        self.limits.hold(bytes)
    }

    pub(crate) fn get<T: Send + 'static>(&self, handle: &Resource<T>) -> Result<&T> {
        self.table.get(handle).map_err(stale)
    }

    pub(crate) fn get_mut<T: Send + 'static>(&mut self, handle: &Resource<T>) -> Result<&mut T> {
        self.table.get_mut(handle).map_err(stale)
    }

    /// Takes a value that a driver returned.
    pub(crate) fn take<T: Send + 'static>(&mut self, handle: Resource<T>) -> Result<T> {
        self.table.delete(handle).map_err(stale)
    }

    /// The end of the driver's output.
    pub(crate) fn last_words(&self) -> String {
        self.words.text()
    }
}

fn stale(error: wasmtime::component::ResourceTableError) -> Error {
    Error::new(Kind::Plugin, "it uses a handle that it already returned").source(error)
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for CallState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.requester, table: &mut self.table, ctx: &mut self.http }
    }
}

/// Shows a capability's progress to the user.
pub(crate) fn show(ui: &Ui) -> impl Fn(Progress<'_>) + Send + Sync {
    move |progress| match progress {
        Progress::Step(name) => ui.detail(name),
        Progress::Line(text) => ui.detail(text),
        Progress::Bytes { what, done, total } => ui.say(&Event::Progress { what, done, total }),
    }
}
