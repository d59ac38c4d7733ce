//! How often a service is asked: as often as its driver says, else as seldom as does no harm to whoever watches.

use std::time::{Duration, Instant};

/// Between two questions to a service whose driver says nothing: while something happens, and while nothing does.
const USUAL: Range = Range(Duration::from_secs(2), Duration::from_secs(10));
/// The same for a driver that says it can be asked at any time: what it asks is near, and costs nothing.
const NEAR: Range = Range(Duration::from_millis(100), Duration::from_secs(1));
/// The first questions come sooner: a short job should not seem a long one.
const FIRST: Duration = Duration::from_millis(500);
/// And then after so much of the time that has passed.
const PART: u32 = 5;
/// A driver's own words are taken up to this.
const LONGEST: Duration = Duration::from_secs(300);

struct Range(Duration, Duration);

/// When one kind of question is asked again.
#[derive(Debug)]
pub(super) struct Pace {
    begun: Instant,
    next: Instant,
    wait: Duration,
}

impl Pace {
    /// The first question can be asked now.
    pub(super) fn new(now: Instant) -> Self {
        Self { begun: now, next: now, wait: Duration::ZERO }
    }

    /// When the next question is due.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// It is due.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next <= now
    }

    /// An answer came. `news`: it holds something that the last one did not. `seconds`: what the driver says of the next.
    pub(super) fn answered(&mut self, now: Instant, news: bool, seconds: Option<u32>) {
        let Range(shortest, longest) = match seconds {
            Some(0) => NEAR,
            Some(seconds) => {
                self.wait = Duration::from_secs(seconds.into()).min(LONGEST);
                self.next = now + self.wait;
                return;
            }
            None => USUAL,
        };
        // Half of it and not the shortest: what goes on writing line after line is not asked for each of them.
        let wait = if news { self.wait / 2 } else { self.wait * 3 / 2 };
        let ramp = FIRST.max((now - self.begun) / PART);
        self.wait = wait.clamp(shortest, longest).min(ramp);
        self.next = now + self.wait;
    }

    /// There is more to be had at once.
    pub(super) fn at_once(&mut self, now: Instant) {
        self.next = now;
    }

    /// No answer came.
    pub(super) fn failed(&mut self, now: Instant, wait: Duration) {
        self.next = now + wait;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As often as something is asked in that time, when every answer has news or none has.
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
    fn a_service_is_asked_no_more_often_than_it_needs() {
        assert!(asked(40, true, None) <= 30, "a line a second is read every other second");
        assert!(asked(600, true, None) <= 310);
        assert!(asked(600, false, None) <= 80);
        assert_eq!(asked(600, true, Some(60)), 10);
        assert_eq!(asked(3600, false, Some(u32::MAX)), 12);
        assert!(asked(10, true, Some(0)) >= 99, "what is near may be asked at any time");
    }
}
