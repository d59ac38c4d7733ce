"""ListServiceQuotas for SageMaker, which moto does not implement. Everything else of Service Quotas is moto's."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import botocore.session

from .settings import Settings
from .web import Environ, json_response, read_body

_CONTENT_TYPE = "application/x-amz-json-1.1"
_MOST_OF_A_PAGE = 100


class Quotas:
    """A WSGI application in front of moto's. The quotas are settings."""

    def __init__(self, moto: Any, settings: Settings) -> None:
        self._moto = moto
        self._settings = settings

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        request = json.loads(read_body(environ) or b"{}")
        if environ["rig.call"].operation != "ListServiceQuotas" or request.get("ServiceCode") != "sagemaker":
            return self._moto(environ, start_response)
        size = min(request.get("MaxResults", _MOST_OF_A_PAGE), _MOST_OF_A_PAGE)
        start = int(request.get("NextToken", "0"))
        quotas = list(self._all())
        answer: dict[str, Any] = {"Quotas": quotas[start : start + size]}
        if start + size < len(quotas):
            answer["NextToken"] = str(start + size)
        return json_response(answer, content_type=_CONTENT_TYPE)(environ, start_response)

    def _all(self) -> Iterator[dict[str, Any]]:
        """All quotas by instance type and usage. The relevant ones are among many others, as in the service."""
        service = botocore.session.get_session().get_service_model("sagemaker")
        for number, instance in enumerate(service.shape_for("TrainingInstanceType").enum):
            for usage, value in (
                ("endpoint usage", 0.0),
                ("training warm pool usage", 0.0),
                ("spot training job usage", self._settings.spot_quota),
                ("training job usage", self._settings.training_quota),
            ):
                yield {
                    "ServiceCode": "sagemaker",
                    "ServiceName": "Amazon SageMaker",
                    "QuotaCode": f"L-{number:04X}{len(usage):04X}",
                    "QuotaName": f"{instance} for {usage}",
                    "Value": value,
                    "Unit": "None",
                    "Adjustable": True,
                    "GlobalQuota": False,
                }
