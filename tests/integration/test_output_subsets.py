"""A caller may ask `moderation` for any of its outputs, over both protocols and as strict JSON."""

import json
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import tritonclient.grpc as triton

from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.server import TritonServer

OUTPUTS = ("rejection_score", "category_scores", "toxicity_score", "flagged", "verdict")
SUBSETS = [subset for size in range(1, len(OUTPUTS) + 1) for subset in combinations(OUTPUTS, size)]
THREAT = "I could strangle him."
TIMEOUT_S = 20.0


@pytest.fixture(scope="module")
def screening(demo_repository: Path) -> Iterator[TritonServer]:
    """The demo encoders, served without the judge."""
    log_file = demo_repository.parent / "output_subsets.log"
    options = ServerOptions(demo_repository, ports=free_ports(), log_file=log_file, judge=False)
    with TritonServer(options) as running:
        yield running


def refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def infer_body(subset: tuple[str, ...]) -> dict[str, Any]:
    tensors = {"text": THREAT, "judge": "never"}
    return {
        "inputs": [
            {"name": name, "shape": [1, 1], "datatype": "BYTES", "data": [value]}
            for name, value in tensors.items()
        ],
        "outputs": [{"name": name} for name in subset],
    }


def test_every_subset_of_the_outputs_over_grpc(screening: TritonServer) -> None:
    inputs = []
    for name, value in (("text", THREAT), ("judge", "never")):
        tensor = triton.InferInput(name, [1, 1], "BYTES")
        tensor.set_data_from_numpy(np.array([[value.encode()]], dtype=np.object_))
        inputs.append(tensor)
    with triton.InferenceServerClient(screening.grpc_url) as client:
        for subset in SUBSETS:
            outputs = [triton.InferRequestedOutput(name) for name in subset]
            result = client.infer("moderation", inputs, outputs=outputs, client_timeout=TIMEOUT_S)
            assert {tensor.name for tensor in result.get_response().outputs} == set(subset)
            if "toxicity_score" in subset:
                assert np.isnan(result.as_numpy("toxicity_score")).all()


def test_every_subset_of_the_outputs_over_http(screening: TritonServer) -> None:
    url = f"{screening.http_url}/v2/models/moderation/infer"
    for subset in SUBSETS:
        answer = requests.post(url, json=infer_body(subset), timeout=TIMEOUT_S)
        assert answer.status_code == 200, (subset, answer.text)
        assert {tensor["name"] for tensor in answer.json()["outputs"]} == set(subset)
        # A missing score is NaN, which strict JSON does not have; the other outputs parse.
        if "toxicity_score" not in subset:
            json.loads(answer.text, parse_constant=refuse_constant)


def test_generate_gives_all_outputs_and_with_them_the_nan(screening: TritonServer) -> None:
    url = f"{screening.http_url}/v2/models/moderation/generate"
    answer = requests.post(url, json={"text": THREAT, "judge": "never"}, timeout=TIMEOUT_S)
    assert answer.status_code == 200, answer.text
    assert json.loads(answer.json()["verdict"])["toxicity"]["status"] == "skipped"
    # /generate cannot select outputs. Strict parsers request `verdict` from /infer, where the score is null.
    with pytest.raises(ValueError, match="NaN is no JSON"):
        json.loads(answer.text, parse_constant=refuse_constant)
