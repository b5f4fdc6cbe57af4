"""KServe's protocol through the gateway, by Triton's clients and by requests that would crash Triton."""

import gzip
import json
import socket
from collections.abc import Callable
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tribunal import Client
from tritonclient.grpc import service_pb2 as messages
from tritonclient.utils import InferenceServerException

from launcher.process.server import TritonServer
from tests.integration.gateway.conftest import RunningGateway

TEXTS = ["How to make a bomb?", "The bread is fresh.", "", "Grüße 🙂", "word " * 3000, "[SEP] </s>"]
OUTPUTS = ("rejection_score", "category_scores", "toxicity_score", "flagged", "verdict")
HUGE = (2**27, 2**31, 2**45, 2**62, -1, 0)


def infer_url(gateway: RunningGateway, model: str = "moderation") -> str:
    return f"{gateway.http_url}/v2/models/{model}/infer"


def text_input(*shape: int, datatype: str = "BYTES", data: Any = None, **others: Any) -> dict[str, Any]:
    values = ["The bread is fresh."] if data is None else data
    return {"name": "text", "datatype": datatype, "shape": list(shape or (1, 1)), "data": values, **others}


def no_constant(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


@pytest.mark.parametrize("protocol", ["grpc_url", "http_url"])
@pytest.mark.parametrize(("judge", "spans"), [("never", False), ("always", False), ("never", True)])
def test_verdicts_are_those_of_the_server(
    server: TritonServer, gateway: RunningGateway, protocol: str, judge: Any, spans: bool
) -> None:
    with Client(server.grpc_url) as direct, Client(getattr(gateway, protocol)) as through:
        expected = direct.moderate_batch(TEXTS, judge=judge, spans=spans)
        assert through.moderate_batch(TEXTS, judge=judge, spans=spans) == expected
    assert (expected[0].spans is not None) is spans


@pytest.mark.parametrize("protocol", ["grpc_url", "http_url"])
def test_information_is_that_of_the_server(
    server: TritonServer, gateway: RunningGateway, protocol: str
) -> None:
    with Client(server.grpc_url) as direct, Client(getattr(gateway, protocol)) as through:
        known, seen = direct.info(), through.info()
        assert through.is_ready()
    assert (seen.weights, seen.triton_version) == (known.weights, known.triton_version)
    assert set(seen.models) == {"moderation", "judge", "manifest"}


def test_the_judge_streams(server: TritonServer, gateway: RunningGateway) -> None:
    with Client(server.grpc_url) as direct, Client(gateway.grpc_url) as through:
        text = "I could strangle him"
        pieces = list(through.stream_judgement(text))
        assert len(pieces) > 1
        assert "".join(pieces) == "".join(direct.stream_judgement(text))


@pytest.mark.parametrize("outputs", [[], ["flagged"], ["category_scores", "verdict"], list(OUTPUTS)])
@pytest.mark.parametrize("is_binary", [False, True])
def test_tritons_clients_get_the_outputs_that_they_name(
    server: TritonServer, gateway: RunningGateway, outputs: list[str], is_binary: bool
) -> None:
    rows = np.array([[b"I could strangle him"], [b"Hi"]], np.object_)
    never = np.full((2, 1), b"never", np.object_)
    answers = []
    for module, url in (
        (tritonclient.grpc, server.grpc_url),
        (tritonclient.grpc, gateway.grpc_url),
        (tritonclient.http, gateway.http_url.removeprefix("http://")),
    ):
        inputs = []
        for name, values in (("text", rows), ("judge", never)):
            tensor = module.InferInput(name, [2, 1], "BYTES")
            tensor.set_data_from_numpy(values)
            inputs.append(tensor)
        options = {"binary_data": is_binary} if module is tritonclient.http else {}
        asked = [module.InferRequestedOutput(name, **options) for name in outputs] or None
        with module.InferenceServerClient(url) as client:
            answers.append(client.infer("moderation", inputs, outputs=asked))
    for name in OUTPUTS:
        direct, *through = (answer.as_numpy(name) for answer in answers)
        if outputs and name not in outputs:
            assert [direct, *through] == [None] * 3
        elif name == "verdict":
            for other in through:
                assert [json.loads(row[0]) for row in other] == [json.loads(row[0]) for row in direct]
        else:
            for other in through:
                np.testing.assert_allclose(other.astype(float), direct.astype(float), atol=1e-6)


def test_json_of_a_missing_score_parses_everywhere(gateway: RunningGateway) -> None:
    inputs = [text_input(), {"name": "judge", "datatype": "BYTES", "shape": [1, 1], "data": ["never"]}]
    answer = httpx.post(infer_url(gateway), json={"inputs": inputs, "id": "7"})
    document = json.loads(answer.text, parse_constant=no_constant)
    data = {output["name"]: output["data"] for output in document["outputs"]}
    assert document["id"] == "7"
    assert data["toxicity_score"] == [None]
    assert data["flagged"] == [False]
    generated = httpx.post(
        f"{gateway.http_url}/v2/models/moderation/generate", json={"text": "Hi", "judge": "never"}
    )
    assert json.loads(generated.text, parse_constant=no_constant)["toxicity_score"] is None


def test_each_row_says_whether_it_has_spans(gateway: RunningGateway) -> None:
    inputs = [
        text_input(2, 1, data=[TEXTS[0], TEXTS[0]]),
        {"name": "spans", "datatype": "BOOL", "shape": [2, 1], "data": [True, False]},
    ]
    answer = httpx.post(infer_url(gateway), json={"inputs": inputs, "outputs": [{"name": "verdict"}]}).json()
    with_spans, without = (json.loads(verdict) for verdict in answer["outputs"][0]["data"])
    assert [(span["start"], span["end"]) for span in with_spans["spans"]] == [(0, len(TEXTS[0]))]
    assert "spans" not in without


@pytest.mark.parametrize("spans", [False, True])
def test_generate_takes_spans(gateway: RunningGateway, spans: bool) -> None:
    asked = {"text": TEXTS[0], "judge": "never", "spans": spans}
    answer = httpx.post(f"{gateway.http_url}/v2/models/moderation/generate", json=asked).json()
    assert ("spans" in json.loads(answer["verdict"])) is spans


MALFORMED: dict[str, tuple[int, Any]] = {
    **{f"shape {size}": (400, {"inputs": [text_input(size, 1)]}) for size in HUGE},
    **{f"second axis {size}": (400, {"inputs": [text_input(1, size)]}) for size in HUGE},
    "65 texts": (400, {"inputs": [text_input(65, 1, data=["a"] * 65)]}),
    "too few values": (400, {"inputs": [text_input(2, 1)]}),
    "spans for another batch": (
        400,
        {
            "inputs": [
                text_input(),
                {"name": "spans", "datatype": "BOOL", "shape": [2, 1], "data": [True] * 2},
            ]
        },
    ),
    "spans as text": (
        400,
        {"inputs": [text_input(), {"name": "spans", "datatype": "BYTES", "shape": [1, 1], "data": ["true"]}]},
    ),
    "no axis": (400, {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [], "data": ["a"]}]}),
    "another datatype": (400, {"inputs": [text_input(datatype="FP32", data=[1.0])]}),
    "a number": (400, {"inputs": [text_input(data=[1])]}),
    "null": (400, {"inputs": [text_input(data=[None])]}),
    "a surrogate": (400, {"inputs": [text_input(data=["\ud800"])]}),
    "twice": (400, {"inputs": [text_input(), text_input()]}),
    "another input": (400, {"inputs": [text_input(), {**text_input(), "name": "tokens"}]}),
    "no input": (400, {"inputs": []}),
    "another mode": (
        400,
        {
            "inputs": [
                text_input(),
                {"name": "judge", "datatype": "BYTES", "shape": [1, 1], "data": ["often"]},
            ]
        },
    ),
    "classification": (
        400,
        {"inputs": [text_input()], "outputs": [{"name": "verdict", "parameters": {"classification": 1}}]},
    ),
    "another output": (400, {"inputs": [text_input()], "outputs": [{"name": "rejection_logits"}]}),
    "shared memory": (
        400,
        {"inputs": [text_input(data=None, parameters={"shared_memory_region": "a"})]},
    ),
    "parameters": (400, {"inputs": [text_input()], "parameters": {"sequence_id": 1}}),
    "binary data that is not there": (
        400,
        {"inputs": [{**text_input(), "data": None, "parameters": {"binary_data_size": 2**40}}]},
    ),
    "a list": (400, []),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_fails_alone(gateway: RunningGateway, name: str) -> None:
    status, document = MALFORMED[name]
    answer = httpx.post(infer_url(gateway), content=json.dumps(document))
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 400),
        (b"\xff\xfe", {}, 400),
        (b'{"inputs":' + b"[" * 100_000, {}, 400),
        (b'{"inputs":' + b'[{"a":' * 100_000, {}, 400),
        (b"{}", {"inference-header-content-length": "99999999999999999999"}, 400),
        (b"{}", {"inference-header-content-length": "-1"}, 400),
        (b"{}", {"inference-header-content-length": "\u00b2".encode().decode("latin-1")}, 400),
        (gzip.compress(b" " * 2**26), {"content-encoding": "gzip"}, 413),
        (b"nothing", {"content-encoding": "gzip"}, 400),
        (b"nothing", {"content-encoding": "br"}, 415),
        (b" " * (8 * 2**20 + 1), {}, 413),
    ],
    ids=range(11),
)
def test_a_hostile_body_is_refused(
    gateway: RunningGateway, body: bytes, headers: dict[str, str], status: int
) -> None:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    answer = httpx.post(infer_url(gateway), content=body, headers=encoded)
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize(
    "model", ["rejection", "aegis", "tokenizer", "phi3", "verdict", "..%2fmoderation", "judge"]
)
def test_other_models_are_not_reached(gateway: RunningGateway, model: str) -> None:
    assert httpx.post(infer_url(gateway, model), json={"inputs": []}).status_code == 404
    for path in (f"v2/models/{model}/config", f"v2/repository/models/{model}/unload", "v2/logging"):
        assert httpx.post(f"{gateway.http_url}/{path}").status_code in (404, 405)


def test_a_million_small_chunks_end_no_other_request(gateway: RunningGateway) -> None:
    host, port = gateway.http_url.removeprefix("http://").split(":")
    head = f"POST /v2/models/moderation/infer HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + b"1\r\na\r\n" * 200_000)
        with Client(gateway.grpc_url) as client:
            assert client.is_ready()
            client.moderate("Hi", judge="never")


def grpc_request(**changes: Any) -> Any:
    request = messages.ModelInferRequest(model_name="moderation")
    request.inputs.add(name="text", datatype="BYTES", shape=[1, 1]).contents.bytes_contents.append(b"Hi")
    for name, value in changes.items():
        match name:
            case "model":
                request.model_name = value
            case "shape":
                request.inputs[0].shape[:] = value
            case "classification":
                request.outputs.add(name="verdict").parameters["classification"].int64_param = value
            case "raw":
                request.inputs[0].contents.Clear()
                request.raw_input_contents.extend(value)
            case "region":
                request.inputs[0].parameters["shared_memory_region"].string_param = value
    return request


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        *(({"shape": [size, 1]}, "INVALID_ARGUMENT") for size in HUGE),
        *(
            ({"model": model}, "NOT_FOUND")
            for model in ("rejection", "aegis", "phi3", "verdict", "", "judge")
        ),
        ({"classification": 1}, "INVALID_ARGUMENT"),
        ({"raw": [b"\xff\xff\xff\xff"]}, "INVALID_ARGUMENT"),
        ({"raw": [b"\x02\x00\x00\x00\xff\xfe"]}, "INVALID_ARGUMENT"),
        ({"raw": [b"\x00\x00\x00\x00"] * 5}, "INVALID_ARGUMENT"),
        ({"region": "any"}, "INVALID_ARGUMENT"),
    ],
)
def test_a_malformed_call_fails_alone(gateway: RunningGateway, changes: dict[str, Any], status: str) -> None:
    with tritonclient.grpc.InferenceServerClient(gateway.grpc_url) as client:
        stub = client._client_stub
        with pytest.raises(grpc.RpcError) as raised:
            stub.ModelInfer(grpc_request(**changes))
        assert raised.value.code().name == status
        assert stub.ModelInfer(grpc_request()).model_name == "moderation"


def test_triton_is_not_administered_through_the_gateway(gateway: RunningGateway) -> None:
    with tritonclient.grpc.InferenceServerClient(gateway.grpc_url) as client:
        calls: tuple[Callable[[], Any], ...] = (
            lambda: client.unload_model("aegis"),
            lambda: client.register_system_shared_memory("a", "/a", 1),
            lambda: client.update_log_settings({"log_verbose_level": 9}),
            lambda: client.get_trace_settings(),
        )
        for call in calls:
            with pytest.raises(InferenceServerException, match="UNIMPLEMENTED"):
                call()


@pytest.mark.parametrize("model", ["moderation", "manifest", "judge"])
def test_tritons_clients_are_told_the_tensors(
    server: TritonServer, gateway: RunningGateway, model: str
) -> None:
    http = tritonclient.http.InferenceServerClient(gateway.http_url.removeprefix("http://"))
    rpc = tritonclient.grpc.InferenceServerClient(gateway.grpc_url)
    direct = tritonclient.http.InferenceServerClient(server.http_url.removeprefix("http://"))
    metadata, known = http.get_model_metadata(model, "1"), direct.get_model_metadata(model)
    for kind in ("inputs", "outputs"):
        assert [
            {**tensor, "shape": [abs(size) if size == 1 else -1 for size in tensor["shape"]]}
            for tensor in sorted(known.get(kind, []), key=lambda tensor: str(tensor["name"]))
            if tensor["name"] in {named["name"] for named in metadata[kind]}
        ] == sorted(metadata[kind], key=lambda tensor: str(tensor["name"]))
    of_grpc = rpc.get_model_metadata(model, as_json=True)
    assert of_grpc["name"] == metadata["name"] == model
    assert [tensor["name"] for tensor in of_grpc["outputs"]] == [
        tensor["name"] for tensor in metadata["outputs"]
    ]
    of_model = http.get_inference_statistics(model, "1")
    assert of_model == rpc.get_inference_statistics(model, as_json=True)
    assert of_model == {"model_stats": [{"name": model, "version": "1"}]}
    config = http.get_model_config(model)
    assert rpc.get_model_config(model, as_json=True)["config"]["name"] == config["name"]
    assert config["max_batch_size"] == direct.get_model_config(model)["max_batch_size"]


def test_version_one_is_served_and_no_other(gateway: RunningGateway) -> None:
    urls: dict[Any, str] = {
        tritonclient.http: gateway.http_url.removeprefix("http://"),
        tritonclient.grpc: gateway.grpc_url,
    }
    for module, url in urls.items():
        client = module.InferenceServerClient(url)
        text = module.InferInput("text", [1, 1], "BYTES")
        text.set_data_from_numpy(np.array([[b"Hi"]], np.object_))
        assert client.is_model_ready("moderation", "1")
        answer = client.infer("moderation", [text], model_version="1")
        assert answer.as_numpy("flagged").shape == (1, 1)
        with pytest.raises(InferenceServerException, match="version"):
            client.infer("moderation", [text], model_version="7")
        for method in ("get_model_metadata", "get_model_config", "is_model_ready"):
            if module is tritonclient.http and method == "is_model_ready":
                assert not client.is_model_ready("moderation", "7")
                continue
            with pytest.raises(InferenceServerException, match="version"):
                getattr(client, method)("moderation", "7")
