//! NDJSON on standard output, for programs: one event per line.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, BufWriter, Stdout, Write, stdout},
};

use super::{Event, Voice, Volume, text::is_obeyed};

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
        if let Ok(line) = serde_json::to_string(event) {
            let _ = writeln!(self.out, "{}", escaped(&line));
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Escapes all characters that control a terminal. JSON itself requires only some of them to be escaped. They occur only
/// in strings.
fn escaped(line: &str) -> Cow<'_, str> {
    if line.is_ascii() || !line.contains(is_obeyed) {
        return line.into();
    }
    let mut escaped = String::with_capacity(line.len() + 16);
    for c in line.chars() {
        if is_obeyed(c) {
            let _ = write!(escaped, "\\u{:04x}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    escaped.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping_removes_control_characters_and_keeps_the_content() {
        let text = "é\u{9b}31m\u{202e}\u{7f}\x1b\n";
        let line = serde_json::to_string(text).unwrap();
        let escaped = escaped(&line);
        assert!(!escaped.contains(is_obeyed), "{escaped}");
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
    }
}
