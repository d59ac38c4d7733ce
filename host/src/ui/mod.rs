//! The only module that writes to the terminal. All output is an [`Event`], which `human` or `json` formats. Results and
//! training logs go to standard output, everything else to standard error.

mod human;
mod json;
mod metrics;
mod moving;
mod pulse;
mod text;

use std::{
    borrow::Borrow,
    convert::Infallible,
    io::{self, ErrorKind, IsTerminal, Write},
    os::fd::AsFd,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use serde::Serialize;
use tokio::sync::Notify;

use crate::{
    environment::Look,
    error::{Context, Error, Result},
};

use pulse::{Beat, Pulse};

pub use metrics::{Metric, number};
pub use text::{bytes, duration, lines};

/// One piece of output. With `--json`, each is one line: an object whose `event` is its name.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event<'a> {
    /// A new stage begins.
    Stage { name: &'a str },
    /// A detail, for `--verbose`.
    Detail { text: &'a str },
    /// Something the user should know.
    Warning { text: &'a str },
    /// A stage is still running without other output; with its current step.
    Waiting { stage: &'a str, step: Option<&'a str>, elapsed_seconds: u64 },
    /// The progress of some work in the current stage, in bytes; `total` if it is known.
    Progress { what: &'a str, done: u64, total: Option<u64> },
    /// The job was submitted to the service.
    Submitted { job: &'a str, driver: &'a str },
    /// A job's state changed.
    Status { job: &'a str, state: &'a str, detail: Option<&'a str>, elapsed_seconds: u64 },
    /// One line of the training's log. The next line replaces a redrawn line, such as a progress bar.
    Log {
        job: &'a str,
        node: &'a str,
        time: Option<u64>,
        text: &'a str,
        redrawn: bool,
        /// The job has several nodes, so text output names this one.
        #[serde(skip)]
        is_one_of_many: bool,
    },
    /// The metrics found in the log so far.
    Metrics { job: &'a str, metrics: &'a [Metric<'a>] },
    /// The result of the command: `data` for programs, `text` for people.
    Result {
        data: serde_json::Value,
        #[serde(skip)]
        text: &'a str,
    },
    /// The command failed.
    Error { kind: &'a str, exit_code: u8, message: &'a str, hint: Option<&'a str>, details: Option<&'a str> },
}

/// How much to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volume {
    /// Results, warnings and errors only.
    Quiet,
    /// Stages and logs too.
    Normal,
    /// Details too.
    Verbose,
}

/// How to print.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// NDJSON instead of text.
    pub json: bool,
    /// How much to print.
    pub volume: Volume,
    /// Standard output.
    pub out: Look,
    /// Standard error.
    pub err: Look,
    /// A person watches: lines may be redrawn.
    pub interactive: bool,
}

impl Style {
    /// Plain text at the normal volume.
    pub const PLAIN: Self =
        Self { json: false, volume: Volume::Normal, out: Look::PLAIN, err: Look::PLAIN, interactive: false };
}

/// Prints events, one at a time.
pub struct Ui {
    style: Style,
    voice: Mutex<Box<dyn Voice>>,
    pulse: Mutex<Pulse>,
    unheard: Notify,
}

/// A format of events.
trait Voice: Send {
    /// Prints an event. Standard output may be buffered until `flush`.
    fn say(&mut self, event: &Event<'_>);

    fn flush(&mut self) -> io::Result<()>;

    /// Removes a moving line, which would be drawn over a question.
    fn stand_still(&mut self) {}
}

struct Silence;

impl Voice for Silence {
    fn say(&mut self, _: &Event<'_>) {}

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Ui {
    /// A new output in this style.
    pub fn new(style: Style) -> Self {
        let voice: Box<dyn Voice> = if style.json {
            Box::new(json::Json::new(style.volume))
        } else {
            Box::new(human::Human::new(style))
        };
        Self::with(style, voice)
    }

    fn with(style: Style, voice: Box<dyn Voice>) -> Self {
        Self {
            style,
            voice: Mutex::new(voice),
            pulse: Mutex::new(Pulse::new(Instant::now())),
            unheard: Notify::new(),
        }
    }

    /// Prints a line whenever a stage has been silent for long. Never returns. Prints nothing on a terminal, which shows a
    /// spinner instead.
    pub async fn keep_talking(&self) -> Infallible {
        if self.style.interactive || self.style.volume < Volume::Normal {
            return std::future::pending().await;
        }
        loop {
            let next = self.pulse().next();
            tokio::time::sleep_until(next.into()).await;
            let beat = self.pulse().beat(Instant::now());
            if let Some(Beat { stage, step, elapsed_seconds }) = beat {
                self.say(&Event::Waiting { stage: &stage, step: step.as_deref(), elapsed_seconds });
            }
        }
    }

    fn pulse(&self) -> MutexGuard<'_, Pulse> {
        self.pulse.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the log of a training is shown as it arrives.
    pub fn shows_logs(&self) -> bool {
        self.style.volume >= Volume::Normal
    }

    /// Returns when standard output is closed (a broken pipe).
    pub async fn unheard(&self) {
        self.unheard.notified().await;
    }

    /// An output that prints nothing.
    pub fn silent() -> Self {
        Self::with(Style::PLAIN, Box::new(Silence))
    }

    /// Whether `--verbose` was given.
    pub fn is_verbose(&self) -> bool {
        self.style.volume == Volume::Verbose
    }

    /// Prints one event.
    pub fn say(&self, event: &Event<'_>) {
        self.say_all([event]);
    }

    /// Prints many events at once: a log can have a hundred thousand lines.
    pub fn say_all<'a>(&self, events: impl IntoIterator<Item = impl Borrow<Event<'a>>>) {
        // A panic while printing leaves no state that matters.
        let mut voice = self.voice.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pulse = self.pulse();
        let now = Instant::now();
        for event in events {
            pulse.heard(event.borrow(), now);
            voice.say(event.borrow());
        }
        drop(pulse);
        if voice.flush().is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
            self.unheard.notify_one();
        }
    }

    /// Announces a new stage.
    pub fn stage(&self, name: &str) {
        self.say(&Event::Stage { name });
    }

    /// Prints a detail, for `--verbose`.
    pub fn detail(&self, text: &str) {
        self.say(&Event::Detail { text });
    }

    /// Prints a warning.
    pub fn warning(&self, text: &str) {
        self.say(&Event::Warning { text });
    }

    /// Prints the result of the command.
    pub fn result(&self, text: &str, data: serde_json::Value) {
        self.say(&Event::Result { data, text });
    }

    /// A table, at most as wide as the terminal; not limited if there is none.
    pub fn table<const N: usize>(&self, head: [&str; N], rows: &[[String; N]]) -> String {
        text::table(head, rows, width(&io::stdout()))
    }

    /// A line of a result, wrapped at the terminal's width; further lines are indented by `hang`.
    pub fn folded(&self, line: &str, hang: usize) -> String {
        text::folded(line, width(&io::stdout()), 0, hang)
    }

    /// Whether a person watches who can answer.
    pub fn can_ask(&self) -> bool {
        self.style.interactive && !self.style.json && io::stdin().is_terminal()
    }

    /// Asks a yes-or-no question. The answer is no without a terminal or with `--json`.
    ///
    /// # Errors
    /// The answer cannot be read.
    pub fn ask(&self, question: &str) -> Result<bool> {
        let answer = self.ask_for(&format!("{question} [y/N]"))?;
        Ok(answer.is_some_and(|answer| matches!(answer.as_str(), "y" | "Y" | "yes")))
    }

    /// Asks for a line of text; `None` without a terminal or with `--json`.
    ///
    /// # Errors
    /// The answer cannot be read.
    pub fn ask_for(&self, question: &str) -> Result<Option<String>> {
        if !self.can_ask() {
            return Ok(None);
        }
        let failed = || "cannot read the answer".to_owned();
        self.voice.lock().unwrap_or_else(PoisonError::into_inner).stand_still();
        write!(io::stderr(), "{} ", text::result(question)).context(failed)?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).context(failed)?;
        Ok(Some(answer.trim().to_owned()))
    }

    /// Prints the error that ends the command.
    pub fn error(&self, error: &Error) {
        self.say(&Event::Error {
            kind: error.kind().name(),
            exit_code: error.kind().exit_code(),
            message: &error.chain(),
            hint: error.hint_text(),
            details: error.details_text(),
        });
    }
}

/// The width of the terminal; `None` if the stream is not one.
fn width(stream: &impl AsFd) -> Option<u16> {
    terminal_size::terminal_size_of(stream).map(|(width, _)| width.0)
}
