//! Finds a training's metrics in its log: by the user's definitions, or else in the forms that frameworks print.

mod line;

use std::collections::BTreeMap;

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::ui::Metric;

/// Maximum points of a series; if there are more, every second one is dropped.
const MAX_POINTS: usize = 512;
/// Maximum metrics of a job: a log may be full of numbers.
const MAX_SERIES: usize = 64;

/// The metrics of one job, collected from its log line by line.
#[derive(Debug)]
pub struct Metrics {
    definitions: Vec<(String, Regex)>,
    series: BTreeMap<String, Series>,
    changed: bool,
}

/// The values of one metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Number of finite values.
    pub count: u64,
    /// The newest value; `None` if it is not finite, as that of a loss that diverged.
    pub last: Option<f64>,
    /// The smallest value. Older records call it `least`.
    #[serde(alias = "least")]
    pub min: f64,
    /// The largest value. Older records call it `most`.
    #[serde(alias = "most")]
    pub max: f64,
    /// Time in milliseconds since the Unix epoch, if the log has it, and value; thinned out if there are many.
    pub points: Vec<(Option<u64>, f64)>,
    /// Only every value with a number that `stride` divides is a point.
    stride: u64,
}

impl Metrics {
    /// Uses the user's definitions (names and regular expressions), or the usual forms if there are none. An expression
    /// that only the service understands is left to the service.
    pub fn new(definitions: &[(String, String)]) -> Self {
        let understood = definitions.iter().filter_map(|(name, pattern)| {
            Regex::new(pattern)
                .ok()
                .filter(|regex| regex.captures_len() > 1)
                .map(|regex| (name.clone(), regex))
        });
        Self { definitions: understood.collect(), series: BTreeMap::new(), changed: false }
    }

    /// Reads one line; `node` is `None` if the job has only one machine.
    pub fn read(&mut self, node: Option<&str>, time: Option<u64>, line: &str) {
        let named = |name: &str| match node {
            Some(node) => format!("{name} ({node})"),
            None => name.to_owned(),
        };
        let mut found: Vec<(String, f64)> = Vec::new();
        if self.definitions.is_empty() {
            found.extend(line::metrics(line).into_iter().map(|(name, value)| (named(&name), value)));
        } else {
            for (name, regex) in &self.definitions {
                let captured = regex.captures_iter(line).filter_map(|captures| captures.get(1));
                found.extend(captured.filter_map(|text| Some((named(name), text.as_str().parse().ok()?))));
            }
        }
        for (name, value) in found {
            if self.series.len() < MAX_SERIES || self.series.contains_key(&name) {
                self.series.entry(name).or_default().push(time, value);
                self.changed = true;
            }
        }
    }

    /// All metrics found so far, by name.
    pub fn series(&self) -> &BTreeMap<String, Series> {
        &self.series
    }

    /// Returns whether any value was found since the last call.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}

impl Series {
    fn push(&mut self, time: Option<u64>, value: f64) {
        self.last = value.is_finite().then_some(value);
        if !value.is_finite() {
            return;
        }
        // The stride is 0 before the first value.
        if self.stride == 0 {
            (self.min, self.max, self.stride) = (value, value, 1);
        }
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if self.count.is_multiple_of(self.stride) {
            self.points.push((time, value));
        }
        self.count += 1;
        if self.points.len() > MAX_POINTS {
            let mut keep = false;
            self.points.retain(|_| {
                keep = !keep;
                keep
            });
            self.stride *= 2;
        }
    }

    /// The best value, if the name shows whether lower or higher is better.
    pub fn best(&self, name: &str) -> Option<f64> {
        let name = name.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        if has(&["loss", "err", "perplexity", "ppl", "rmse", "mse", "mae", "mape", "wer", "cer", "deviance"])
        {
            Some(self.min)
        } else if has(&["acc", "f1", "auc", "precision", "recall", "r2", "bleu", "rouge", "score", "map"]) {
            Some(self.max)
        } else {
            None
        }
    }
}

/// Converts the series for display.
pub fn told(series: &BTreeMap<String, Series>) -> Vec<Metric<'_>> {
    let told = series.iter().filter(|(_, series)| series.count > 0).map(|(name, series)| Metric {
        name,
        count: series.count,
        last: series.last,
        best: series.best(name),
        min: series.min,
        max: series.max,
        values: series.points.iter().map(|(_, value)| *value).collect(),
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_replace_the_usual_forms() {
        let given = [("train:f1".to_owned(), "f1 is ([0-9.]+)".to_owned())];
        let mut metrics = Metrics::new(&given);
        metrics.read(None, Some(5), "loss=1 f1 is 0.5");
        metrics.read(None, None, "f1 is 0.75");
        assert_eq!(metrics.series().keys().collect::<Vec<_>>(), ["train:f1"]);
        let series = &metrics.series()["train:f1"];
        assert_eq!((series.count, series.last, series.min, series.max), (2, Some(0.75), 0.5, 0.75));
        assert_eq!(series.points, [(Some(5), 0.5), (None, 0.75)]);
        assert_eq!(series.best("train:f1"), Some(0.75));
        assert!(metrics.take_changed() && !metrics.take_changed());
    }

    #[test]
    fn a_loss_that_diverges_is_shown() {
        let mut metrics = Metrics::new(&[]);
        metrics.read(None, None, "loss: 2.5");
        metrics.read(None, None, "loss: nan");
        let series = &metrics.series()["loss"];
        assert_eq!((series.count, series.last, series.max), (1, None, 2.5));
        assert_eq!(serde_json::from_value::<Series>(serde_json::to_value(series).unwrap()).unwrap(), *series);
    }

    #[test]
    fn many_values_keep_their_extremes_and_few_points() {
        let mut metrics = Metrics::new(&[]);
        for value in 0..100_000 {
            metrics.read(Some("algo-2"), None, &format!("loss={value}"));
        }
        let series = &metrics.series()["loss (algo-2)"];
        assert_eq!(
            (series.count, series.min, series.max, series.last),
            (100_000, 0.0, 99_999.0, Some(99_999.0))
        );
        assert!(series.points.len() <= MAX_POINTS && series.points.len() > MAX_POINTS / 4);
        assert!(series.points.is_sorted_by(|a, b| a.1 < b.1));
        for number in 0..1000 {
            metrics.read(None, None, &format!("loss_{number}=0.5"));
        }
        assert_eq!(metrics.series().len(), MAX_SERIES);
    }

    #[test]
    fn a_series_of_an_older_record_is_read() {
        let text =
            r#"{"count": 2, "last": 0.5, "least": 0.5, "most": 0.75, "points": [[null, 0.5]], "stride": 1}"#;
        let series: Series = serde_json::from_str(text).unwrap();
        assert_eq!((series.min, series.max), (0.5, 0.75));
    }
}
