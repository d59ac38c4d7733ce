//! Decides how often a service is polled: as its driver says, or else as rarely as a watching user does not notice.

use std::time::{Duration, Instant};

/// Interval if the driver does not set one: the shortest while there is news, the longest while there is none.
const USUAL: Range = Range(Duration::from_secs(2), Duration::from_secs(10));
/// The same for a driver that may be asked at any time, because its service is on this machine.
const NEAR: Range = Range(Duration::from_millis(100), Duration::from_secs(1));
/// Longest interval at the beginning, so that a short job does not seem a long one.
const FIRST: Duration = Duration::from_millis(500);
/// After that, the longest interval is the elapsed time divided by this.
const PART: u32 = 5;
/// Longest interval that a driver can set.
const MAX_LENGTH: Duration = Duration::from_secs(300);

struct Range(Duration, Duration);

/// When the next request of one kind is due.
#[derive(Debug)]
pub(super) struct Pace {
    begun: Instant,
    next: Instant,
    wait: Duration,
}

impl Pace {
    /// The first request is due now.
    pub(super) fn new(now: Instant) -> Self {
        Self { begun: now, next: now, wait: Duration::ZERO }
    }

    /// When the next request is due.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Whether the next request is due.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next <= now
    }

    /// Records an answer. `news`: it has something new. `seconds`: the interval that the driver sets.
    pub(super) fn answered(&mut self, now: Instant, news: bool, seconds: Option<u32>) {
        let Range(shortest, longest) = match seconds {
            Some(0) => NEAR,
            Some(seconds) => {
                self.wait = Duration::from_secs(seconds.into()).min(MAX_LENGTH);
                self.next = now + self.wait;
                return;
            }
            None => USUAL,
        };
        // Halved, and not set to the shortest: a job that prints line after line is not polled for each of them.
        let wait = if news { self.wait / 2 } else { self.wait * 3 / 2 };
        let ramp = FIRST.max((now - self.begun) / PART);
        self.wait = wait.clamp(shortest, longest).min(ramp);
        self.next = now + self.wait;
    }

    /// More is available at once.
    pub(super) fn at_once(&mut self, now: Instant) {
        self.next = now;
    }

    /// Records a failed request.
    pub(super) fn failed(&mut self, now: Instant, wait: Duration) {
        self.next = now + wait;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number of requests in that time, if every answer has news or none has.
    fn asked(seconds: u64, news: bool, says: Option<u32>) -> usize {
        let begun = Instant::now();
        let (mut pace, mut now, mut count) = (Pace::new(begun), begun, 0);
        while now < begun + Duration::from_secs(seconds) {
            assert!(pace.is_due(now));
            count += 1;
            pace.answered(now, news, says);
            now = pace.next();
        }
        count
    }

    #[test]
    fn a_service_is_polled_no_more_often_than_needed() {
        assert!(asked(40, true, None) <= 30, "a line a second is read every other second");
        assert!(asked(600, true, None) <= 310);
        assert!(asked(600, false, None) <= 80);
        assert_eq!(asked(600, true, Some(60)), 10);
        assert_eq!(asked(3600, false, Some(u32::MAX)), 12);
        assert!(asked(10, true, Some(0)) >= 99, "what is near may be asked at any time");
    }
}
