mod diff;

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{clean::amount, completions};
use crate::{
    error::{Error, Result},
    job::{self, Context, Entry, Order, Query, Record, RecordedState},
    plugin::{DriverKind, JobState},
    ui::duration,
};

/// List jobs submitted from this machine
///
/// Queries the services for the states of jobs that have not ended. If a service does not respond in time, shows the last
/// known state.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    /// Maximum number of jobs
    #[arg(short = 'n', long = "limit", alias = "most", default_value_t = 20)]
    limit: usize,

    /// Only jobs with this tag, such as models/train
    #[arg(long = "tag", value_name = "TAG", conflicts_with = "tag", add = completions::tags())]
    tag_option: Option<String>,

    /// Only jobs in these states, separated by commas
    #[arg(long, alias = "state", value_name = "STATE", value_delimiter = ',')]
    status: Vec<StateFilter>,

    /// Only jobs of this train driver
    #[arg(
        long,
        value_name = "NAME",
        value_parser = super::driver,
        add = completions::drivers(&[DriverKind::Train])
    )]
    driver: Option<String>,

    /// Only jobs submitted since then: an age such as 12h or 7d, a day such as 2026-01-31, or a time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,

    /// Sort order; jobs without a value come last
    #[arg(long, value_name = "BY", default_value = "created")]
    sort: Sort,

    /// Only jobs with this tag, such as models/train
    #[arg(add = completions::tags())]
    tag: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Diff(diff::Arguments),
}

/// A state, as in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum StateFilter {
    Submitting,
    Queued,
    Running,
    Stopping,
    Completed,
    Failed,
    Stopped,
}

impl StateFilter {
    const fn recorded(self) -> RecordedState {
        match self {
            Self::Submitting => RecordedState::Submitting,
            Self::Queued => RecordedState::Seen(JobState::Queued),
            Self::Running => RecordedState::Seen(JobState::Running),
            Self::Stopping => RecordedState::Seen(JobState::Stopping),
            Self::Completed => RecordedState::Seen(JobState::Completed),
            Self::Failed => RecordedState::Seen(JobState::Failed),
            Self::Stopped => RecordedState::Seen(JobState::Stopped),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Sort {
    /// Newest first
    Created,
    /// Longest first
    Time,
    /// Most expensive first
    Cost,
    /// By name
    Name,
    /// By state
    State,
}

const EXAMPLES: &str = "\
Examples:
  Jobs that failed this week:
    alekseylearn jobs --status failed --since 7d

  Compare two jobs:
    alekseylearn jobs diff models-train-20260101-120000-ab12 models/train";

/// The time limit for querying the services.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    if let Some(Command::Diff(arguments)) = &arguments.command {
        return diff::run(context, arguments);
    }
    let record = Record::open(&context.environment)?;
    let refresh = async {
        // Whether a job is in the requested state is known only after the query.
        let limit = Some(arguments.limit.max(20));
        let waiting = Query { unfinished: true, states: Vec::new(), limit, ..arguments.query() };
        for entry in record.list(&Query { order: Order::Created, ..waiting })? {
            let asked = async { job::look(&record, &context.known(&record, &entry.name).await?).await };
            if let Err(error) = asked.await {
                context.ui.detail(&format!("{}: {}", entry.name, error.chain()));
            }
        }
        Ok::<(), Error>(())
    };
    if tokio::time::timeout(PATIENCE, refresh).await.is_err() {
        context.ui.detail("a service did not respond in time");
    }
    let jobs = record.list(&arguments.query())?;
    let rows: Vec<[String; 5]> = jobs.iter().map(row).collect();
    let text = match rows.is_empty() {
        true if arguments.is_plain() => "no jobs yet: `alekseylearn fit PATH` submits one".to_owned(),
        true => "no matching jobs: `alekseylearn jobs` lists all".to_owned(),
        false => context.ui.table(["JOB", "DRIVER", "STATE", "SUBMITTED (UTC)", "TIME"], &rows),
    };
    let jobs: Vec<Value> = jobs.iter().map(data).collect();
    context.ui.result(&text, json!({ "jobs": jobs }));
    Ok(())
}

impl Arguments {
    fn is_plain(&self) -> bool {
        let tag = self.tag.as_ref().or(self.tag_option.as_ref());
        tag.is_none() && self.status.is_empty() && self.driver.is_none() && self.since.is_none()
    }

    fn query(&self) -> Query<'_> {
        Query {
            tag: self.tag.as_deref().or(self.tag_option.as_deref()),
            states: self.status.iter().map(|state| state.recorded()).collect(),
            driver: self.driver.as_deref(),
            since: self.since,
            unfinished: false,
            order: self.sort.order(),
            limit: Some(self.limit),
        }
    }
}

impl Sort {
    fn order(self) -> Order {
        match self {
            Self::Created => Order::Created,
            Self::Time => Order::Time,
            Self::Cost => Order::Cost,
            Self::Name => Order::Name,
            Self::State => Order::State,
        }
    }
}

fn row(job: &Entry) -> [String; 5] {
    let started = job.created.strftime("%Y-%m-%d %H:%M").to_string();
    let time = duration(Duration::from_secs(job.seconds()));
    [job.name.clone(), job.driver.clone(), job.state.to_string(), started, time]
}

fn data(job: &Entry) -> Value {
    let mut data = json!(job);
    data["root"] = json!(job.details.root);
    data["secrets"] = json!(job.details.secrets);
    data["arguments"] = json!(job.details.arguments);
    data["billable_seconds"] = json!(job.details.outcome.billable_seconds);
    data["cost_usd"] = json!(job.details.outcome.cost_usd);
    data
}

fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(age) = amount::age(text) {
        return Timestamp::now().checked_sub(age).map_err(|error| error.to_string());
    }
    let whole = text.parse::<Timestamp>().or_else(|_| format!("{text}T00:00:00Z").parse());
    whole.map_err(|_| format!("`{text}` is not a time such as 12h, 7d or 2026-01-31"))
}
