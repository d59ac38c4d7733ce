//! A service that does not answer for a while: when the user is told, and when it is given up.

use std::time::{Duration, Instant};

/// Errors that pass are waited out this long: twice the five minutes that a router's or a login's trouble may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);
/// The user is told of those that do not pass at once.
const SILENCE: Duration = Duration::from_secs(10);

/// What to do about one more error.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Ask again.
    Ask,
    /// Tell the user, and ask again.
    Tell,
    /// It does not pass.
    GiveUp,
}

/// Errors without an answer in between.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    since: Option<Instant>,
    told: bool,
}

impl Trouble {
    /// What was begun then has failed now: one request is tried for a while before it is an error.
    pub(super) fn failed(&mut self, begun: Instant, now: Instant, patience: Duration) -> Next {
        let since = *self.since.get_or_insert(begun);
        let lasted = now.saturating_duration_since(since);
        match () {
            () if lasted > patience => Next::GiveUp,
            () if lasted > SILENCE && !self.told => {
                self.told = true;
                Next::Tell
            }
            () => Next::Ask,
        }
    }

    /// The last answer was an error.
    pub(super) fn is_on(&self) -> bool {
        self.since.is_some()
    }

    /// The user knows of it.
    pub(super) fn told(&mut self) {
        self.told = true;
    }

    /// An answer came.
    pub(super) fn passed(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is done at each of these seconds, by requests that take as long as the last number says.
    fn course(trouble: &mut Trouble, begun: Instant, seconds: &[u64], each: u64) -> Vec<Next> {
        let at = |seconds: u64| begun + Duration::from_secs(seconds);
        seconds
            .iter()
            .map(|second| trouble.failed(at(second.saturating_sub(each)), at(*second), PATIENCE))
            .collect()
    }

    #[test]
    fn five_minutes_are_waited_out_and_told_once() {
        let (mut trouble, begun) = (Trouble::default(), Instant::now());
        let mut all = course(&mut trouble, begun, &(1..=60).map(|look| look * 5).collect::<Vec<_>>(), 1);
        assert_eq!((all.remove(0), all.remove(0), all.remove(0)), (Next::Ask, Next::Ask, Next::Tell));
        assert!(all.iter().all(|next| *next == Next::Ask), "{all:?}");
        trouble.passed();
        // The next time is another: it is told again, at once where the first request alone took so long.
        assert_eq!(course(&mut trouble, begun, &[640, 680], 35), [Next::Tell, Next::Ask]);
    }

    #[test]
    fn what_outlasts_the_patience_is_given_up() {
        let (mut trouble, begun) = (Trouble::default(), Instant::now());
        assert_eq!(course(&mut trouble, begun, &[40, 600, 601], 40), [Next::Tell, Next::Ask, Next::GiveUp]);
    }
}
