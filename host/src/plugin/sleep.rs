//! The clock that drivers wait by: what they sleep counts as their own running time, or one that slept for a day
//! would cost the user that day.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use wasmtime::{Result, component::Resource};
use wasmtime_wasi::{
    async_trait,
    clocks::WasiClocksView,
    p2::{DynPollable, Pollable, bindings::clocks::monotonic_clock, subscribe},
};

use super::state::State;

/// How often a running driver is looked at.
pub(super) const TICK: Duration = Duration::from_millis(10);
/// The running time that one call of a driver has, host calls not counted: what it does itself is little.
const MOST_TICKS: u32 = 1_000;

/// The running time of one call, in ticks.
#[derive(Clone, Debug, Default)]
pub(super) struct RunningTime(Arc<AtomicU32>);

impl RunningTime {
    /// Another tick has passed.
    pub(super) fn tick(&self) -> Result<()> {
        if self.0.fetch_add(1, Ordering::Relaxed) < MOST_TICKS {
            return Ok(());
        }
        Err(wasmtime::Error::msg(format!(
            "it ran for {} seconds without an end",
            (TICK * MOST_TICKS).as_secs()
        )))
    }

    fn left(&self) -> Duration {
        TICK * MOST_TICKS.saturating_sub(self.0.load(Ordering::Relaxed))
    }

    fn spend(&self, time: Duration) {
        let ticks = time.as_millis() / TICK.as_millis();
        self.0.fetch_add(u32::try_from(ticks).unwrap_or(MOST_TICKS), Ordering::Relaxed);
    }
}

/// Ready at a time, or when the running time is over: the next tick then ends the driver.
struct Sleep {
    until: Instant,
    time: RunningTime,
}

#[async_trait]
impl Pollable for Sleep {
    async fn ready(&mut self) {
        /// Counts also where something else is ready first.
        struct Slept<'a>(&'a RunningTime, Instant);
        impl Drop for Slept<'_> {
            fn drop(&mut self) {
                self.0.spend(self.1.elapsed());
            }
        }
        let now = Instant::now();
        let slept = Slept(&self.time, now);
        let until = self.until.min(now + self.time.left() + TICK);
        if until <= now {
            // Others must come to their turn even where a driver only ever asks whether something is ready.
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep_until(until.into()).await;
        }
        drop(slept);
    }
}

impl monotonic_clock::Host for State {
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
        // Far beyond what is left, or beyond what can be told: both end the driver.
        let until = now.checked_add(Duration::from_nanos(nanoseconds)).unwrap_or(now + TICK * 2 * MOST_TICKS);
        let sleep = self.table.push(Sleep { until, time: self.time.clone() })?;
        subscribe(&mut self.table, sleep)
    }
}
