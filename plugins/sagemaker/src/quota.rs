//! Whether the account may use as many instances as a request asks for.

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
        None => Finding::note(&format!("how many {kind} the account may use at once could not be found out")),
        Some(quota) if i64::from(quota) < count => Finding::problem(
            &format!("the job asks for {count} × {kind}, and the account may use {quota} at once"),
            &format!(
                "ask for more of \"{kind} for {usage}\" in Service Quotas, or take another kind or number"
            ),
        ),
        Some(quota) => Finding::note(&format!("the account may use {quota} × {kind} at once")),
    }
}
