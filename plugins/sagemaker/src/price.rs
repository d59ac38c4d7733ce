//! Prices of instances: the user's, else those of a table from one day.
//!
//! `prices.json` names its source. A missing price is not guessed.

use alekseylearn_sdk::{Finding, Values};
use serde_json::Value;

use crate::machines::{self, Group};

/// Prices from the option and the table.
struct Prices {
    given: Vec<(String, String)>,
    table: Value,
    region: String,
}

impl Prices {
    fn new(options: &Values, region: &str) -> Self {
        let table = serde_json::from_str(include_str!("prices.json")).expect("the table is built in");
        Self { given: options.entries("prices"), table, region: region.to_owned() }
    }

    /// The price in USD per hour, and its source.
    fn of(&self, kind: &str) -> Result<(f64, String), String> {
        if let Some((name, price)) = self.given.iter().find(|(name, _)| name == kind) {
            return match price.parse::<f64>() {
                Ok(price) if price.is_finite() && price >= 0.0 => {
                    Ok((price, format!("--config.prices.{name}")))
                }
                _ => Err(format!("--config.prices.{name} is not a price: `{price}`")),
            };
        }
        let table = &self.table;
        let unknown = || {
            format!("no price known for {kind} in {}: set --config.prices.{kind}=USD_PER_HOUR", self.region)
        };
        if table["region"] != self.region.as_str() {
            return Err(unknown());
        }
        let price = table["usd_per_hour"][kind].as_f64().ok_or_else(unknown)?;
        Ok((price, format!("AWS's prices for {} on {}", self.region, text(&table["date"]))))
    }

    /// The price in USD per hour of all instances, the price of each, and their source.
    fn of_all(&self, groups: &[Group]) -> Result<(f64, String, String), String> {
        let (mut sum, mut parts, mut sources) = (0.0, Vec::new(), Vec::new());
        for Group { kind, count, .. } in groups {
            let (price, source) = self.of(kind)?;
            sum += price * *count as f64;
            parts.push(format!("{count} × {kind} at {price} USD per hour"));
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
        Ok((sum, parts.join(" + "), sources.join(" and ")))
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The maximum cost of a request: all of its instances for the maximum run time.
pub(crate) fn ceiling(request: &Value, options: &Values, region: &str) -> Finding {
    let (most, basis) = reckoned(&Prices::new(options, region), request);
    Finding::cost(most, &basis)
}

fn reckoned(prices: &Prices, request: &Value) -> (Option<f64>, String) {
    let runtime = request["StoppingCondition"]["MaxRuntimeInSeconds"].as_f64().unwrap_or(24.0 * 3600.0);
    let warm = request["ResourceConfig"]["KeepAlivePeriodInSeconds"].as_f64().unwrap_or(0.0);
    let (hourly, machines, source) = match prices.of_all(&machines::of(request)) {
        Ok(found) => found,
        Err(why) => return (None, why),
    };
    let warm_text = if warm > 0.0 { format!(" and {} kept warm", hours(warm)) } else { String::new() };
    let spot = if request["EnableManagedSpotTraining"] == true { "; spot costs less" } else { "" };
    let basis = format!(
        "{machines}, for {} (--config.max_runtime){warm_text}, by {source}, excluding disks and data{spot}",
        hours(runtime)
    );
    (Some(hourly * (runtime + warm) / 3600.0), basis)
}

fn hours(seconds: f64) -> String {
    let hours = seconds / 3600.0;
    if hours >= 1.0 { format!("{:.4} h", hours).replace(".0000", "") } else { format!("{seconds} s") }
}

/// What a job cost in USD; `None` if a price is unknown. The service bills each instance for the billable seconds, from
/// which spot's discount is already deducted.
pub(crate) fn charged(options: &Values, region: &str, billable_seconds: u64) -> Option<f64> {
    if options.entries("request").iter().any(|(path, _)| path.starts_with("ResourceConfig")) {
        return None;
    }
    let (hourly, ..) = Prices::new(options, region).of_all(&machines::asked(options).ok()?).ok()?;
    Some(hourly * billable_seconds as f64 / 3600.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn prices(given: &[(&str, &str)], region: &str) -> Prices {
        let given = given.iter().map(|(name, price)| ((*name).to_owned(), (*price).to_owned())).collect();
        let table = serde_json::from_str(include_str!("prices.json")).unwrap();
        Prices { given, table, region: region.to_owned() }
    }

    fn request(kind: &str, count: u32) -> Value {
        json!({
            "ResourceConfig": { "InstanceType": kind, "InstanceCount": count },
            "StoppingCondition": { "MaxRuntimeInSeconds": 7200 },
        })
    }

    #[test]
    fn the_maximum_is_all_instances_for_the_maximum_run_time() {
        let (most, basis) = reckoned(&prices(&[], "us-east-1"), &request("ml.m5.xlarge", 3));
        assert!((most.unwrap() - 3.0 * 0.23 * 2.0).abs() < 1e-9, "{most:?}");
        assert!(basis.contains("3 × ml.m5.xlarge at 0.23 USD per hour, for 2 h"), "{basis}");
        assert!(basis.contains("2025-01-26"), "{basis}");
        let groups = json!({
            "ResourceConfig": { "KeepAlivePeriodInSeconds": 1800, "InstanceGroups": [
                { "InstanceGroupName": "a", "InstanceType": "ml.m5.xlarge", "InstanceCount": 2 },
                { "InstanceGroupName": "b", "InstanceType": "ml.own", "InstanceCount": 1 } ] },
            "StoppingCondition": { "MaxRuntimeInSeconds": 1800 },
        });
        let (most, _) = reckoned(&prices(&[("ml.own", "2")], "us-east-1"), &groups);
        assert!((most.unwrap() - (2.0 * 0.23 + 2.0)).abs() < 1e-9, "{most:?}");
    }

    #[test]
    fn unknown_prices_are_not_guessed() {
        for (prices, kind) in [
            (prices(&[], "us-east-1"), "ml.c4.2xlarge"),
            (prices(&[], "eu-west-1"), "ml.m5.xlarge"),
            (prices(&[("ml.m5.xlarge", "cheap")], "us-east-1"), "ml.m5.xlarge"),
        ] {
            let (most, why) = reckoned(&prices, &request(kind, 1));
            assert_eq!(most, None);
            assert!(why.contains("--config.prices."), "{why}");
        }
    }
}
