//! Decides how long a service that does not answer is retried, and when the user is told.

use std::time::{Duration, Instant};

/// How long errors that may pass are retried: a router or an expired login may take five minutes, and this is twice
/// that.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);
/// How long errors last before the user is told.
const SILENCE: Duration = Duration::from_secs(10);

/// What to do after another error.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RetryDecision {
    /// Retry.
    Ask,
    /// Tell the user, and retry.
    Tell,
    /// Stop retrying.
    GiveUp,
}

/// A series of errors without an answer in between.
#[derive(Debug, Default)]
pub(super) struct OutageTracker {
    since: Option<Instant>,
    told: bool,
}

impl OutageTracker {
    /// Records that a request failed at `now` which began at `begun`: it was retried for a while before.
    pub(super) fn failed(&mut self, begun: Instant, now: Instant, patience: Duration) -> RetryDecision {
        let since = *self.since.get_or_insert(begun);
        let lasted = now.saturating_duration_since(since);
        if lasted > patience {
            RetryDecision::GiveUp
        } else if lasted > SILENCE && !self.told {
            self.told = true;
            RetryDecision::Tell
        } else {
            RetryDecision::Ask
        }
    }

    /// Whether the last request failed.
    pub(super) fn is_on(&self) -> bool {
        self.since.is_some()
    }

    /// Records that the user knows about the errors.
    pub(super) fn told(&mut self) {
        self.told = true;
    }

    /// Records an answer, which ends the series.
    pub(super) fn passed(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The decision at each of these seconds, for requests that take `each` seconds.
    fn course(trouble: &mut OutageTracker, begun: Instant, seconds: &[u64], each: u64) -> Vec<RetryDecision> {
        let at = |seconds: u64| begun + Duration::from_secs(seconds);
        seconds
            .iter()
            .map(|second| trouble.failed(at(second.saturating_sub(each)), at(*second), PATIENCE))
            .collect()
    }

    #[test]
    fn five_minutes_of_errors_are_retried_and_told_once() {
        let (mut trouble, begun) = (OutageTracker::default(), Instant::now());
        let mut all = course(&mut trouble, begun, &(1..=60).map(|look| look * 5).collect::<Vec<_>>(), 1);
        assert_eq!(
            (all.remove(0), all.remove(0), all.remove(0)),
            (RetryDecision::Ask, RetryDecision::Ask, RetryDecision::Tell)
        );
        assert!(all.iter().all(|next| *next == RetryDecision::Ask), "{all:?}");
        trouble.passed();
        // The user is told about the next series, too: at once if its first request alone took that long.
        assert_eq!(course(&mut trouble, begun, &[640, 680], 35), [RetryDecision::Tell, RetryDecision::Ask]);
    }

    #[test]
    fn retries_end_after_ten_minutes() {
        let (mut trouble, begun) = (OutageTracker::default(), Instant::now());
        assert_eq!(
            course(&mut trouble, begun, &[40, 600, 601], 40),
            [RetryDecision::Tell, RetryDecision::Ask, RetryDecision::GiveUp]
        );
    }
}
