//! The time budget of a driver call. Sleeping counts too, so that a driver cannot block the user by sleeping for a day.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::ThreadId,
    time::{Duration, Instant},
};

use rustix::time::ClockId;
use wasmtime::{Result, component::Resource};
use wasmtime_wasi::{
    async_trait,
    clocks::WasiClocksView,
    p2::{DynPollable, Pollable, bindings::clocks::monotonic_clock, subscribe},
};

use super::state::CallState;

/// How often a running driver is checked.
pub(crate) const TICK: Duration = Duration::from_millis(10);
/// The time budget of one driver call, without host calls.
const MAX_TIME: Duration = Duration::from_secs(10);

/// The time that one call has used.
#[derive(Debug, Default)]
pub(crate) struct TimeBudget {
    spent: Spent,
    /// The thread that it ran on and that thread's total CPU time, at the last check.
    seen: Option<(ThreadId, Duration)>,
}

impl TimeBudget {
    /// Counts a tick that passed while the driver runs: the CPU time of its thread since the last tick. The driver may
    /// have waited for the host most of that time.
    pub(crate) fn tick(&mut self) -> Result<()> {
        let computed = rustix::time::clock_gettime(ClockId::ThreadCPUTime);
        let computed = Duration::try_from(computed).unwrap_or_default();
        self.look(std::thread::current().id(), computed)
    }

    fn look(&mut self, thread: ThreadId, computed: Duration) -> Result<()> {
        let before = self.seen.replace((thread, computed));
        let own = match before {
            Some((same, before)) if same == thread => computed.saturating_sub(before).min(TICK),
            _ => TICK,
        };
        if self.spent.add(own) <= MAX_TIME {
            return Ok(());
        }
        Err(wasmtime::Error::msg(format!("it exceeded its time limit of {} seconds", MAX_TIME.as_secs())))
    }
}

/// The time that it ran and slept so far, in microseconds.
#[derive(Clone, Debug, Default)]
struct Spent(Arc<AtomicU64>);

impl Spent {
    fn add(&self, time: Duration) -> Duration {
        let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).min(MAX_TIME.as_micros() as u64 * 2);
        Duration::from_micros(self.0.fetch_add(time, Ordering::Relaxed).saturating_add(time))
    }

    fn left(&self) -> Duration {
        MAX_TIME.saturating_sub(Duration::from_micros(self.0.load(Ordering::Relaxed)))
    }
}

/// Ready at a time, or when the time budget is used up: then the next tick ends the driver.
struct Sleep {
    until: Instant,
    spent: Spent,
}

#[async_trait]
impl Pollable for Sleep {
    async fn ready(&mut self) {
        /// Counts the time even if something else is ready first.
        struct Slept<'a>(&'a Spent, Instant);
        impl Drop for Slept<'_> {
            fn drop(&mut self) {
                self.0.add(self.1.elapsed());
            }
        }
        let now = Instant::now();
        let slept = Slept(&self.spent, now);
        let until = self.until.min(now + self.spent.left() + TICK);
        if until <= now {
            // Lets other tasks run even if a driver polls in a loop.
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep_until(until.into()).await;
        }
        drop(slept);
    }
}

impl monotonic_clock::Host for CallState {
    fn now(&mut self) -> Result<monotonic_clock::Instant> {
        self.clocks().now()
    }

    fn resolution(&mut self) -> Result<monotonic_clock::Duration> {
        self.clocks().resolution()
    }

    fn subscribe_instant(&mut self, when: monotonic_clock::Instant) -> Result<Resource<DynPollable>> {
        let now = self.clocks().now()?;
        monotonic_clock::Host::subscribe_duration(self, when.saturating_sub(now))
    }

    fn subscribe_duration(
        &mut self,
        nanoseconds: monotonic_clock::Duration,
    ) -> Result<Resource<DynPollable>> {
        let now = Instant::now();
        // Beyond the budget, or too large to represent: both end the driver.
        let until = now.checked_add(Duration::from_nanos(nanoseconds)).unwrap_or(now + MAX_TIME * 2);
        let sleep = self.table.push(Sleep { until, spent: self.time.spent.clone() })?;
        subscribe(&mut self.table, sleep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: u32 = 100_000;

    #[test]
    fn only_cpu_time_and_sleep_count() {
        let thread = std::thread::current().id();
        let mut time = TimeBudget::default();
        let mut computed = Duration::ZERO;
        // It calls the host, which returns after a tick or two, for half an hour.
        for _ in 0..MANY {
            computed += Duration::from_micros(50);
            time.look(thread, computed).unwrap();
        }
        assert!(time.spent.left() > MAX_TIME / 3);
        // However long the host computes for it, that counts as one tick.
        computed += MAX_TIME * 2;
        time.look(thread, computed).unwrap();
        // Many short sleeps count like a long one.
        let left = time.spent.left();
        for _ in 0..1_000 {
            time.spent.add(left / 1_000);
        }
        assert!(time.spent.left() < TICK);
        computed += TICK * 2;
        assert!(time.look(thread, computed).is_err());
    }

    #[test]
    fn a_busy_driver_ends_on_every_thread() {
        let ticks = |moves: bool| {
            let threads = [(); 2].map(|()| std::thread::spawn(|| {}).thread().id());
            let mut time = TimeBudget::default();
            (1..MANY).find(|tick| {
                let thread = threads[if moves { *tick as usize % 2 } else { 0 }];
                time.look(thread, TICK * *tick).is_err()
            })
        };
        assert_eq!(ticks(false), Some(1_001));
        assert_eq!(ticks(true), Some(1_001));
    }
}
