//! Formats the metrics of a training for people.

use serde::Serialize;

use super::Ui;

/// The number of bars in a trend.
const TREND: usize = 20;
/// The number of metrics in one line.
const IN_A_LINE: usize = 4;

/// A summary of one metric.
#[derive(Clone, Debug, Serialize)]
pub struct Metric<'a> {
    /// The name in the log, or the user's name for it.
    pub name: &'a str,
    /// The number of values.
    pub count: u64,
    /// The newest value; `None` if it is not a number.
    pub last: Option<f64>,
    /// The best value; `None` if it is not known whether lower or higher is better.
    pub best: Option<f64>,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
    /// The values in order; only some if there are many.
    #[serde(skip)]
    pub values: Vec<f64>,
}

/// The first few metrics, in one line.
pub(super) fn line(metrics: &[Metric<'_>]) -> String {
    let some = metrics.iter().take(IN_A_LINE).map(|metric| {
        let best = metric.best.map(|best| format!(" (best {})", number(Some(best)))).unwrap_or_default();
        format!("{} {}{best} {}", metric.name, number(metric.last), trend(&metric.values))
    });
    some.collect::<Vec<_>>().join("  ")
}

impl Ui {
    /// A table of all metrics.
    pub fn metrics_table(&self, metrics: &[Metric<'_>]) -> String {
        self.table(["METRIC", "LAST", "BEST", "MIN", "MAX", "TREND"], &rows(metrics))
    }
}

fn rows(metrics: &[Metric<'_>]) -> Vec<[String; 6]> {
    metrics
        .iter()
        .map(|metric| {
            [
                metric.name.to_owned(),
                number(metric.last),
                metric.best.map(|best| number(Some(best))).unwrap_or_default(),
                number(Some(metric.min)),
                number(Some(metric.max)),
                trend(&metric.values),
            ]
        })
        .collect()
}

/// Formats a number with at most five significant digits.
pub fn number(value: Option<f64>) -> String {
    let Some(value) = value else { return "nan".to_owned() };
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e7).contains(&size) {
        return format!("{value:.3e}");
    }
    let decimals = if size < 1.0 { 5 } else { 4_usize.saturating_sub(size.log10() as usize) };
    let shown = format!("{value:.decimals$}");
    if shown.contains('.') { shown.trim_end_matches('0').trim_end_matches('.').to_owned() } else { shown }
}

/// The values as a line of bars.
fn trend(values: &[f64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    if values.len() < 2 {
        return String::new();
    }
    let count = values.len().min(TREND);
    // The last of each part, so that the newest value is the last bar.
    let picked: Vec<f64> = (1..=count).map(|part| values[part * values.len() / count - 1]).collect();
    let least = picked.iter().copied().fold(f64::INFINITY, f64::min);
    let most = picked.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let height =
        |value: f64| if most > least { ((value - least) / (most - least) * 7.0).round() as usize } else { 0 };
    picked.into_iter().map(|value| BARS[height(value).min(7)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_significant_digits() {
        for (value, shown) in [
            (0.98, "0.98"),
            (0.123456789, "0.12346"),
            (12.0, "12"),
            (1234.5678, "1234.6"),
            (123456.0, "123456"),
            (0.00001, "1.000e-5"),
            (3.2e9, "3.200e9"),
            (0.0, "0"),
            (-2.5, "-2.5"),
        ] {
            assert_eq!(number(Some(value)), shown);
        }
        assert_eq!(number(None), "nan");
    }

    #[test]
    fn a_trend_ends_with_the_newest_value() {
        assert_eq!(trend(&[1.0]), "");
        assert_eq!(trend(&[1.0, 1.0]), "▁▁");
        assert_eq!(trend(&[0.0, 1.0]), "▁█");
        let falling: Vec<f64> = (0..1000).map(|step| -f64::from(step)).collect();
        let shown: Vec<char> = trend(&falling).chars().collect();
        assert_eq!((shown.len(), shown[0], shown[TREND - 1]), (TREND, '█', '▁'));
    }
}
