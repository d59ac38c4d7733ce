//! Decides when to report that a long stage is still running, if there is no terminal with a spinner.

use std::time::{Duration, Instant};

use super::{Event, bytes};

/// The silence after which a line is printed.
pub(super) const MAX_SILENCE: Duration = Duration::from_secs(30);
/// The length to which a step is cut: a build step may be a long command.
const MAX_STEP_LENGTH: usize = 100;

/// The current stage, and the time of the last output.
pub(super) struct Pulse {
    stage: Option<String>,
    step: Option<String>,
    begun: Instant,
    heard: Instant,
}

/// One report of a stage that is still running.
#[derive(Debug, PartialEq)]
pub(super) struct Beat {
    pub(super) stage: String,
    pub(super) step: Option<String>,
    pub(super) elapsed_seconds: u64,
}

impl Pulse {
    pub(super) fn new(now: Instant) -> Self {
        Self { stage: None, step: None, begun: now, heard: now }
    }

    /// Records an event.
    pub(super) fn heard(&mut self, event: &Event<'_>, now: Instant) {
        match event {
            Event::Detail { text } => {
                self.step = Some(brief(text.lines().next().unwrap_or_default()));
                return;
            }
            Event::Progress { what, done, total } => {
                let of = total.map(|total| format!(" of {}", bytes(total))).unwrap_or_default();
                self.step = Some(format!("{what} {}{of}", bytes(*done)));
                return;
            }
            Event::Stage { name } => self.begin(Some(name), now),
            Event::Submitted { job, .. } => self.begin(Some(&format!("Waiting for {job} to start")), now),
            // From then on, the training's log is the output.
            Event::Status { state: "running", .. } | Event::Result { .. } | Event::Error { .. } => {
                self.begin(None, now);
            }
            Event::Status { state, detail, .. } => {
                let detail = detail.map(|detail| format!(": {detail}")).unwrap_or_default();
                self.begin(Some(&format!("Job {state}{detail}")), now);
            }
            _ => {}
        }
        self.heard = now;
    }

    fn begin(&mut self, stage: Option<&str>, now: Instant) {
        self.stage = stage.map(|stage| stage.lines().next().unwrap_or_default().to_owned());
        (self.step, self.begun) = (None, now);
    }

    /// The time of the next check.
    pub(super) fn next(&self) -> Instant {
        self.heard + MAX_SILENCE
    }

    /// The report to print now; `None` if the last output is recent.
    pub(super) fn beat(&mut self, now: Instant) -> Option<Beat> {
        if now < self.next() {
            return None;
        }
        self.heard = now;
        let shorten = |step: &String| match step.char_indices().nth(MAX_STEP_LENGTH) {
            Some((end, _)) => format!("{}…", &step[..end]),
            None => step.clone(),
        };
        Some(Beat {
            stage: self.stage.clone()?,
            step: self.step.as_ref().map(shorten),
            elapsed_seconds: (now - self.begun).as_secs(),
        })
    }
}

/// Shortens a step of a build, such as `[dependencies 9/9] RUN …`: its number says enough.
fn brief(step: &str) -> String {
    match step.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((number, _)) => format!("build step {number}"),
        None => step.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_stage_is_reported_every_half_minute() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pulse = Pulse::new(start);
        pulse.heard(&Event::Stage { name: "Building the image a/b" }, start);
        assert_eq!(pulse.beat(at(29)), None);
        let long = format!("RUN {}", "x".repeat(200));
        pulse.heard(&Event::Detail { text: &long }, at(29));
        let beat = pulse.beat(at(30)).unwrap();
        assert_eq!((beat.stage.as_str(), beat.elapsed_seconds), ("Building the image a/b", 30));
        let step = beat.step.unwrap();
        assert!(step.starts_with("RUN xxx") && step.chars().count() == MAX_STEP_LENGTH + 1, "{step}");
        assert_eq!(pulse.beat(at(31)), None, "once");
        pulse.heard(&Event::Detail { text: "[dependencies 9/9] RUN printf '%s'" }, at(59));
        let beat = pulse.beat(at(60)).unwrap();
        assert_eq!((beat.step.as_deref(), beat.elapsed_seconds), (Some("build step dependencies 9/9"), 60));
        pulse.heard(&Event::Stage { name: "Pushing" }, at(60));
        pulse.heard(&Event::Progress { what: "pushing", done: 1024, total: Some(4096) }, at(89));
        let expected = Beat {
            stage: "Pushing".into(),
            step: Some("pushing 1.00 KiB of 4.00 KiB".into()),
            elapsed_seconds: 30,
        };
        assert_eq!(pulse.beat(at(90)), Some(expected));
    }

    #[test]
    fn a_running_job_and_a_finished_command_are_not_reported() {
        let start = Instant::now();
        let mut pulse = Pulse::new(start);
        let status = |state| Event::Status { job: "j", state, detail: None, elapsed_seconds: 0 };
        pulse.heard(&status("queued"), start);
        assert_eq!(pulse.beat(start + MAX_SILENCE).unwrap().stage, "Job queued");
        for last in [status("running"), Event::Result { data: serde_json::Value::Null, text: "" }] {
            pulse.heard(&Event::Stage { name: "x" }, start);
            pulse.heard(&last, start);
            assert_eq!(pulse.beat(start + MAX_SILENCE), None);
        }
    }
}
