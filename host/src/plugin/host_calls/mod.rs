//! The functions of the contract that plugins import. Each converts its arguments, asks the authority, and delegates to
//! a capability.

mod aws;
mod docker;
mod http;
mod oci;
mod options;
mod process;
mod report;
mod run;
mod sagemaker;

pub(super) use http::{Asked, Requester, route};

use std::time::Duration;

use crate::{
    error::{Error, Kind},
    plugin::sandbox::{
        bindings::alekseylearn::driver::{progress, types},
        state::CallState,
    },
};

/// The longest wait in one call.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// The size limit of a text or response, in bytes.
const MAX_TEXT_LENGTH: usize = 1 << 20;

impl types::Host for CallState {
    fn convert_error(&mut self, error: Error) -> wasmtime::Result<types::Error> {
        let problem = types::Problem {
            message: error.chain(),
            hint: error.hint_text().map(str::to_owned),
            details: error.details_text().map(str::to_owned),
        };
        Ok(match error.kind() {
            Kind::Invalid => types::Error::Invalid(problem),
            Kind::Denied => types::Error::Denied(problem),
            Kind::NotFound => types::Error::NotFound(problem),
            Kind::Conflict => types::Error::Conflict(problem),
            Kind::Quota => types::Error::Quota(problem),
            Kind::Unavailable => types::Error::Unavailable(problem),
            Kind::Unsupported => types::Error::Unsupported(problem),
            Kind::Failed
            | Kind::Plugin
            | Kind::JobFailed
            | Kind::JobStopped
            | Kind::Interrupted
            | Kind::Unheard => types::Error::Failed(problem),
        })
    }
}

/// Converts a driver's error to the program's own.
pub(super) fn from_driver(error: types::Error) -> Error {
    let (kind, problem) = match error {
        types::Error::Invalid(problem) => (Kind::Invalid, problem),
        types::Error::Denied(problem) => (Kind::Denied, problem),
        types::Error::NotFound(problem) => (Kind::NotFound, problem),
        types::Error::Conflict(problem) => (Kind::Conflict, problem),
        types::Error::Quota(problem) => (Kind::Quota, problem),
        types::Error::Unavailable(problem) => (Kind::Unavailable, problem),
        types::Error::Unsupported(problem) => (Kind::Unsupported, problem),
        types::Error::Failed(problem) => (Kind::Failed, problem),
    };
    let mut error = Error::new(kind, shorten(problem.message));
    if let Some(hint) = problem.hint {
        error = error.hint(shorten(hint));
    }
    if let Some(details) = problem.details {
        error = error.details(shorten(details));
    }
    error
}

/// A path relative to the job's folder. Drivers may write it with `/job/` in front.
fn in_job(path: String) -> String {
    match path.strip_prefix("/job/") {
        Some(relative) => relative.to_owned(),
        None => path,
    }
}

fn shorten(mut text: String) -> String {
    const MAX_LENGTH: usize = 16 << 10;
    if text.len() > MAX_LENGTH {
        let end = (0..=MAX_LENGTH).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

impl progress::Host for CallState {
    async fn stage(&mut self, name: String) -> wasmtime::Result<()> {
        self.limits.say()?;
        self.ui.stage(&shorten(name));
        Ok(())
    }

    async fn detail(&mut self, text: String) -> wasmtime::Result<()> {
        self.limits.say()?;
        self.ui.detail(&shorten(text));
        Ok(())
    }

    async fn wait(&mut self, reason: String, seconds: u32) -> wasmtime::Result<()> {
        self.limits.say()?;
        self.ui.detail(&shorten(reason));
        tokio::time::sleep(Duration::from_secs(seconds.into()).min(MAX_WAIT)).await;
        Ok(())
    }

    async fn warning(&mut self, text: String) -> wasmtime::Result<()> {
        self.limits.say()?;
        self.ui.warning(&shorten(text));
        Ok(())
    }
}
