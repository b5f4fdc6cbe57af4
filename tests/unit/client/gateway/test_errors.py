"""Errors of the gateway as callers see them."""

import json

import pytest
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter
from tribunal.errors import (
    AccessDenied,
    DeadlineExceeded,
    InvalidInput,
    Overloaded,
    ServerError,
    ServerUnavailable,
    TribunalError,
)
from tribunal.gateway.errors import from_tribunal, from_validation
from tribunal.gateway.protocols.verdicts import VerdictAnswer, VerdictRequest

ADDRESS = "triton.internal:8001"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidInput("text[0] has 70000 bytes; the limit is 65536"), 400),
        (Overloaded(f"{ADDRESS} is full", 7.0), 429),
        (ServerUnavailable(f"no server answers at {ADDRESS}"), 503),
        (DeadlineExceeded(f"{ADDRESS} gave no answer"), 504),
        (AccessDenied(f"{ADDRESS} refuses these credentials"), 502),
        (ServerError(f"{ADDRESS} failed"), 502),
    ],
)
def test_errors_of_triton_have_a_status_and_tell_no_address(error: TribunalError, status: int) -> None:
    fault = from_tribunal(error)
    assert fault.status == status
    assert ADDRESS not in fault.message
    assert ("Retry-After" in fault.headers) == (status in (429, 503, 504))


def test_the_pause_of_an_overloaded_server_is_passed_on() -> None:
    assert from_tribunal(Overloaded("full", 7.0)).headers["Retry-After"] == "7"


def test_a_fault_names_its_field() -> None:
    fault = {"type": "string_type", "loc": ("body", "texts", 2), "msg": "Input should be a valid string"}
    error = from_validation(RequestValidationError([fault]))
    assert (error.field, error.message) == ("texts.2", "texts.2: Input should be a valid string")


def test_the_openapi_document_describes_what_is_answered() -> None:
    schemas = json.dumps([VerdictRequest.model_json_schema(), TypeAdapter(VerdictAnswer).json_schema()])
    assert all(f'"{field}"' in schemas for field in ("text", "texts", "reasons", "toxicity", "truncated"))
