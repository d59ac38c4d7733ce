//! Ctrl-C. After the first listener registers, the system no longer ends the program on Ctrl-C. If nothing listens at
//! that moment, for example while a question waits for an answer, the program exits itself.

use std::{process, sync::LazyLock};

use tokio::sync::watch;

use crate::error::Kind;

static PRESSES: LazyLock<watch::Sender<()>> = LazyLock::new(|| {
    tokio::spawn(async {
        while tokio::signal::ctrl_c().await.is_ok() {
            // Sending fails if nobody listens.
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
