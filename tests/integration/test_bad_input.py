"""Invalid requests get an error with a reason; valid ones at the same time are answered."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tritonclient.grpc
import tritonclient.http
from tribunal import Client, InvalidInput
from tritonclient.utils import InferenceServerException

from launcher.process.server import TritonServer

BAD_REQUESTS_EACH = 100


def text_tensor(*rows: bytes) -> npt.NDArray[Any]:
    return np.array([[row] for row in rows], dtype=np.object_)


BAD_INPUTS: dict[str, tuple[npt.NDArray[Any], str, str]] = {
    "invalid UTF-8": (text_tensor(b"good", b"bad \xff"), "BYTES", "text[1] is not valid UTF-8"),
    "over 65536 bytes": (text_tensor(b" " * 65537), "BYTES", "text[0] has 65537 bytes; the limit is 65536"),
    "wrong dtype": (np.zeros((1, 1), dtype=np.float32), "FP32", "text"),
    "wrong shape": (np.array([[b"a", b"b"]], dtype=np.object_), "BYTES", "text"),
    "no batch axis": (np.array([b"a"], dtype=np.object_), "BYTES", "text"),
    "empty batch": (np.empty((0, 1), dtype=np.object_), "BYTES", ""),
    "batch over the limit": (text_tensor(*[b"a"] * 65), "BYTES", "64"),
    # Tokens of 32 windows in each of 33 texts.
    "windows over the limit": (
        text_tensor(*[b"a " * 14_500] * 33),
        "BYTES",
        "the first 33 texts of the request have 1056 windows; a request may have 1024",
    ),
}


@contextmanager
def raw_client(server: TritonServer, protocol: str) -> Iterator[Any]:
    if protocol == "grpc":
        with tritonclient.grpc.InferenceServerClient(server.grpc_url) as client:
            yield client
    else:
        address = server.http_url.removeprefix("http://")
        with tritonclient.http.InferenceServerClient(address) as client:
            yield client


def send(client: Any, protocol: str, values: npt.NDArray[Any], datatype: str) -> Any:
    module = {"grpc": tritonclient.grpc, "http": tritonclient.http}[protocol]
    tensor = module.InferInput("text", list(values.shape), datatype)
    tensor.set_data_from_numpy(values)
    return client.infer("moderation", [tensor])


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize("kind", BAD_INPUTS)
def test_the_error_names_the_field_and_the_limit(server: TritonServer, protocol: str, kind: str) -> None:
    values, datatype, reason = BAD_INPUTS[kind]
    with raw_client(server, protocol) as client, pytest.raises(InferenceServerException) as caught:
        send(client, protocol, values, datatype)
    assert reason in caught.value.message()
    assert caught.value.status() in ("StatusCode.INVALID_ARGUMENT", "400")


def test_a_missing_input_is_named(server: TritonServer) -> None:
    with (
        raw_client(server, "grpc") as client,
        pytest.raises(InferenceServerException, match="missing required input"),
    ):
        client.infer("moderation", [])


@pytest.mark.parametrize("kind", BAD_INPUTS)
def test_a_hundred_of_each_between_good_ones(server: TritonServer, kind: str) -> None:
    values, datatype, _ = BAD_INPUTS[kind]

    def send_bad(_: int) -> None:
        with pytest.raises(InferenceServerException):
            send(bad_client, "grpc", values, datatype)

    with (
        raw_client(server, "grpc") as bad_client,
        Client(server.grpc_url) as good_client,
        ThreadPoolExecutor(max_workers=8) as pool,
    ):
        good = [pool.submit(good_client.moderate, "How to make a bomb?", judge="never") for _ in range(10)]
        bad = [pool.submit(send_bad, index) for index in range(BAD_REQUESTS_EACH)]
        good += [pool.submit(good_client.moderate, "How to make a bomb?", judge="never") for _ in range(10)]
        verdicts = [future.result() for future in good]
        for future in bad:
            future.result()
    assert all(verdict.flagged for verdict in verdicts)


def test_the_client_tells_bad_input_from_other_faults(url: str) -> None:
    with Client(url) as client:
        with pytest.raises(InvalidInput, match=r"text\[2\] has 70000 bytes; the limit is 65536"):
            client.moderate_batch(["fine", "fine too", "a " * 35_000])
        assert client.moderate("fine", judge="never").refusal.score < 0.5


def test_an_unknown_mode_of_the_judge_is_named(url: str) -> None:
    with Client(url) as client, pytest.raises(InvalidInput, match="judge is 'maybe'; it must be one of"):
        client.moderate("fine", judge="maybe")  # type: ignore[arg-type]


def test_ids_outside_of_the_vocabulary_fail_alone(server: TritonServer) -> None:
    with tritonclient.grpc.InferenceServerClient(server.grpc_url) as client:

        def logits(token: int) -> npt.NDArray[Any]:
            tensors = []
            for name, value in (("input_ids", token), ("attention_mask", 1)):
                tensor = tritonclient.grpc.InferInput(name, [1, 1, 8], "INT32")
                tensor.set_data_from_numpy(np.full((1, 1, 8), value, dtype=np.int32))
                tensors.append(tensor)
            return np.asarray(client.infer("rejection", tensors).as_numpy("logits"))

        with pytest.raises(InferenceServerException):
            logits(10**6)
        assert np.isfinite(logits(5)).all()
