"""Valid and invalid requests that schemathesis generates from the gateway's OpenAPI document."""

import os
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode

from tests.integration.gateway.conftest import RunningGateway

# Requests for each operation and mode.
EXAMPLES = int(os.environ.get("TRIBUNAL_FUZZ_EXAMPLES", "30"))
# It answers 503 for a model that is not ready.
READINESS = ("/v2/health/ready",)


@pytest.mark.parametrize("mode", GenerationMode)
def test_no_request_is_an_error_of_the_gateway(gateway: RunningGateway, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(f"{gateway.http_url}/openapi.json")
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()
        takes_something = operation.body or operation.query
        if operation.path not in READINESS and (takes_something or mode is GenerationMode.POSITIVE):
            _check(operation, mode)
    assert httpx.get(f"{gateway.http_url}/v2/health/ready").status_code == 200
    assert "Traceback" not in gateway.log


def _check(operation: Any, mode: GenerationMode) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        phases=[Phase.generate],
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Any) -> None:
        answer = case.call()
        assert answer.status_code < 500, f"{operation.label}: {answer.text}"
        if answer.status_code >= 400:
            assert {"error", "code"} & set(answer.json()), f"{operation.label}: {answer.text}"

    check()
