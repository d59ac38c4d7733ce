//! Metrics of a training, found in its log: by the user's definitions, else wherever a line says `name=number` or
//! `name: number`.

use std::{collections::BTreeMap, sync::LazyLock};

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::ui::Metric;

/// As many points as a series keeps: of more, every second one goes.
const MOST_POINTS: usize = 512;
/// As many metrics as a job has; a log that is full of numbers names no more.
const MOST_SERIES: usize = 64;

/// `name=number` or `name: number`.
static NAMED_NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    let number = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|nan|inf";
    Regex::new(&format!(r"([A-Za-z_][A-Za-z0-9_/.-]*)(=| = |: | : |:)({number})")).expect("it is well formed")
});

/// Counters, and not what a training is judged by.
const COUNTERS: [&str; 10] =
    ["epoch", "epochs", "step", "steps", "iteration", "iter", "batch", "time", "eta", "elapsed"];

/// The metrics of one job, as its log goes by.
#[derive(Debug)]
pub struct Metrics {
    definitions: Vec<(String, Regex)>,
    series: BTreeMap<String, Series>,
    changed: bool,
}

/// The values of one metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// As many values as there were, but for what is no number.
    pub count: u64,
    /// The newest value; none where that is no number, as of a loss that ran away.
    pub last: Option<f64>,
    /// The smallest value.
    pub least: f64,
    /// The largest value.
    pub most: f64,
    /// Milliseconds since the Unix epoch where the log has them, and the value: not all of many.
    pub points: Vec<(Option<u64>, f64)>,
    /// Each of so many values is a point.
    stride: u64,
}

impl Metrics {
    /// By the user's definitions, names with regular expressions, or by what lines usually look like. An expression of
    /// which only the service makes sense is the service's alone.
    pub fn new(definitions: &[(String, String)]) -> Self {
        let understood = definitions.iter().filter_map(|(name, pattern)| {
            Regex::new(pattern)
                .ok()
                .filter(|regex| regex.captures_len() > 1)
                .map(|regex| (name.clone(), regex))
        });
        Self { definitions: understood.collect(), series: BTreeMap::new(), changed: false }
    }

    /// Looks at one line; `node` is none where there is but one.
    pub fn read(&mut self, node: Option<&str>, time: Option<u64>, line: &str) {
        let named = |name: &str| match node {
            Some(node) => format!("{name} ({node})"),
            None => name.to_owned(),
        };
        let mut found: Vec<(String, f64)> = Vec::new();
        if self.definitions.is_empty() {
            // Most lines are none, and looking for these costs next to nothing.
            if line.contains(['=', ':']) {
                found.extend(named_numbers(line).map(|(name, value)| (named(name), value)));
            }
        } else {
            for (name, regex) in &self.definitions {
                let captured = regex.captures_iter(line).filter_map(|captures| captures.get(1));
                found.extend(captured.filter_map(|text| Some((named(name), text.as_str().parse().ok()?))));
            }
        }
        for (name, value) in found {
            if self.series.len() < MOST_SERIES || self.series.contains_key(&name) {
                self.series.entry(name).or_default().push(time, value);
                self.changed = true;
            }
        }
    }

    /// All that was found, by name.
    pub fn series(&self) -> &BTreeMap<String, Series> {
        &self.series
    }

    /// Whether anything was found since this was asked last.
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
        // The stride is none before the first value.
        if self.stride == 0 {
            (self.least, self.most, self.stride) = (value, value, 1);
        }
        self.least = self.least.min(value);
        self.most = self.most.max(value);
        if self.count.is_multiple_of(self.stride) {
            self.points.push((time, value));
        }
        self.count += 1;
        if self.points.len() > MOST_POINTS {
            let mut keep = false;
            self.points.retain(|_| {
                keep = !keep;
                keep
            });
            self.stride *= 2;
        }
    }

    /// The best value, where the name tells which that is.
    pub fn best(&self, name: &str) -> Option<f64> {
        let name = name.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        match () {
            () if has(&["loss", "err", "perplexity", "ppl", "rmse", "mse", "mae"]) => Some(self.least),
            () if has(&[
                "acc",
                "f1",
                "auc",
                "precision",
                "recall",
                "r2",
                "bleu",
                "rouge",
                "score",
                "map",
            ]) =>
            {
                Some(self.most)
            }
            () => None,
        }
    }
}

/// As it is told to the user.
pub fn told(series: &BTreeMap<String, Series>) -> Vec<Metric<'_>> {
    let told = series.iter().filter(|(_, series)| series.count > 0).map(|(name, series)| Metric {
        name,
        count: series.count,
        last: series.last,
        best: series.best(name),
        least: series.least,
        most: series.most,
        values: series.points.iter().map(|(_, value)| *value).collect(),
    });
    told.collect()
}

/// What a line says of numbers, but for counters.
fn named_numbers(line: &str) -> impl Iterator<Item = (&str, f64)> {
    NAMED_NUMBER.captures_iter(line).filter_map(move |captures| {
        let (name, sign, number) = (captures.get(1)?, captures.get(2)?, captures.get(3)?);
        let before = line[..name.start()].chars().next_back();
        let after = &line[number.end()..];
        // Not the port of a host, nor the minutes of a time, nor a version.
        let stands_alone = !before.is_some_and(|c| c.is_alphanumeric() || ":/=._-\"'@".contains(c))
            && !after.starts_with(|c: char| c.is_alphanumeric() || ":_/".contains(c))
            && !after.strip_prefix(['.', '-']).is_some_and(|rest| rest.starts_with(char::is_alphanumeric));
        let stands_alone = stands_alone && (sign.as_str() != ":" || number.as_str().contains('.'));
        let name = name.as_str();
        let is_counter = COUNTERS.contains(&name.to_lowercase().as_str());
        (stands_alone && !is_counter).then(|| Some((name, number.as_str().parse().ok()?))).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> Vec<(String, f64)> {
        named_numbers(line).map(|(name, value)| (name.to_owned(), value)).collect()
    }

    #[test]
    fn what_trainings_print_is_found() {
        for (line, expected) in [
            ("accuracy: 0.98", &[("accuracy", 0.98)][..]),
            ("epoch=3 loss=1.5e-3, val_loss=0.25", &[("loss", 0.0015), ("val_loss", 0.25)]),
            ("[10/90] train/loss: -2 lr: .01", &[("train/loss", -2.0), ("lr", 0.01)]),
            (" 50%|#####     | 5/10 [00:01<00:01,  4.9it/s, loss=0.5]", &[("loss", 0.5)]),
            ("Epoch 1: loss = 7.", &[("loss", 7.0)]),
            ("{'loss': 0.1}", &[]),
            ("loss:0.5", &[("loss", 0.5)]),
            ("accuracy: 98%", &[("accuracy", 98.0)]),
        ] {
            let expected: Vec<_> =
                expected.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
            assert_eq!(found(line), expected, "{line}");
        }
    }

    #[test]
    fn addresses_times_and_versions_are_no_metrics() {
        for line in [
            "listening at http://localhost:8080/x",
            "started at: 12:30:01",
            "torch: 2.1.0",
            "date: 2026-01-02",
            "localhost:80",
            "epoch: 3",
            "id=12ab",
            "nothing at all",
        ] {
            assert_eq!(found(line), [], "{line}");
        }
    }

    #[test]
    fn definitions_are_all_that_counts_where_there_are_any() {
        let given = [("train:f1".to_owned(), "f1 is ([0-9.]+)".to_owned())];
        let mut metrics = Metrics::new(&given);
        metrics.read(None, Some(5), "loss=1 f1 is 0.5");
        metrics.read(None, None, "f1 is 0.75");
        assert_eq!(metrics.series().keys().collect::<Vec<_>>(), ["train:f1"]);
        let series = &metrics.series()["train:f1"];
        assert_eq!((series.count, series.last, series.least, series.most), (2, Some(0.75), 0.5, 0.75));
        assert_eq!(series.points, [(Some(5), 0.5), (None, 0.75)]);
        assert_eq!(series.best("train:f1"), Some(0.75));
        assert!(metrics.take_changed() && !metrics.take_changed());
    }

    #[test]
    fn a_loss_that_runs_away_is_seen() {
        let mut metrics = Metrics::new(&[]);
        metrics.read(None, None, "loss: 2.5");
        metrics.read(None, None, "loss: nan");
        let series = &metrics.series()["loss"];
        assert_eq!((series.count, series.last, series.most), (1, None, 2.5));
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
            (series.count, series.least, series.most, series.last),
            (100_000, 0.0, 99_999.0, Some(99_999.0))
        );
        assert!(series.points.len() <= MOST_POINTS && series.points.len() > MOST_POINTS / 4);
        assert!(series.points.is_sorted_by(|a, b| a.1 < b.1));
        for number in 0..1000 {
            metrics.read(None, None, &format!("m{number}=1"));
        }
        assert_eq!(metrics.series().len(), MOST_SERIES);
    }
}
