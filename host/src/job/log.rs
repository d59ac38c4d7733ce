//! Reads a job's log page by page, whatever its driver returns.

use std::time::Duration;

use super::JobHandle;
use crate::{error::Result, plugin::LogPage};

/// Maximum empty pages in a row: a service may send some before a full one, but not endlessly.
const MAX_EMPTY: u32 = 5;
/// Wait after an empty page.
const PAUSE: Duration = Duration::from_secs(1);

/// How far a log was read.
#[derive(Debug, Default)]
pub(super) struct Log {
    cursor: Option<String>,
    empty: u32,
}

impl Log {
    /// Returns the next page. It is drained if the driver says so, or if the next request would return the same again.
    ///
    /// # Errors
    /// The service does not answer, or refuses.
    pub(super) async fn page(&mut self, known: &JobHandle<'_>) -> Result<LogPage> {
        let mut page = known.driver.logs(&known.job, self.cursor.as_deref()).await?;
        let moved = self.cursor.as_ref() != Some(&page.cursor);
        self.cursor = Some(page.cursor.clone());
        self.empty = if page.lines.is_empty() { self.empty + 1 } else { 0 };
        if !moved || self.empty >= MAX_EMPTY {
            page.drained = true;
        }
        if page.drained {
            self.empty = 0;
        } else if page.lines.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(page)
    }
}
