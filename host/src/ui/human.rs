//! Text for people: stages with their times on standard error, training logs and results on standard output.

use std::{
    borrow::Cow,
    io::{self, BufWriter, Stdout, Write, stderr, stdout},
    time::{Duration, Instant},
};

use super::{
    Event, Metric, Style, Voice, Volume, duration, metrics,
    moving::Moving,
    text::{ascii, block, harmless, log_line, paragraph, result},
    width,
};

/// The indentation of details: below the names of stages.
const DETAIL: usize = 8;
/// The width of the bar before each line of details.
const QUOTED: u16 = 4;

pub(super) struct Human {
    style: Style,
    started: Instant,
    stage: String,
    moving: Option<Moving>,
    /// The last state of a redrawn line, such as a progress bar. Printed only if nothing replaces it.
    redrawn: Option<String>,
    out: BufWriter<Stdout>,
}

impl Human {
    pub(super) fn new(style: Style) -> Self {
        let (started, out) = (Instant::now(), BufWriter::new(stdout()));
        Self { style, started, stage: String::new(), moving: None, redrawn: None, out }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.style.err.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Prints a permanent line on standard error.
    fn note(&self, line: &str) {
        let line = ascii(line, self.style.err.ascii);
        self.above(|| {
            let _ = writeln!(stderr().lock(), "{line}");
        });
    }

    /// Prints while the moving line is hidden.
    fn above(&self, print: impl FnOnce()) {
        match &self.moving {
            Some(moving) => moving.aside(print),
            None => print(),
        }
    }

    fn stage(&mut self, name: &str) {
        self.settle();
        if self.style.volume < Volume::Normal {
            return;
        }
        self.stage = paragraph(name);
        let elapsed = duration(self.started.elapsed());
        self.note(&format!("{} {}", self.paint("2", &format!("[{elapsed:>5}]")), self.stage));
        self.spin();
    }

    fn spin(&mut self) {
        if self.style.interactive {
            self.moving = None;
            let stage = ascii(&self.stage, self.style.err.ascii);
            self.moving = Some(Moving::spinner(&stage, self.style.err.ascii));
        }
    }

    fn progress(&mut self, what: &str, done: u64, total: Option<u64>) {
        if !self.style.interactive || self.style.volume < Volume::Normal {
            return;
        }
        let is_shown = self.moving.as_ref().is_some_and(|moving| moving.is_bytes(what, total));
        if total.is_some_and(|total| done >= total) {
            // The stage may have more to do.
            return if is_shown {
                self.spin()
            };
        }
        if !is_shown {
            self.moving = None;
            self.moving = Some(Moving::bytes(what, total, self.style.err.ascii));
        }
        if let Some(moving) = &self.moving {
            moving.set_position(done, total);
        }
    }

    /// Removes the moving line, and prints the last redrawn line.
    fn settle(&mut self) {
        self.moving = None;
        if let Some(redrawn) = self.redrawn.take() {
            let _ = writeln!(self.out, "{redrawn}");
            let _ = self.out.flush();
        }
    }

    fn log(&mut self, text: &str, redrawn: bool) {
        let line = log_line(text, self.style.out.color);
        if redrawn {
            if self.style.interactive {
                self.redraw(line.trim().to_owned());
            }
            self.redrawn = Some(line.into_owned());
            return;
        }
        // No moving line between log lines: redrawing it for each would cost more than the lines themselves.
        self.moving = None;
        self.redrawn = None;
        let _ = writeln!(self.out, "{line}");
    }

    fn redraw(&mut self, line: String) {
        if !self.moving.as_ref().is_some_and(Moving::is_line) {
            self.moving = None;
            let _ = self.out.flush();
            self.moving = Some(Moving::line(self.style.err.ascii));
        }
        if let Some(moving) = &self.moving {
            moving.set_text(line);
        }
    }

    fn result(&mut self, text: &str) {
        self.settle();
        if !text.is_empty() {
            let text = result(text);
            let _ = writeln!(self.out, "{}", ascii(&text, self.style.out.ascii));
        }
    }

    /// Shows the metrics in the moving line, until the next line of the log.
    fn metrics(&mut self, metrics: &[Metric<'_>]) {
        if self.style.volume < Volume::Normal || !self.style.interactive {
            return;
        }
        // The training's own progress bar is enough.
        if self.redrawn.is_none() {
            let line = ascii(&harmless(&metrics::line(metrics)), self.style.err.ascii).into_owned();
            self.redraw(line);
        }
    }

    /// Prints a text after a label, such as `error:`.
    fn remark(&self, color: &str, what: &str, text: &str) {
        let text = block(text, width(&stderr()), what.len() + 1, 2);
        self.note(&format!("{} {text}", self.paint(color, what)));
    }

    fn error(&mut self, message: &str, hint: Option<&str>, details: Option<&str>) {
        self.settle();
        self.remark("1;31", "error:", message);
        for line in details.into_iter().flat_map(str::lines) {
            let bar = self.paint("2", "|");
            let width = width(&stderr()).map(|width| width.saturating_sub(QUOTED));
            for line in block(line, width, 0, 0).split('\n') {
                self.note(&format!("  {bar} {line}"));
            }
        }
        if let Some(hint) = hint {
            self.remark("1;36", "hint:", hint);
        }
    }
}

impl Voice for Human {
    fn say(&mut self, event: &Event<'_>) {
        let volume = self.style.volume;
        match *event {
            Event::Stage { name } => self.stage(name),
            Event::Detail { text } if volume >= Volume::Verbose => {
                let text = block(text, width(&stderr()), DETAIL, DETAIL);
                self.note(&self.paint("2", &format!("{:DETAIL$}{text}", "")));
            }
            Event::Detail { .. } => {}
            Event::Warning { text } => self.remark("1;33", "warning:", text),
            Event::Waiting { stage, step, elapsed_seconds } if volume >= Volume::Normal => {
                let step = step.map_or(Cow::default(), |step| format!(": {step}").into());
                let elapsed = duration(self.started.elapsed());
                let since = duration(Duration::from_secs(elapsed_seconds));
                let line = paragraph(&format!("still: {stage} ({since}){step}"));
                self.note(&format!("{} {line}", self.paint("2", &format!("[{elapsed:>5}]"))));
            }
            Event::Waiting { .. } => {}
            Event::Progress { what, done, total } => self.progress(what, done, total),
            Event::Submitted { job, driver } => self.stage(&format!("Submitted {job} to {driver}")),
            Event::Status { state, detail, .. } => {
                let detail = detail.map_or(Cow::default(), |detail| format!(": {detail}").into());
                self.stage(&format!("Job {state}{detail}"));
            }
            Event::Log { text, node, redrawn, is_one_of_many, .. } if volume >= Volume::Normal => {
                match is_one_of_many {
                    true if self.style.out.color => {
                        self.log(&format!("\x1b[2m{node}\x1b[0m {text}"), redrawn)
                    }
                    true => self.log(&format!("{node} {text}"), redrawn),
                    false => self.log(text, redrawn),
                }
            }
            Event::Log { .. } => {}
            Event::Metrics { metrics, .. } => self.metrics(metrics),
            Event::Result { text, .. } => self.result(text),
            Event::Error { message, hint, details, .. } => self.error(message, hint, details),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn stand_still(&mut self) {
        self.settle();
    }
}

impl Drop for Human {
    fn drop(&mut self) {
        self.settle();
    }
}
