//! The state of a job in the record.

use std::fmt;

use rusqlite::{
    ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef},
};
use serde::{Serialize, Serializer};

use crate::plugin::JobState;

/// The state of a job when this machine last looked at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordedState {
    /// The job is recorded, and its service has not answered yet.
    Submitting,
    /// What the service said.
    Seen(JobState),
}

impl RecordedState {
    /// The state of a name in the record.
    fn of(name: &str) -> Option<Self> {
        let mut all = JobState::ALL.into_iter().map(Self::Seen).chain([Self::Submitting]);
        all.find(|state| state.name() == name)
    }

    /// The name in output and in the record.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Submitting => "submitting",
            Self::Seen(state) => state.name(),
        }
    }
}

impl fmt::Display for RecordedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for RecordedState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl ToSql for RecordedState {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.name().into())
    }
}

impl FromSql for RecordedState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::of(value.as_str()?).ok_or(FromSqlError::InvalidType)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_found_by_its_name() {
        for state in JobState::ALL.into_iter().map(RecordedState::Seen).chain([RecordedState::Submitting]) {
            assert_eq!(RecordedState::of(state.name()), Some(state));
        }
        assert_eq!(RecordedState::of("lost"), None);
    }
}
