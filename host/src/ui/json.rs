//! NDJSON on standard output: one event a line, for programs.

use std::io::Write;

use super::{Event, Voice, Volume};

pub(super) struct Json {
    volume: Volume,
}

impl Json {
    pub(super) fn new(volume: Volume) -> Self {
        Self { volume }
    }
}

impl Voice for Json {
    fn say(&mut self, event: &Event<'_>) {
        let least = match event {
            Event::Warning { .. } | Event::Result { .. } | Event::Error { .. } | Event::Submitted { .. } => {
                Volume::Quiet
            }
            Event::Detail { .. } => Volume::Verbose,
            _ => Volume::Normal,
        };
        if self.volume < least {
            return;
        }
        let mut out = std::io::stdout().lock();
        if serde_json::to_writer(&mut out, event).is_ok() {
            // Nobody listens any more: there is nobody to tell.
            let _ = out.write_all(b"\n").and_then(|()| out.flush());
        }
    }
}
