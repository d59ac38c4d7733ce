//! Checks the account's quota for the instances of a request.

use std::collections::BTreeMap;

use alekseylearn_sdk::{Error, Finding, sagemaker};
use serde_json::Value;

use crate::machines;

pub(crate) fn findings(request: &Value) -> Result<Vec<Finding>, Error> {
    let spot = request["EnableManagedSpotTraining"] == true;
    let mut asked = BTreeMap::<String, i64>::new();
    for group in machines::of(request) {
        *asked.entry(group.kind).or_default() += group.count;
    }
    let judged = |(kind, count): (String, i64)| {
        let quota = sagemaker::training_quota(&kind, spot)?;
        Ok(judge(&kind, count, spot, quota))
    };
    asked.into_iter().map(judged).collect()
}

fn judge(kind: &str, count: i64, spot: bool, quota: Option<u32>) -> Finding {
    let usage = if spot { "spot training job usage" } else { "training job usage" };
    match quota {
        None => Finding::note(&format!("the account's quota of {kind} is unknown")),
        Some(quota) if i64::from(quota) < count => Finding::problem(
            &format!("the job needs {count} × {kind}, but the account's quota is {quota}"),
            &format!(
                "request a higher quota for \"{kind} for {usage}\" in Service Quotas, or use another type or fewer instances"
            ),
        ),
        Some(quota) => Finding::note(&format!("the account's quota is {quota} × {kind}")),
    }
}
