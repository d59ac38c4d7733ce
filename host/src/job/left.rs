//! The files that a job left, as the runner lists them in the last line of the log.

use serde::{Deserialize, Serialize};

use super::{JobHandle, log::Log};
use crate::ui::bytes;

/// The start of the runner's line; JSON follows.
const MARK: &str = "alekseylearn: left ";
/// Maximum names of one kind: a script may print such a line itself, of any length.
const LISTED: usize = 10;

/// The files that a job left.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Left {
    /// In `/opt/ml/model`.
    pub model: Files,
    /// In `/opt/ml/output/data`.
    pub output_data: Files,
    /// In `/opt/ml/checkpoints`.
    pub checkpoints: Files,
}

/// Files of one kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Files {
    /// Number of files.
    #[serde(rename = "files")]
    pub count: u64,
    /// Their total size in bytes.
    pub bytes: u64,
    /// Names and sizes of the first few files.
    pub first: Vec<(String, u64)>,
}

impl Left {
    /// Reads the runner's line; `None` if this is another line of the log.
    pub fn of_line(line: &str) -> Option<Self> {
        let mut left: Self = serde_json::from_str(line.strip_prefix(MARK)?).ok()?;
        for files in [&mut left.model, &mut left.output_data, &mut left.checkpoints] {
            files.first.truncate(LISTED);
        }
        Some(left)
    }

    /// Adds the files of another machine of the job.
    pub fn join(&mut self, other: Self) {
        self.model.join(other.model);
        self.output_data.join(other.output_data);
        self.checkpoints.join(other.checkpoints);
    }

    /// Lines to display, one or more for each kind; empty if there are no files.
    pub fn lines(&self) -> Vec<String> {
        let kinds =
            [("model", &self.model), ("output data", &self.output_data), ("checkpoints", &self.checkpoints)];
        let mut lines = Vec::new();
        for (kind, files) in kinds.into_iter().filter(|(_, files)| files.count > 0) {
            lines.push(format!("{kind}: {}", files.summary()));
            lines.extend(files.first.iter().map(|(name, size)| format!("  {name}  {}", bytes(*size))));
            let more = files.count.saturating_sub(files.first.len() as u64);
            if more > 0 {
                lines.push(format!("  and {more} more"));
            }
        }
        lines
    }
}

impl Files {
    /// `3 files, 1.20 MiB`.
    pub fn summary(&self) -> String {
        let count = if self.count == 1 { "1 file".to_owned() } else { format!("{} files", self.count) };
        format!("{count}, {}", bytes(self.bytes))
    }

    fn join(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.first.extend(other.first);
        self.first.truncate(LISTED);
    }
}

/// Searches the log of an ended job for its files; `None` if the log does not list them or cannot be read.
pub async fn left(known: &JobHandle<'_>) -> Option<Left> {
    let mut found = Machines::default();
    let mut log = Log::default();
    loop {
        let page = log.page(known).await.ok()?;
        for line in &page.lines {
            found.take(&line.node, &line.text);
        }
        if page.drained {
            return found.together();
        }
    }
}

/// The last list of each machine of a job: a machine that was interrupted starts again, and lists again.
#[derive(Debug, Default)]
pub(super) struct Machines(Vec<(String, Left)>);

impl Machines {
    /// Takes a line if it is the runner's, which is not shown to the user. Returns whether it is.
    pub(super) fn take(&mut self, node: &str, line: &str) -> bool {
        let Some(left) = Left::of_line(line) else { return false };
        match self.0.iter_mut().find(|(name, _)| name == node) {
            Some((_, earlier)) => *earlier = left,
            None => self.0.push((node.to_owned(), left)),
        }
        true
    }

    /// The files of all machines; `None` if no machine has listed any.
    pub(super) fn together(&self) -> Option<Left> {
        self.0.iter().map(|(_, left)| left.clone()).reduce(|mut all, left| {
            all.join(left);
            all
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        r#"alekseylearn: left {"model": {"files": 2, "bytes": 1536, "first": [["a.pt", 1024], ["b", 512]]}}"#;

    #[test]
    fn the_runners_line_is_read_and_no_other() {
        let left = Left::of_line(LINE).unwrap();
        assert_eq!(left.model.first[0], ("a.pt".to_owned(), 1024));
        assert_eq!(left.lines(), ["model: 2 files, 1.50 KiB", "  a.pt  1.00 KiB", "  b  512 B"]);
        for line in ["alekseylearn: left nothing", "alekseylearn: left", "left {}", ""] {
            assert_eq!(Left::of_line(line), None, "{line}");
        }
        assert_eq!(Left::of_line("alekseylearn: left {}").unwrap().lines(), [""; 0]);
    }

    #[test]
    fn machines_are_joined_and_each_counts_once() {
        let mut machines = Machines::default();
        assert_eq!(machines.together(), None);
        assert!(machines.take("algo-1", "alekseylearn: left {}"));
        assert!(machines.take("algo-1", LINE) && machines.take("algo-2", LINE));
        assert!(!machines.take("algo-2", "loss=1"));
        let left = machines.together().unwrap();
        assert_eq!((left.model.count, left.model.bytes), (4, 3072));
    }
}
