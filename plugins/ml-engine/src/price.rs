//! The maximum cost of a job, from prices that the user sets: Google publishes its prices only as web pages.

use alekseylearn_sdk::{Finding, Values};

/// The parts of each machine, and how many of each.
type Parts = Vec<(String, i64)>;

/// The cost of all machines for the job's maximum run time.
pub(crate) fn ceiling(options: &Values) -> Finding {
    let text = |key: &str| options.text(key).unwrap_or_default();
    let number = |key: &str| options.integer(key).unwrap_or(1);
    let mut parts = vec![(text("machine_type"), 1)];
    if let Some(accelerator) = options.text("accelerator_type") {
        parts.push((accelerator, number("accelerator_count")));
    }
    let seconds = options.integer("timeout").unwrap_or_default();
    let spot = options.boolean("spot") == Some(true);
    let (most, basis) = reckoned(&options.entries("prices"), &parts, number("replica_count"), seconds, spot);
    Finding::cost(most, &basis)
}

fn reckoned(
    prices: &[(String, String)],
    parts: &Parts,
    machines: i64,
    seconds: i64,
    spot: bool,
) -> (Option<f64>, String) {
    let mut hourly = 0.0;
    let mut all = Vec::new();
    for (kind, count) in parts {
        let given = prices.iter().find(|(name, _)| name == kind);
        let Some((_, price)) = given else {
            return (None, format!("no price known for {kind}: set --config.prices.{kind}=USD_PER_HOUR"));
        };
        let Some(price) = price.parse::<f64>().ok().filter(|price| price.is_finite() && *price >= 0.0) else {
            return (None, format!("--config.prices.{kind} is not a price: `{price}`"));
        };
        hourly += price * *count as f64;
        all.push(format!("{count} × {kind} at {price} USD per hour"));
    }
    let hours = seconds as f64 / 3600.0;
    let less = if spot { "; spot costs less" } else { "" };
    let basis = format!(
        "{machines} × ({}), for {hours:.1} hours (--config.timeout), excluding disks and data{less}",
        all.join(" + ")
    );
    (Some(hourly * machines as f64 * hours), basis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(prices: &[(&str, &str)], parts: &[(&str, i64)]) -> (Option<f64>, String) {
        let prices: Vec<_> = prices.iter().map(|(name, price)| ((*name).into(), (*price).into())).collect();
        let parts = parts.iter().map(|(kind, count)| ((*kind).into(), *count)).collect();
        reckoned(&prices, &parts, 2, 2 * 3600, true)
    }

    #[test]
    fn the_cost_is_unknown_unless_every_part_has_a_price() {
        let parts = [("n1-standard-4", 1), ("NVIDIA_TESLA_T4", 2)];
        let (most, basis) = cost(&[("n1-standard-4", "0.25"), ("NVIDIA_TESLA_T4", "0.5")], &parts);
        assert_eq!(most, Some((0.25 + 2.0 * 0.5) * 2.0 * 2.0));
        assert!(basis.contains("2 × NVIDIA_TESLA_T4 at 0.5 USD per hour"), "{basis}");
        assert!(
            basis.ends_with("for 2.0 hours (--config.timeout), excluding disks and data; spot costs less")
        );
        let (most, basis) = cost(&[("n1-standard-4", "0.25")], &parts);
        assert_eq!(most, None);
        assert!(basis.contains("set --config.prices.NVIDIA_TESLA_T4="), "{basis}");
        for wrong in ["", "-1", "NaN", "inf", "1,5"] {
            let (most, basis) = cost(&[("n1-standard-4", wrong)], &parts[..1]);
            assert!(most.is_none() && basis.contains("is not a price"), "{wrong}: {basis}");
        }
    }
}
