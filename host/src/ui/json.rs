//! NDJSON on standard output: one event a line, for programs.

use std::io::{self, BufWriter, Stdout, Write, stdout};

use super::{Event, Voice, Volume};

pub(super) struct Json {
    volume: Volume,
    out: BufWriter<Stdout>,
}

impl Json {
    pub(super) fn new(volume: Volume) -> Self {
        Self { volume, out: BufWriter::new(stdout()) }
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
        if serde_json::to_writer(&mut self.out, event).is_ok() {
            let _ = self.out.write_all(b"\n");
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
