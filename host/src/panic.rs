//! Turns a panic, of the program or of a library, into an ordinary error with an exit code and, with `--json`, an event.

use std::{
    panic::{self, AssertUnwindSafe, PanicHookInfo},
    sync::{Mutex, PoisonError},
};

use futures_util::FutureExt;

use crate::{
    environment::Environment,
    error::{Error, Result},
};

/// The message and location of the last panic.
static LAST: Mutex<Option<String>> = Mutex::new(None);

/// Stores the message of a panic instead of printing it. With `RUST_BACKTRACE`, it is also printed.
pub fn listen() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
        let said = info.payload_as_str().unwrap_or("no reason given");
        let place = info.location().map(|place| format!(" ({}:{})", place.file(), place.line()));
        let said = format!("{}{}", said.lines().next().unwrap_or_default(), place.unwrap_or_default());
        *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
        if Environment::variable("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            print(info);
        }
    }));
}

/// Runs some work, and turns a panic into an error.
///
/// # Errors
/// The work fails or panics.
pub fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(error()))
}

/// The same for asynchronous work.
///
/// # Errors
/// The work fails or panics.
pub async fn caught_in<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| Err(error()))
}

fn error() -> Error {
    let said = LAST.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
    Error::failed(format!("internal error: {said}"))
        .hint("report this error; run with RUST_BACKTRACE=1 to include a backtrace")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[tokio::test]
    async fn a_panic_is_one_error() {
        for error in [
            caught::<()>(|| panic!("no such thing")).unwrap_err(),
            caught_in::<()>(async { panic!("no such thing") }).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), Kind::Failed);
            assert!(error.message().starts_with("internal error: "), "{error:?}");
        }
        assert_eq!(caught(|| Ok(1)).unwrap(), 1);
    }
}
