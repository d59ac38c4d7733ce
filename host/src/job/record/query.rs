//! Queries for jobs, filtered and sorted by the database: a record may have a hundred thousand jobs.

use jiff::Timestamp;
use rusqlite::{ToSql, params_from_iter};

use super::{Entry, READING, Record, RecordedState, SELECT, entry};
use crate::error::Result;

/// A filter and an order. By default all jobs, newest first.
#[derive(Clone, Debug, Default)]
pub struct Query<'a> {
    /// Only jobs with this tag.
    pub tag: Option<&'a str>,
    /// Only jobs in one of these states, unless empty.
    pub states: Vec<RecordedState>,
    /// Only jobs of this train driver.
    pub driver: Option<&'a str>,
    /// Only jobs submitted since then.
    pub since: Option<Timestamp>,
    /// Only jobs that are not known to have ended.
    pub unfinished: bool,
    /// The order.
    pub order: Order,
    /// Maximum number of jobs.
    pub limit: Option<usize>,
}

/// The order of jobs. Equal jobs come newest first; jobs without a value come last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Newest first.
    #[default]
    Created,
    /// Longest first.
    Time,
    /// Most expensive first.
    Cost,
    /// By name.
    Name,
    /// By state.
    State,
}

impl Order {
    const fn sql(self) -> &'static str {
        match self {
            Self::Created => "",
            Self::Time => "julianday(coalesce(finished, 'now')) - julianday(created) DESC, ",
            Self::Cost => "json_extract(details, '$.outcome.cost_usd') DESC NULLS LAST, ",
            Self::Name => "name, ",
            Self::State => "state, ",
        }
    }
}

impl Record {
    /// Returns the jobs that match a query.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn list(&self, query: &Query<'_>) -> Result<Vec<Entry>> {
        let mut conditions: Vec<String> = Vec::new();
        let mut values: Vec<Box<dyn ToSql>> = Vec::new();
        if let Some(tag) = query.tag {
            conditions.push("tag = ?".into());
            values.push(Box::new(tag.to_owned()));
        }
        if let Some(driver) = query.driver {
            conditions.push("driver = ?".into());
            values.push(Box::new(driver.to_owned()));
        }
        if let Some(since) = query.since {
            conditions.push("created >= ?".into());
            // To the second: the precision of recorded times varies.
            values.push(Box::new(since.strftime("%Y-%m-%dT%H:%M:%S").to_string()));
        }
        if !query.states.is_empty() {
            conditions.push(format!("state IN ({})", vec!["?"; query.states.len()].join(", ")));
            values.extend(query.states.iter().map(|state| Box::new(*state) as Box<dyn ToSql>));
        }
        if query.unfinished {
            conditions.push("finished IS NULL".into());
        }
        let conditions =
            if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
        let limit = query.limit.map_or_else(String::new, |limit| format!("LIMIT {limit}"));
        let sql =
            format!("{SELECT} {conditions} ORDER BY {}created DESC, rowid DESC {limit}", query.order.sql());
        let failed = |error| self.failed(READING, error);
        let mut statement = self.connection.prepare(&sql).map_err(failed)?;
        let entries = statement.query_map(params_from_iter(values), entry).map_err(failed)?;
        entries.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    /// Returns the number of jobs.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn count(&self) -> Result<u64> {
        let counted = self.connection.query_row("SELECT count(*) FROM jobs", [], |row| row.get::<_, i64>(0));
        counted.map(i64::unsigned_abs).map_err(|error| self.failed(READING, error))
    }
}
