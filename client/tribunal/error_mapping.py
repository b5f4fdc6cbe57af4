"""Sorts what went wrong by whose fault it is, and says which of it is tried again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import gevent
import grpc
import tenacity
from geventhttpclient.response import HTTPConnectionClosed
from tritonclient.utils import InferenceServerException

from tribunal.errors import (
    AccessDenied,
    DeadlineExceeded,
    InvalidInput,
    ServerError,
    ServerUnavailable,
    TribunalError,
)

# By gRPC status or HTTP status. A message beyond a size limit is RESOURCE_EXHAUSTED or 413.
ERROR_BY_STATUS: dict[str | None, type[TribunalError]] = {
    "StatusCode.INVALID_ARGUMENT": InvalidInput,
    "StatusCode.RESOURCE_EXHAUSTED": InvalidInput,
    "400": InvalidInput,
    "413": InvalidInput,
    "StatusCode.UNAUTHENTICATED": AccessDenied,
    "StatusCode.PERMISSION_DENIED": AccessDenied,
    "401": AccessDenied,
    "403": AccessDenied,
    "StatusCode.UNAVAILABLE": ServerUnavailable,
    "429": ServerUnavailable,
    "502": ServerUnavailable,
    "503": ServerUnavailable,
    "StatusCode.DEADLINE_EXCEEDED": DeadlineExceeded,
    "504": DeadlineExceeded,
}
# A model that is not found is the wrong server's, unless the server says so of one that it can load.
NOT_FOUND = ("StatusCode.NOT_FOUND", "404")
UNLOADED = "has no available versions"
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0


@contextmanager
def translated_errors(url: str, timeout_s: float) -> Iterator[None]:
    """Turn the errors of both protocols' clients into TribunalErrors that say what to do."""
    try:
        yield
    except (gevent.Timeout, TimeoutError) as error:
        raise DeadlineExceeded(_late(url, timeout_s)) from error
    except (OSError, HTTPConnectionClosed, aiohttp.ClientError) as error:
        raise ServerUnavailable(_unavailable(url, error)) from error
    except InferenceServerException as error:
        raise _by_status(error.status(), error.message(), url, timeout_s) from error
    except grpc.RpcError as error:
        raise _by_status(str(error.code()), error.details(), url, timeout_s) from error


def retry_policy(retries: int, timeout_s: float) -> dict[str, Any]:
    """Options of tenacity's Retrying: only what is safe to send again, and never past the deadline."""
    return {
        "retry": tenacity.retry_if_exception_type(ServerUnavailable),
        "wait": tenacity.wait_random_exponential(multiplier=FIRST_PAUSE_S, max=LONGEST_PAUSE_S),
        "stop": tenacity.stop_after_attempt(1 + retries) | tenacity.stop_before_delay(timeout_s),
        "reraise": True,
    }


def _by_status(status: str | None, reason: str, url: str, timeout_s: float) -> TribunalError:
    fault = ERROR_BY_STATUS.get(status, ServerError)
    if status in NOT_FOUND and UNLOADED in reason:
        fault = ServerUnavailable
    if fault is ServerUnavailable:
        return ServerUnavailable(_unavailable(url, reason))
    if fault is DeadlineExceeded:
        return DeadlineExceeded(_late(url, timeout_s))
    if fault is AccessDenied:
        return AccessDenied(f"{url} refuses these credentials ({reason})")
    return fault(reason)


def _unavailable(url: str, reason: object) -> str:
    return f"no server answers at {url} ({reason}): check that it runs and that the address is right"


def _late(url: str, timeout_s: float) -> str:
    return f"no answer from {url} within {timeout_s:g} s"
