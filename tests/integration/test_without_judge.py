"""A server without the judge: its responses and its metrics."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from tribunal import Client, InvalidInput, Toxicity

from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from tests.integration.metrics import scrape, value

HARMLESS = "The bread is fresh."
# More tokens than the encoders read.
LONG = f"{HARMLESS} " * 3200
SKIPPED = Toxicity("skipped", None, None, None)
REFUSAL = "judge: this server has no judge; use judge=never"


@pytest.fixture(scope="module")
def screening(demo_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """A server of the demo encoders with `--without-judge`."""
    log_file = tmp_path_factory.mktemp("without_judge") / "log"
    options = ServerOptions(demo_repository, log_file, ports=free_ports(), judge=False)
    with TritonServer(options) as running:
        yield running


@pytest.mark.parametrize("protocol", ["grpc_url", "http_url"])
def test_no_judge_is_asked_and_no_text_is_flagged_for_that(screening: TritonServer, protocol: str) -> None:
    with Client(getattr(screening, protocol)) as client:
        for verdict in (client.moderate(HARMLESS), client.moderate(HARMLESS, judge="never")):
            assert verdict.toxicity == SKIPPED
            assert not verdict.flagged
        with pytest.raises(InvalidInput, match=f"{REFUSAL}$"):
            client.moderate(HARMLESS, judge="always")
        with pytest.raises(InvalidInput, match=f"{REFUSAL}$"):
            client.moderate(HARMLESS, judge="auto")


def test_a_refused_request_is_the_callers_error_over_http(screening: TritonServer) -> None:
    url = f"{screening.http_url}/v2/models/moderation/generate"
    answer = requests.post(url, json={"text": HARMLESS, "judge": "always"}, timeout=20)
    assert answer.status_code == 400
    assert REFUSAL in answer.json()["error"]


def test_a_text_that_nobody_reads_to_its_end_is_flagged(screening: TritonServer) -> None:
    with Client(screening.grpc_url) as client:
        verdict = client.moderate(LONG)
    assert verdict.truncated
    assert verdict.categories.flagged == ()
    assert verdict.toxicity == SKIPPED
    assert verdict.flagged


def test_the_metrics_say_that_there_is_no_judge(screening: TritonServer) -> None:
    assert value(scrape(screening), "tribunal_judge_served") == 0


def test_the_judges_weights_are_not_listed(screening: TritonServer) -> None:
    with Client(screening.grpc_url) as client:
        assert client.info().weights.keys() == {"rejection", "aegis"}
    listed = [dict(labels) for name, labels in scrape(screening) if name == "tribunal_weights_info"]
    assert {labels["model"] for labels in listed} == {"rejection", "aegis"}
