//! The only writer to the terminal. Everything the program says is an [`Event`]; `human` and `json` are two ways to
//! say it. Results and training logs go to standard output, everything else to standard error.

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

/// One thing to be told. In `--json` each is one line: an object whose `event` names it.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event<'a> {
    /// A new stage of the work begins.
    Stage { name: &'a str },
    /// A detail, for `--verbose`.
    Detail { text: &'a str },
    /// Something the user should know.
    Warning { text: &'a str },
    /// A stage goes on, of which nothing else was to be said for a while; and what it does now.
    Waiting { stage: &'a str, step: Option<&'a str>, elapsed_seconds: u64 },
    /// How far some work of the present stage is: in bytes, of a total where that is known.
    Progress { what: &'a str, done: u64, total: Option<u64> },
    /// The job has been given to the service.
    Submitted { job: &'a str, driver: &'a str },
    /// A job's state changed.
    Status { job: &'a str, state: &'a str, detail: Option<&'a str>, elapsed_seconds: u64 },
    /// One line that the training wrote. One that is redrawn, such as a progress bar, is written over by the next.
    Log {
        job: &'a str,
        node: &'a str,
        time: Option<u64>,
        text: &'a str,
        redrawn: bool,
        /// A person must be told which node it is, for there are several.
        #[serde(skip)]
        is_one_of_many: bool,
    },
    /// What the log says of the training so far.
    Metrics { job: &'a str, metrics: &'a [Metric<'a>] },
    /// What a command is for: `data` for programs, `text` for people.
    Result {
        data: serde_json::Value,
        #[serde(skip)]
        text: &'a str,
    },
    /// The command failed.
    Error { kind: &'a str, exit_code: u8, message: &'a str, hint: Option<&'a str>, details: Option<&'a str> },
}

/// How much to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volume {
    /// Results, warnings and errors only.
    Quiet,
    /// Stages and logs too.
    Normal,
    /// Details too.
    Verbose,
}

/// The way to say it.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// NDJSON instead of text.
    pub json: bool,
    /// How much.
    pub volume: Volume,
    /// Standard output.
    pub out: Look,
    /// Standard error.
    pub err: Look,
    /// Somebody watches: lines may move.
    pub interactive: bool,
}

impl Style {
    /// Text, as much of it as usual, to nobody in particular.
    pub const PLAIN: Self =
        Self { json: false, volume: Volume::Normal, out: Look::PLAIN, err: Look::PLAIN, interactive: false };
}

/// Says events, one at a time.
pub struct Ui {
    style: Style,
    voice: Mutex<Box<dyn Voice>>,
    pulse: Mutex<Pulse>,
    unheard: Notify,
}

/// One way to say an event.
trait Voice: Send {
    /// Standard output may wait for `flush`.
    fn say(&mut self, event: &Event<'_>);

    fn flush(&mut self) -> io::Result<()>;
}

struct Silence;

impl Voice for Silence {
    fn say(&mut self, _: &Event<'_>) {}

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Ui {
    /// Starts silent.
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

    /// Says what goes on whenever a stage has been silent for long, and never returns. Where something moves, that
    /// tells as much.
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

    /// The lines that a training writes are shown as they come.
    pub fn shows_logs(&self) -> bool {
        self.style.volume >= Volume::Normal
    }

    /// Returns when nobody reads standard output any more.
    pub async fn unheard(&self) {
        self.unheard.notified().await;
    }

    /// Says nothing to anybody.
    pub fn silent() -> Self {
        Self::with(Style::PLAIN, Box::new(Silence))
    }

    /// The user wants to know more.
    pub fn is_verbose(&self) -> bool {
        self.style.volume == Volume::Verbose
    }

    /// Says one event.
    pub fn say(&self, event: &Event<'_>) {
        self.say_all([event]);
    }

    /// Says many events in one go: a log can have a hundred thousand lines.
    pub fn say_all<'a>(&self, events: impl IntoIterator<Item = impl Borrow<Event<'a>>>) {
        // A panic while speaking leaves nothing half-said that matters.
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

    /// A new stage begins.
    pub fn stage(&self, name: &str) {
        self.say(&Event::Stage { name });
    }

    /// A detail, for `--verbose`.
    pub fn detail(&self, text: &str) {
        self.say(&Event::Detail { text });
    }

    /// Something the user should know.
    pub fn warning(&self, text: &str) {
        self.say(&Event::Warning { text });
    }

    /// What the command is for.
    pub fn result(&self, text: &str, data: serde_json::Value) {
        self.say(&Event::Result { data, text });
    }

    /// Rows under a head, as wide as the terminal at most; as wide as they are where there is none.
    pub fn table<const N: usize>(&self, head: [&str; N], rows: &[[String; N]]) -> String {
        text::table(head, rows, width(&io::stdout()))
    }

    /// A line of a result, cut between words where the terminal ends; what follows is indented by `hang`.
    pub fn folded(&self, line: &str, hang: usize) -> String {
        text::folded(line, width(&io::stdout()), 0, hang)
    }

    /// A person watches, and can answer.
    pub fn can_ask(&self) -> bool {
        self.style.interactive && !self.style.json && io::stdin().is_terminal()
    }

    /// Asks a question of a person: yes or no. Where nobody watches, or another program listens, the answer is no.
    ///
    /// # Errors
    /// The answer cannot be read.
    pub fn ask(&self, question: &str) -> Result<bool> {
        let answer = self.ask_for(&format!("{question} [y/N]"))?;
        Ok(answer.is_some_and(|answer| matches!(answer.as_str(), "y" | "Y" | "yes")))
    }

    /// Asks a person for a line; `None` where nobody watches, or another program listens.
    ///
    /// # Errors
    /// The answer cannot be read.
    pub fn ask_for(&self, question: &str) -> Result<Option<String>> {
        if !self.can_ask() {
            return Ok(None);
        }
        let failed = || "cannot ask".to_owned();
        write!(io::stderr(), "{} ", text::result(question)).context(failed)?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).context(failed)?;
        Ok(Some(answer.trim().to_owned()))
    }

    /// The command failed.
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

/// Of the terminal, if it is one.
fn width(stream: &impl AsFd) -> Option<u16> {
    terminal_size::terminal_size_of(stream).map(|(width, _)| width.0)
}
