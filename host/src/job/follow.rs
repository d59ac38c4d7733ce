//! A job from its submission to its end: its states, and its log as it comes.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{
    Context, Entry, Known, Outcome, Record,
    metrics::{self, Metrics},
    trouble::{Next, PATIENCE, Trouble},
};
use crate::{
    error::{Error, Kind, Result},
    interrupt::interrupted,
    plugin::{JobStatus, LogPage, State},
    project::package_of,
    ui::Event,
};

/// How long to wait between two looks: short while something happens, longer while nothing does.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// As many of a failed job's last lines as its error shows.
const LAST_LINES: usize = 20;

/// How a job was left.
#[derive(Debug)]
pub enum Ending {
    /// It ended.
    Ended(JobStatus),
    /// The user pressed Ctrl-C; it goes on.
    Detached,
}

/// Shows a job's states and log until it ends, or the user presses Ctrl-C.
///
/// # Errors
/// The service cannot be asked any more. The job goes on.
pub async fn follow(context: &Context, record: &Record, known: &Known<'_>) -> Result<Ending> {
    let mut interrupted = std::pin::pin!(interrupted());
    let mut following = Following::new(context, record, known);
    loop {
        let step = async {
            let status = following.step().await?;
            if status.is_none() {
                tokio::time::sleep(following.wait).await;
            }
            Ok(status)
        };
        tokio::select! {
            biased;
            () = &mut interrupted => {
                following.keep_metrics()?;
                return Ok(Ending::Detached);
            }
            status = step => {
                if let Some(status) = status? {
                    following.keep_metrics()?;
                    return Ok(Ending::Ended(status));
                }
            }
        }
    }
}

/// Waits for a job's end, and says nothing but its states.
///
/// # Errors
/// The service cannot be asked any more. The job goes on.
pub async fn wait_for_end(context: &Context, record: &Record, known: &Known<'_>) -> Result<JobStatus> {
    let mut following = Following { silent: true, ..Following::new(context, record, known) };
    loop {
        if let Some(status) = following.step().await? {
            return Ok(status);
        }
        tokio::time::sleep(following.wait).await;
    }
}

struct Following<'a> {
    context: &'a Context,
    record: &'a Record,
    known: &'a Known<'a>,
    cursor: Option<String>,
    said: Option<(State, Option<String>)>,
    nodes: u32,
    /// The log is left alone.
    silent: bool,
    metrics: Metrics,
    started: Instant,
    trouble: Trouble,
    wait: Duration,
}

impl<'a> Following<'a> {
    fn new(context: &'a Context, record: &'a Record, known: &'a Known<'a>) -> Self {
        Self {
            context,
            record,
            known,
            cursor: None,
            said: None,
            nodes: 1,
            silent: false,
            metrics: Metrics::new(known.job.options.metrics()),
            started: Instant::now(),
            trouble: Trouble::default(),
            wait: SHORTEST_WAIT,
        }
    }

    /// One look at the job. The status, once it has ended and all of its log has been shown.
    async fn step(&mut self) -> Result<Option<JobStatus>> {
        let begun = Instant::now();
        let error = match self.look().await {
            Err(error) if error.kind() == Kind::Unavailable => error,
            looked => {
                self.trouble.passed();
                return looked;
            }
        };
        match self.trouble.failed(begun, Instant::now()) {
            Next::GiveUp => return Err(unheard_of(&self.known.job.name, error)),
            Next::Tell => self.context.ui.warning(&format!(
                "{}; asking again for {} minutes, and the job goes on meanwhile",
                error.chain(),
                PATIENCE.as_secs() / 60
            )),
            Next::Ask => self.context.ui.detail(&format!("asking again: {}", error.chain())),
        }
        self.wait = LONGEST_WAIT;
        Ok(None)
    }

    async fn look(&mut self) -> Result<Option<JobStatus>> {
        let status = look(self.record, self.known).await?;
        self.nodes = status.nodes;
        self.say(&status);
        // Asked for after the state: what the job wrote before it ended is there now.
        let shown = !self.silent && self.show_logs().await?;
        self.wait = if shown { SHORTEST_WAIT } else { (self.wait * 3 / 2).min(LONGEST_WAIT) };
        Ok(status.state.is_final().then_some(status))
    }

    fn say(&mut self, status: &JobStatus) {
        let now = (status.state, status.detail.clone());
        // How it ended is said at the end.
        if !status.state.is_final() && self.said.as_ref() != Some(&now) {
            self.context.ui.say(&Event::Status {
                job: &self.known.job.name,
                state: status.state.name(),
                detail: status.detail.as_deref(),
                elapsed_seconds: self.started.elapsed().as_secs(),
            });
            self.said = Some(now);
            self.wait = SHORTEST_WAIT;
        }
    }

    fn keep_metrics(&self) -> Result<()> {
        if self.metrics.series().is_empty() {
            return Ok(());
        }
        self.record.measured(&self.known.job.name, self.metrics.series())
    }

    fn show(&mut self, page: &LogPage) {
        let (ui, job) = (&self.context.ui, &self.known.job.name);
        let is_one_of_many = self.nodes > 1;
        ui.say_all(page.lines.iter().map(|line| {
            // So the runner ends a line that was only redrawn.
            let (text, redrawn) = match line.text.strip_suffix('\r') {
                Some(text) => (text, true),
                None => (line.text.as_str(), false),
            };
            Event::Log { job, node: &line.node, time: line.time, text, redrawn, is_one_of_many }
        }));
        for line in &page.lines {
            self.metrics.read(is_one_of_many.then_some(&line.node), line.time, &line.text);
        }
        if self.metrics.take_changed() {
            ui.say(&Event::Metrics { job, metrics: &metrics::told(self.metrics.series()) });
        }
    }

    /// Whether there was anything.
    async fn show_logs(&mut self) -> Result<bool> {
        let mut any = false;
        loop {
            let page = logs(self.known, self.cursor.as_deref()).await?;
            any |= !page.lines.is_empty();
            self.show(&page);
            self.cursor = Some(page.cursor);
            if page.drained {
                return Ok(any);
            }
        }
    }
}

/// The service did not answer for longer than it is waited for.
fn unheard_of(name: &str, error: Error) -> Error {
    let message = format!(
        "the job {name} goes on, but nothing was heard of it for {} minutes",
        PATIENCE.as_secs() / 60
    );
    let attach = format!("follow it again with `alekseylearn logs -f {name}`");
    let hint = match error.hint_text() {
        Some(hint) => format!("{attach}; {hint}"),
        None => attach,
    };
    Error::new(error.kind(), message).hint(hint).source(error)
}

/// The log from its beginning; with `follow`, until the job ends or the user presses Ctrl-C.
///
/// # Errors
/// The service cannot be asked.
pub async fn print_logs(context: &Context, record: &Record, known: &Known<'_>, follow: bool) -> Result<()> {
    if follow {
        self::follow(context, record, known).await?;
        return Ok(());
    }
    let mut following = Following::new(context, record, known);
    following.nodes = look(record, known).await?.nodes;
    following.show_logs().await?;
    following.keep_metrics()
}

/// The job's state now, also in the record.
///
/// # Errors
/// The service cannot be asked, or never had the job.
pub async fn look(record: &Record, known: &Known<'_>) -> Result<JobStatus> {
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
    record.seen(name, status.state.name(), status.reason.as_deref(), ended)?;
    // A run of `fit` that lives tells it by itself, when all of its work is done.
    if ended && record.claim(name)?.is_some() {
        record.told(name)?;
    }
    Ok(status)
}

/// The service knows nothing of a job that it was about to be asked for.
fn never_had(record: &Record, entry: &Entry) -> Result<Error> {
    let (name, driver) = (&entry.name, &entry.driver);
    if record.claim(name)?.is_none() {
        return Ok(Error::new(Kind::Unavailable, format!("the job {name} is being submitted to {driver}"))
            .hint("ask again in a moment"));
    }
    let reason = format!("the run that began it was cut off before {driver} had it");
    // Not its end: the service may be asked by the same name again.
    record.seen(name, State::Failed.name(), Some(&reason), false)?;
    Ok(Error::new(Kind::NotFound, format!("there is no job {name}: {reason}"))
        .hint("the same `alekseylearn fit` again submits it"))
}

pub(super) async fn logs(known: &Known<'_>, cursor: Option<&str>) -> Result<LogPage> {
    known.driver.logs(&known.job, cursor).await
}

/// An error for a job that did not end well: its reason, the end of its log, and what to do next.
///
/// # Errors
/// Always, unless the job completed.
pub async fn end_of(known: &Known<'_>, status: &JobStatus) -> Result<()> {
    let name = &known.job.name;
    let reason = status.reason.as_deref().unwrap_or("no reason was given");
    let error = match status.state {
        State::Stopped => match &status.reason {
            Some(reason) => Error::new(Kind::JobStopped, format!("the job {name} was stopped: {reason}")),
            None => Error::new(Kind::JobStopped, format!("the job {name} was stopped")),
        },
        State::Failed => {
            let first = reason.lines().next().unwrap_or(reason);
            let error = Error::new(Kind::JobFailed, format!("the job {name} failed: {first}"));
            let details = told(reason, status.exit_code, &last_lines(known).await);
            if details.is_empty() { error } else { error.details(details) }
        }
        _ => return Ok(()),
    };
    if let Some(module) = missing_module(reason) {
        let package = package_of(module);
        return Err(error.hint(format!("the image has no `{module}`: add {package} to requirements.txt")));
    }
    Err(error.hint(format!(
        "`alekseylearn logs {name}` shows all that it wrote; `alekseylearn fetch DIR {name} --output-data` brings \
         what it left"
    )))
}

/// What the reason says beyond its first line, which is the traceback; what the exit code means, where the reason does
/// not say; and the log's last lines, where they are not that traceback again.
fn told(reason: &str, exit_code: Option<i32>, log: &[String]) -> String {
    let mut parts: Vec<String> = reason.lines().skip(1).map(str::to_owned).collect();
    if let Some((code, meaning)) = exit_code.and_then(|code| Some((code, meaning(code)?)))
        && !reason.contains(meaning)
    {
        parts.push(format!("exit code {code}: {meaning}"));
    }
    let is_new = |line: &&String| !line.trim().is_empty() && !reason.contains(line.trim());
    if log.iter().any(|line| is_new(&line)) {
        parts.push("the end of its log:".to_owned());
        parts.extend(log.iter().map(|line| format!("  {line}")));
    }
    parts.join("\n")
}

/// What an exit code tells that is no script's own: 128 and a signal's number.
const fn meaning(code: i32) -> Option<&'static str> {
    Some(match code {
        126 => "a command could not be executed",
        127 => "a command was not found",
        132 => "SIGILL: native code uses an instruction that this processor does not have",
        134 => "SIGABRT: native code gave up",
        135 => "SIGBUS: often too little shared memory in /dev/shm",
        136 => "SIGFPE: an arithmetic error in native code",
        137 => "killed by SIGKILL, usually because memory ran out",
        139 => "SIGSEGV: a segmentation fault in native code",
        143 => "ended by SIGTERM",
        _ => return None,
    })
}

/// The module that Python did not find, by its top name.
fn missing_module(reason: &str) -> Option<&str> {
    let (_, rest) = reason.split_once("No module named '")?;
    rest.split(['\'', '.']).next().filter(|name| !name.is_empty())
}

async fn last_lines(known: &Known<'_>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut cursor = None;
    loop {
        // The job has failed: not to have its log is no second failure.
        let Ok(page) = logs(known, cursor.as_deref()).await else { break };
        let whole = page.lines.into_iter().filter(|line| !line.text.ends_with('\r'));
        lines.extend(whole.map(|line| line.text));
        lines.drain(..lines.len().saturating_sub(LAST_LINES));
        if page.drained {
            break;
        }
        cursor = Some(page.cursor);
    }
    lines
}

impl Entry {
    /// Seconds from its submission to its end, or to now.
    pub fn seconds(&self) -> Option<i64> {
        let created: Timestamp = self.created.parse().ok()?;
        let end = match &self.finished {
            Some(finished) => finished.parse().ok()?,
            None => Timestamp::now(),
        };
        Some(end.as_second() - created.as_second())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_stays_silent_ends_the_watching_and_not_the_job() {
        let refused =
            Error::new(Kind::Unavailable, "AWS cannot be reached").hint("see whether the network is right");
        let error = unheard_of("a-1", refused);
        assert_eq!(error.kind(), Kind::Unavailable);
        assert_eq!(
            error.chain(),
            "the job a-1 goes on, but nothing was heard of it for 10 minutes: AWS cannot be reached"
        );
        let hint = "follow it again with `alekseylearn logs -f a-1`; see whether the network is right";
        assert_eq!(error.hint_text(), Some(hint));
    }

    #[test]
    fn a_failure_is_told_from_its_reason_to_the_end_of_its_log() {
        let log = ["epoch 1".to_owned(), "ValueError: no".to_owned()];
        let reason = "AlgorithmError: ValueError: no\n  File \"train.py\", line 3\n, exit code: 1";
        assert_eq!(
            told(reason, Some(1), &log),
            "  File \"train.py\", line 3\n, exit code: 1\nthe end of its log:\n  epoch 1\n  ValueError: no"
        );
        let killed = told("AlgorithmError: , exit code: 137", Some(137), &[]);
        assert_eq!(killed, "exit code 137: killed by SIGKILL, usually because memory ran out");
        assert_eq!(told("it broke: ValueError: no", Some(1), &log[1..]), "", "nothing twice");
    }
}
