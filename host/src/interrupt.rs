//! Ctrl-C. Once anything has listened for it, the system does not end the program by it any more: so where nothing
//! listens at that moment, as while a question waits for its answer, the program ends itself.

use std::{process, sync::LazyLock};

use tokio::sync::watch;

use crate::error::Kind;

static PRESSES: LazyLock<watch::Sender<()>> = LazyLock::new(|| {
    tokio::spawn(async {
        while tokio::signal::ctrl_c().await.is_ok() {
            // It is sent to all who listen, and fails where there are none.
            if PRESSES.send(()).is_err() {
                process::exit(Kind::Interrupted.exit_code().into());
            }
        }
    });
    watch::Sender::new(())
});

/// Waits until the user presses Ctrl-C.
pub async fn interrupted() {
    // The sender lives as long as the program.
    let _ = PRESSES.subscribe().changed().await;
}
