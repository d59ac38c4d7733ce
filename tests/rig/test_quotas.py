"""Tests of Service Quotas."""

from .conftest import RigUnderTest


def test_quotas_are_paged_and_can_be_changed(rig: RigUnderTest) -> None:
    rig.seam("POST", "settings", {"training_quota": 2}).raise_for_status()
    pages = list(rig.client("service-quotas").get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker"))
    assert len(pages) > 5
    quotas = {quota["QuotaName"]: quota["Value"] for page in pages for quota in page["Quotas"]}
    assert quotas["ml.m5.xlarge for training job usage"] == 2
    assert quotas["ml.m5.xlarge for spot training job usage"] == 4
    assert all(name.startswith("ml.") for name in quotas)
    assert rig.seam("GET", "calls").json()[-1]["service"] == "service-quotas"
