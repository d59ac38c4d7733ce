//! Text for people: stages with their times on standard error, training logs and results on standard output.

use std::{
    io::{BufWriter, Stdout, Write, stderr, stdout},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use super::{
    Event, Metric, Style, Voice, Volume, bytes, duration, metrics,
    text::{harmless, log_line, paragraph},
};

pub(super) struct Human {
    style: Style,
    started: Instant,
    /// The line that moves: a spinner for a stage, a bar while bytes flow.
    moving: Option<ProgressBar>,
    out: BufWriter<Stdout>,
}

impl Human {
    pub(super) fn new(style: Style) -> Self {
        Self { style, started: Instant::now(), moving: None, out: BufWriter::new(stdout()) }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.style.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A line that stays, on standard error.
    fn note(&self, line: &str) {
        self.above(|| {
            let _ = writeln!(stderr().lock(), "{line}");
        });
    }

    /// Prints while the moving line is out of the way.
    fn above(&self, print: impl FnOnce()) {
        match &self.moving {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    fn stage(&mut self, name: &str) {
        let name = &paragraph(name);
        self.settle();
        if self.style.volume < Volume::Normal {
            return;
        }
        let elapsed = duration(self.started.elapsed());
        self.note(&format!("{} {name}", self.paint("2", &format!("[{elapsed:>5}]"))));
        self.spin(name);
    }

    /// A line that moves, where somebody watches.
    fn spin(&mut self, message: &str) {
        if !self.style.interactive {
            return;
        }
        let spinner = ProgressBar::new_spinner().with_message(message.to_owned());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
            spinner.set_style(style);
        }
        spinner.enable_steady_tick(Duration::from_millis(120));
        self.moving = Some(spinner);
    }

    fn progress(&mut self, done: u64, total: Option<u64>) {
        let Some(bar) = &self.moving else { return };
        if let Some(total) = total {
            if bar.length() != Some(total) {
                if let Ok(style) = ProgressStyle::with_template(
                    "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
                ) {
                    bar.set_style(style);
                }
                bar.set_length(total);
            }
            bar.set_position(done);
        } else {
            bar.set_message(bytes(done));
        }
    }

    fn settle(&mut self) {
        if let Some(bar) = self.moving.take() {
            bar.finish_and_clear();
        }
    }

    fn log(&mut self, text: &str) {
        // The runner ends a line that was only redrawn with a carriage return.
        if let Some(redrawn) = text.strip_suffix('\r')
            && self.style.interactive
        {
            if self.moving.is_none() {
                self.flush();
                self.spin("");
            }
            if let Some(bar) = &self.moving {
                bar.set_message(harmless(redrawn.trim()).into_owned());
            }
            return;
        }
        // Nothing moves between lines that come fast: drawing it again for each would cost more than they do.
        self.settle();
        let _ = writeln!(self.out, "{}", log_line(text.trim_end_matches('\r')));
    }

    /// In the line that moves: the next line of the log takes its place.
    fn metrics(&mut self, metrics: &[Metric<'_>]) {
        if self.style.volume < Volume::Normal || !self.style.interactive {
            return;
        }
        let line = harmless(&metrics::line(metrics)).into_owned();
        match &self.moving {
            Some(bar) => bar.set_message(line),
            None => {
                self.flush();
                self.spin(&line);
            }
        }
    }

    fn error(&mut self, message: &str, hint: Option<&str>, details: Option<&str>) {
        self.settle();
        self.note(&format!("{} {}", self.paint("1;31", "error:"), paragraph(message)));
        if let Some(details) = details {
            for line in details.lines() {
                self.note(&format!("  {} {}", self.paint("2", "|"), harmless(line)));
            }
        }
        if let Some(hint) = hint {
            self.note(&format!("{} {}", self.paint("1;36", "hint:"), paragraph(hint)));
        }
    }
}

impl Voice for Human {
    fn say(&mut self, event: &Event<'_>) {
        let volume = self.style.volume;
        match *event {
            Event::Stage { name } => self.stage(name),
            Event::Detail { text } if volume >= Volume::Verbose => {
                self.note(&self.paint("2", &format!("        {}", paragraph(text))))
            }
            Event::Detail { .. } => {}
            Event::Warning { text } => {
                self.note(&format!("{} {}", self.paint("1;33", "warning:"), paragraph(text)));
            }
            Event::Progress { done, total } => self.progress(done, total),
            Event::Submitted { job, driver } => {
                if volume >= Volume::Normal {
                    self.stage(&format!("Submitted {job} to {driver}"));
                }
            }
            Event::Status { state, detail, .. } => {
                if volume >= Volume::Normal {
                    match detail {
                        Some(detail) => self.stage(&format!("Job {state}: {detail}")),
                        None => self.stage(&format!("Job {state}")),
                    }
                }
            }
            Event::Log { text, node, is_one_of_many, .. } => {
                if volume >= Volume::Normal {
                    match is_one_of_many {
                        true => self.log(&format!("{} {text}", self.paint("2", node))),
                        false => self.log(text),
                    }
                }
            }
            Event::Metrics { metrics, .. } => self.metrics(metrics),
            Event::Result { text, .. } => {
                self.settle();
                if !text.is_empty() {
                    let _ = writeln!(self.out, "{}", harmless(text));
                }
            }
            Event::Error { message, hint, details, .. } => self.error(message, hint, details),
        }
    }

    fn flush(&mut self) {
        let _ = self.out.flush();
    }
}

impl Drop for Human {
    fn drop(&mut self) {
        self.settle();
    }
}
