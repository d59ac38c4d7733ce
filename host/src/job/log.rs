//! Reads a job's log page by page, whatever its driver returns.

use std::time::Duration;

use super::JobHandle;
use crate::{error::Result, plugin::LogPage};

/// Maximum empty pages in a row: a service may send some before a full one, but not endlessly.
const MAX_EMPTY: u32 = 5;
/// Maximum bytes of a line, as of a container's log: a service may return a line of any length.
const MAX_LINE_LENGTH: usize = 256 << 10;
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
        for line in &mut page.lines {
            cut(&mut line.text);
        }
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

/// Cuts a line that is too long, and says so in it.
fn cut(text: &mut String) {
    if text.len() <= MAX_LINE_LENGTH {
        return;
    }
    let end = text.floor_char_boundary(MAX_LINE_LENGTH);
    let left_out = text.len() - end;
    text.truncate(end);
    text.push_str(&format!(" [{left_out} more bytes of this line left out]"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let mut text = "ü".repeat(MAX_LINE_LENGTH);
        cut(&mut text);
        assert!(text.ends_with(&format!("ü [{MAX_LINE_LENGTH} more bytes of this line left out]")));
        let mut short = "x".repeat(MAX_LINE_LENGTH);
        cut(&mut short);
        assert_eq!(short.len(), MAX_LINE_LENGTH);
    }
}
