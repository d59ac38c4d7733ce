//! Service Quotas: how many instances the account may use at once.

use std::{collections::HashMap, time::Duration};

use tokio::time::timeout;

use super::Aws;

/// Timeout: SageMaker has thousands of quotas in pages of 100, and the request cannot filter by name.
const PATIENCE: Duration = Duration::from_secs(5);
const PAGE: i32 = 100;
/// Suffixes of the names of training quotas, after the instance type.
const ON_DEMAND: &str = " for training job usage";
const SPOT: &str = " for spot training job usage";

/// Numbers of instances, by quota name.
pub(super) type TrainingQuotas = HashMap<String, u32>;

impl Aws {
    /// How many instances of a type may train at once; `None` if that is unknown. The first call reads all quotas.
    pub async fn training_quota(&self, instance_type: &str, spot: bool) -> Option<u32> {
        let quotas = self.training_quotas.get_or_init(|| async {
            let mut quotas = TrainingQuotas::new();
            // The quotas that were read in time are valid without the rest.
            let _ = timeout(PATIENCE, self.read_training_quotas(&mut quotas)).await;
            quotas
        });
        quotas.await.get(&format!("{instance_type}{}", if spot { SPOT } else { ON_DEMAND })).copied()
    }

    /// Reads as many quotas as possible: a missing quota is not an error of a run.
    async fn read_training_quotas(&self, quotas: &mut TrainingQuotas) {
        let Ok(config) = self.config().await else { return };
        let mut pages = aws_sdk_servicequotas::Client::new(config)
            .list_service_quotas()
            .service_code("sagemaker")
            .into_paginator()
            .page_size(PAGE)
            .send();
        while let Some(Ok(page)) = pages.next().await {
            let named = page.quotas().iter().filter_map(|quota| quota.quota_name().zip(quota.value()));
            let of_training = named.filter(|(name, _)| name.ends_with(ON_DEMAND) || name.ends_with(SPOT));
            // They are whole numbers, returned as floats.
            quotas.extend(of_training.map(|(name, value)| (name.to_owned(), value as u32)));
        }
    }
}
