//! The moving line on a terminal: a spinner, a progress bar for bytes, or the training's own progress bar.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// The moving line. Only one exists at a time, and it is cleared when dropped.
pub(super) struct Moving {
    bar: ProgressBar,
    shape: Shape,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    Spinner,
    Bytes { what: String, of_total: bool },
    Line,
}

const TICK: Duration = Duration::from_millis(120);

impl Moving {
    /// A spinner, for work of unknown length.
    pub(super) fn spinner(message: &str, ascii: bool) -> Self {
        let moving = Self::new(Shape::Spinner, "{spinner} {wide_msg} {elapsed}", ascii);
        moving.bar.set_message(message.to_owned());
        moving.bar.enable_steady_tick(TICK);
        moving
    }

    /// A progress bar for bytes, with their rate, and the time left if the total is known.
    pub(super) fn bytes(what: &str, total: Option<u64>, ascii: bool) -> Self {
        let template = match total {
            Some(_) => "{spinner} {wide_msg} {bar:12} {bytes}/{total_bytes} {bytes_per_sec} {eta} left",
            None => "{spinner} {wide_msg} {bytes} {bytes_per_sec}",
        };
        let shape = Shape::Bytes { what: what.to_owned(), of_total: total.is_some() };
        let moving = Self::new(shape, template, ascii);
        moving.bar.set_message(what.to_owned());
        moving.bar.enable_steady_tick(TICK);
        moving
    }

    /// A line that its writer redraws.
    pub(super) fn line(ascii: bool) -> Self {
        Self::new(Shape::Line, "{wide_msg}", ascii)
    }

    fn new(shape: Shape, template: &str, ascii: bool) -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(if ascii {
                style.progress_chars("=> ").tick_chars("|/-\\ ")
            } else {
                style.progress_chars("━╸ ")
            });
        }
        Self { bar, shape }
    }

    /// Whether it already shows the progress of these bytes.
    pub(super) fn is_bytes(&self, wanted: &str, total: Option<u64>) -> bool {
        matches!(&self.shape, Shape::Bytes { what, of_total } if what == wanted && *of_total == total.is_some())
    }

    pub(super) fn is_line(&self) -> bool {
        self.shape == Shape::Line
    }

    pub(super) fn set_position(&self, done: u64, total: Option<u64>) {
        if let Some(total) = total {
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
    }

    pub(super) fn set_text(&self, text: String) {
        self.bar.set_message(text);
    }

    /// Prints something above the line.
    pub(super) fn aside(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
