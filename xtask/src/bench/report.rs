//! The results as Markdown.

use std::fmt::Write;
use std::time::Duration;

use super::measure::Figures;

/// A section with the figures of one measurement.
pub struct Section {
    title: String,
    text: String,
}

impl Section {
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), text: String::new() }
    }

    pub fn table(mut self, figures: &[Figures]) -> Self {
        self.text += "\n| | median | min to max | memory |\n|---|---:|---:|---:|\n";
        for figure in figures {
            let range = format!("{} to {}", shown(figure.min()), shown(figure.max()));
            let memory = mebibytes(figure.memory);
            self.line(&format!("| {} | {} | {range} | {memory} |", figure.name, shown(figure.median())));
        }
        self
    }

    /// Adds a result, and whether it meets the goal.
    pub fn aim(mut self, found: impl std::fmt::Display, aim: &str, kept: bool) -> Self {
        let verdict = if kept { "kept" } else { "**missed**" };
        self.line(&format!("\n{found}. Aim: {aim}: {verdict}."));
        self
    }

    pub fn note(mut self, text: impl std::fmt::Display) -> Self {
        self.line(&format!("\n{text}."));
        self
    }

    fn line(&mut self, text: &str) {
        writeln!(self.text, "{text}").expect("it is a string");
    }
}

impl std::fmt::Display for Section {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "\n## {}\n{}", self.title, self.text.trim_end())
    }
}

/// Formats a time, rounded to the noise.
fn shown(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 0.1 => format!("{:.1} ms", seconds * 1e3),
        seconds if seconds < 1.0 => format!("{:.0} ms", seconds * 1e3),
        seconds => format!("{seconds:.2} s"),
    }
}

pub fn mebibytes(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_coarse_as_the_noise() {
        assert_eq!(shown(Duration::from_micros(9_140)), "9.1 ms");
        assert_eq!(shown(Duration::from_millis(345)), "345 ms");
        assert_eq!(shown(Duration::from_millis(1_234)), "1.23 s");
    }
}
