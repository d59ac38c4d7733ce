//! Follows a job to its end: shows its states, and its log as it is written.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    Context, Entry, JobHandle, Outcome, Record,
    left::{Left, Machines},
    log::Log,
    metrics::{self, Metrics},
    outage::{OutageTracker, PATIENCE, RetryDecision},
    pace::Pace,
};
use crate::{
    error::{Error, Kind, Result},
    interrupt::interrupted,
    panic,
    plugin::{JobState, JobStatus, LogPage},
    ui::Event,
};

/// How long "access denied" and "not found" are retried: new permissions take a while to apply.
const FORBEARANCE: Duration = Duration::from_secs(60);
/// Wait before a failed read of the log is retried.
const LOG_WAIT: Duration = Duration::from_secs(30);
/// Wait before a failed read of the state is retried.
const STATE_WAIT: Duration = Duration::from_secs(5);
/// Maximum time spent on the log of an ended job: a log may never end.
const MAX_REST: Duration = Duration::from_secs(600);
/// Number of shown lines that are remembered, enough for any traceback.
const REMEMBERED: usize = 500;

/// How following a job ended.
#[derive(Debug)]
pub enum Ending {
    /// The job ended.
    Ended(Box<Ended>),
    /// The user pressed Ctrl-C; the job continues.
    Detached,
}

/// A job that was followed to its end.
#[derive(Debug)]
pub struct Ended {
    /// Its final status.
    pub status: JobStatus,
    /// The files that it left; `None` if its log does not list them.
    pub left: Option<Left>,
    /// The last lines of its log that the user has seen.
    pub(super) shown: VecDeque<String>,
}

/// Shows a job's states and log until it ends or the user presses Ctrl-C. If the log cannot be read, only the
/// states are shown.
///
/// # Errors
/// The service can no longer be queried. The error says that the job continues.
pub async fn follow(context: &Context, record: &Record, known: &JobHandle<'_>) -> Result<Ending> {
    let mut following = Following::new(context, record, known);
    let ending = tokio::select! {
        biased;
        () = interrupted() => None,
        status = panic::caught_in(following.follow()) => Some(status),
    };
    following.keep_metrics()?;
    let Some(status) = ending else { return Ok(Ending::Detached) };
    let status = status.map_err(|error| goes_on(&known.job.name, error))?;
    let left = following.left.together();
    // If the log could not be read, nothing is known about the files.
    if known.entry.is_some() && following.log_error.is_none() {
        record.left(&known.job.name, left.as_ref())?;
    }
    Ok(Ending::Ended(Box::new(Ended { status, left, shown: following.shown })))
}

/// Waits up to `most` for a job to end, and shows only its states. Returns `None` if it does not end in that time.
///
/// # Errors
/// The service can no longer be queried. The error says that the job continues.
pub async fn wait_for_end(
    context: &Context,
    record: &Record,
    known: &JobHandle<'_>,
    most: Duration,
) -> Result<Option<JobStatus>> {
    let mut following = Following { silent: true, ..Following::new(context, record, known) };
    let waited = tokio::time::timeout(most, panic::caught_in(following.follow())).await;
    waited.ok().transpose().map_err(|error| goes_on(&known.job.name, error))
}

struct Following<'a> {
    context: &'a Context,
    record: &'a Record,
    known: &'a JobHandle<'a>,
    said: Option<(JobState, Option<String>)>,
    nodes: u32,
    /// Do not read the log.
    silent: bool,
    log: Log,
    log_trouble: OutageTracker,
    /// Why the last read of the log failed.
    log_error: Option<Error>,
    metrics: Metrics,
    left: Machines,
    shown: VecDeque<String>,
    started: Instant,
    trouble: OutageTracker,
    state_pace: Pace,
    log_pace: Pace,
    /// Seconds until the log should be read again, if the driver says so.
    read_log_again: Option<u32>,
}

impl<'a> Following<'a> {
    fn new(context: &'a Context, record: &'a Record, known: &'a JobHandle<'a>) -> Self {
        let now = Instant::now();
        Self {
            context,
            record,
            known,
            said: None,
            nodes: 1,
            silent: false,
            log: Log::default(),
            log_trouble: OutageTracker::default(),
            log_error: None,
            metrics: Metrics::new(known.job.options.metrics()),
            left: Machines::default(),
            shown: VecDeque::new(),
            started: now,
            trouble: OutageTracker::default(),
            state_pace: Pace::new(now),
            log_pace: Pace::new(now),
            read_log_again: None,
        }
    }

    /// Returns the status once the job has ended and its whole log has been shown.
    async fn follow(&mut self) -> Result<JobStatus> {
        loop {
            if self.state_pace.is_due(Instant::now())
                && let Some(ended) = self.look().await?
            {
                // The log is read after the final state, so it has all that the job wrote.
                let end = Instant::now() + MAX_REST;
                while !self.silent && !self.read_log().await && Instant::now() < end {}
                return Ok(ended);
            }
            // Do not ask for the log while the service does not even return the state.
            let wants_log = !self.silent && !self.trouble.is_on();
            if wants_log && self.log_pace.is_due(Instant::now()) {
                self.read_log().await;
            }
            let next = if wants_log {
                self.state_pace.next().min(self.log_pace.next())
            } else {
                self.state_pace.next()
            };
            tokio::time::sleep_until(next.into()).await;
        }
    }

    /// Asks for the state once. Returns the status if it is final.
    async fn look(&mut self) -> Result<Option<JobStatus>> {
        let begun = Instant::now();
        let status = match look(self.record, self.known).await {
            Ok(status) => status,
            Err(error) => {
                let Some(patience) = patience(&error) else { return Err(error) };
                let now = Instant::now();
                match self.trouble.failed(begun, now, patience) {
                    RetryDecision::GiveUp => return Err(error),
                    RetryDecision::Tell => self.context.ui.warning(&format!(
                        "{}; retrying for {} while the job continues",
                        error.chain(),
                        minutes(patience)
                    )),
                    RetryDecision::Ask => self.context.ui.detail(&format!("retrying: {}", error.chain())),
                }
                self.state_pace.failed(now, STATE_WAIT);
                return Ok(None);
            }
        };
        self.trouble.passed();
        self.nodes = status.nodes;
        self.read_log_again = status.read_log_again;
        let news = self.say(&status);
        self.state_pace.answered(Instant::now(), news, status.ask_again);
        Ok(status.state.is_final().then_some(status))
    }

    /// Reports the state if it has changed. Returns whether it has.
    fn say(&mut self, status: &JobStatus) -> bool {
        let now = (status.state, status.detail.clone());
        // The final state is reported with the job's result.
        if status.state.is_final() || self.said.as_ref() == Some(&now) {
            return false;
        }
        self.context.ui.say(&Event::Status {
            job: &self.known.job.name,
            state: status.state.name(),
            detail: status.detail.as_deref(),
            elapsed_seconds: self.started.elapsed().as_secs(),
        });
        self.said = Some(now);
        true
    }

    fn keep_metrics(&self) -> Result<()> {
        if self.metrics.series().is_empty() {
            return Ok(());
        }
        self.record.measured(&self.known.job.name, self.metrics.series())
    }

    fn show(&mut self, page: &mut LogPage) {
        page.lines.retain(|line| !self.left.take(&line.node, &line.text));
        let (ui, job) = (&self.context.ui, &self.known.job.name);
        let is_one_of_many = self.nodes > 1;
        ui.say_all(page.lines.iter().map(|line| {
            // The runner ends a redrawn line, such as a progress bar, with `\r`.
            let (text, redrawn) = match line.text.strip_suffix('\r') {
                Some(text) => (text, true),
                None => (line.text.as_str(), false),
            };
            Event::Log { job, node: &line.node, time: line.time, text, redrawn, is_one_of_many }
        }));
        for line in &page.lines {
            self.metrics.read(is_one_of_many.then_some(&line.node), line.time, &line.text);
        }
        if ui.shows_logs() {
            let last = page.lines.iter().skip(page.lines.len().saturating_sub(REMEMBERED));
            self.shown.extend(last.map(|line| line.text.clone()));
            self.shown.drain(..self.shown.len().saturating_sub(REMEMBERED));
        }
        if self.metrics.take_changed() {
            ui.say(&Event::Metrics { job, metrics: &metrics::told(self.metrics.series()) });
        }
    }

    /// Shows one page of the log. Returns whether that was all for now.
    async fn show_page(&mut self) -> Result<bool> {
        let mut page = self.log.page(self.known).await?;
        self.log_trouble.passed();
        self.log_error = None;
        let any = !page.lines.is_empty();
        self.show(&mut page);
        let now = Instant::now();
        if page.drained {
            self.log_pace.answered(now, any, self.read_log_again)
        } else {
            self.log_pace.at_once(now)
        }
        Ok(page.drained)
    }

    /// Shows one page of the log, or warns that it cannot be read. Returns whether that was all for now.
    async fn read_log(&mut self) -> bool {
        let begun = Instant::now();
        match self.show_page().await {
            Ok(drained) => drained,
            Err(error) => {
                let now = Instant::now();
                let passes = error.kind() == Kind::Unavailable;
                let known = self.log_error.is_some();
                let tell = match self.log_trouble.failed(begun, now, Duration::MAX) {
                    RetryDecision::Tell => true,
                    // An error that may pass at once is not reported.
                    _ => !passes && !known,
                };
                if tell {
                    self.context
                        .ui
                        .warning(&format!("{}; following the job without it", unreadable_log(&error)));
                    self.log_trouble.told();
                }
                self.log_error = Some(error);
                self.log_pace.failed(now, if passes { STATE_WAIT } else { LOG_WAIT });
                true
            }
        }
    }
}

/// Says that the log cannot be read, unless the error itself says so.
fn unreadable_log(error: &Error) -> String {
    const CANNOT: &str = "cannot read the log";
    let why = error.chain();
    if why.starts_with(CANNOT) { why } else { format!("{CANNOT}: {why}") }
}

fn minutes(time: Duration) -> String {
    match time.as_secs() / 60 {
        1 => "1 minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}

/// How long an error is retried; `None` if a retry cannot help.
fn patience(error: &Error) -> Option<Duration> {
    match error.kind() {
        Kind::Unavailable | Kind::Quota => Some(PATIENCE),
        Kind::Denied | Kind::NotFound => Some(FORBEARANCE),
        _ => None,
    }
}

/// Wraps an error that stops `alekseylearn` from following a job: it says that the job itself continues.
pub fn goes_on(name: &str, error: Error) -> Error {
    let message = format!("cannot follow the job {name} any longer; it is still running and may incur costs");
    let attach = format!(
        "follow it again with `alekseylearn logs -f {name}`, or stop it with `alekseylearn stop {name}`"
    );
    let hint = match error.hint_text() {
        Some(hint) => format!("{hint}; then {attach}"),
        None => attach,
    };
    let details = error.details_text().map(str::to_owned);
    let told = Error::new(error.kind(), message).hint(hint).source(error);
    match details {
        Some(details) => told.details(details),
        None => told,
    }
}

/// Prints the log from its beginning; with `follow`, until the job ends or the user presses Ctrl-C.
///
/// # Errors
/// The service cannot be queried.
pub async fn print_logs(
    context: &Context,
    record: &Record,
    known: &JobHandle<'_>,
    follow: bool,
) -> Result<()> {
    if follow {
        self::follow(context, record, known).await?;
        return Ok(());
    }
    let mut following = Following::new(context, record, known);
    following.nodes = look(record, known).await?.nodes;
    let shown = loop {
        match following.show_page().await {
            Ok(true) => break Ok(()),
            Ok(false) => {}
            Err(error) => break Err(error),
        }
    };
    following.keep_metrics()?;
    shown.map_err(|error| match error.hint_text() {
        Some(_) => error,
        None => error.hint(format!("show the job's state with `alekseylearn status {}`", known.job.name)),
    })
}

/// Asks for the job's state, and records it.
///
/// # Errors
/// The service cannot be queried, or never received the job.
pub async fn look(record: &Record, known: &JobHandle<'_>) -> Result<JobStatus> {
    let name = &known.job.name;
    let lock = record.lock(name).await?;
    let status = known.driver.status(&known.job).await;
    drop(lock);
    let Some(entry) = &known.entry else { return status };
    let status = match status {
        Err(error) if error.kind() == Kind::NotFound && entry.reference.is_none() => {
            return Err(never_had(record, entry)?);
        }
        status => status?,
    };
    let ended = status.state.is_final();
    record.went(name, &Outcome::from(&status))?;
    record.seen(name, status.state, status.reason.as_deref(), ended)?;
    // A `fit` that is still running reports the end itself, once all of its work is done.
    if ended && record.claim(name)?.is_some() {
        record.told(name)?;
    }
    Ok(status)
}

/// The error for a recorded job that the service does not know.
fn never_had(record: &Record, entry: &Entry) -> Result<Error> {
    let (name, driver) = (&entry.name, &entry.driver);
    if record.claim(name)?.is_none() {
        return Ok(Error::new(Kind::Unavailable, format!("the job {name} is being submitted to {driver}"))
            .hint("try again in a moment"));
    }
    let reason = format!("the run that created it was interrupted before {driver} received it");
    // This is not final: the same run may still submit the job under this name.
    record.seen(name, JobState::Failed, Some(&reason), false)?;
    Ok(Error::new(Kind::NotFound, format!("there is no job {name}: {reason}"))
        .hint("run the same command again to submit it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_ends_the_following_and_not_the_job() {
        let refused =
            Error::new(Kind::Unavailable, "AWS cannot be reached").hint("check the network").details("x");
        let error = goes_on("a-1", refused);
        assert_eq!((error.kind(), error.details_text()), (Kind::Unavailable, Some("x")));
        assert!(error.chain().contains("it is still running"), "{error}");
        assert!(error.chain().ends_with("AWS cannot be reached"));
        let hint = error.hint_text().unwrap();
        assert!(
            hint.starts_with("check the network; ") && hint.contains("`alekseylearn logs -f a-1`"),
            "{hint}"
        );
    }

    #[test]
    fn only_errors_that_may_pass_are_retried() {
        let patience = |kind| patience(&Error::new(kind, "no"));
        assert_eq!(patience(Kind::Quota), Some(PATIENCE));
        assert_eq!(patience(Kind::Denied), Some(FORBEARANCE));
        assert_eq!(patience(Kind::Plugin), None);
    }
}
