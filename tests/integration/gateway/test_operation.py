"""A gateway in production: keys, policies, limits, logs, and shutdown."""

import asyncio
import os
import signal
import socket
from pathlib import Path

import httpx
import psutil
import pytest
import tritonclient.grpc
from prometheus_client.parser import text_string_to_metric_families
from tribunal import AccessDenied, Client, Connection, Overloaded
from tribunal.gateway.admission.keys import hash_key

from launcher.exposure.ports import free_ports
from launcher.process.server import TritonServer
from tests.integration.gateway.conftest import RunningGateway, running_gateway, until
from tests.integration.launching import launch, wait_until_ready

SECRET = "s3cret-of-alice"  # noqa: S105 - made up
TEXT = "The parcel of Rumpelstiltskin"
POLICIES = """
[policies.strict]
judge = "never"
category_threshold = 0.0

[policies.lax]
judge = "never"
category_threshold = 1.0
"""


def gauge(gateway: RunningGateway, name: str) -> float:
    families = text_string_to_metric_families(httpx.get(f"{gateway.metrics_url}/metrics").text)
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)


@pytest.mark.parametrize(("trusted", "address"), [("127.0.0.1", "192.0.2.7"), ("192.0.2.1", "127.0.0.1")])
def test_http_and_grpc_believe_the_same_proxies(
    server: TritonServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: str, address: str
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", trusted)
    forwarded = {"x-forwarded-for": "192.0.2.7"}
    with running_gateway(server.grpc_url, tmp_path) as gateway:
        with tritonclient.grpc.InferenceServerClient(gateway.grpc_url) as client:
            assert client.is_server_live(headers=forwarded)
        httpx.get(f"{gateway.http_url}/v2", headers=forwarded)
        said = (f"{address} caller=- gRPC ServerLive", f"{address} caller=anonymous GET '/v2'")
        until(lambda: all(line in gateway.log for line in said))


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Files of policies and keys; alice has a limit of 50 requests a minute."""
    policies, keys = tmp_path / "policies.toml", tmp_path / "keys.toml"
    policies.write_text(POLICIES)
    lines = [
        "[keys.alice]",
        f'sha256 = "{hash_key(SECRET)}"',
        'policy = "strict"',
        'rate_limit = "50/minute"',
    ]
    keys.write_text("\n".join(lines))
    return policies, keys


def test_keys_policies_and_limits(server: TritonServer, files: tuple[Path, Path], tmp_path: Path) -> None:
    policies, keys = files
    options = ("--policies", str(policies), "--keys", str(keys))
    with running_gateway(server.grpc_url, tmp_path, *options) as gateway:
        url = f"{gateway.http_url}/v1/verdicts"
        headers = {"authorization": f"Bearer {SECRET}"}

        def ask(**fields: str) -> httpx.Response:
            return httpx.post(url, json={"text": TEXT, **fields}, headers=headers)

        for wrong in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {SECRET}"}):
            assert httpx.post(url, json={"text": TEXT}, headers=wrong).status_code == 401
        assert ask().json()["flagged"] is True
        assert ask(policy="lax").json()["flagged"] is False
        assert ask(policy="none").status_code == 404
        for address in (gateway.grpc_url, gateway.http_url):
            with Client(address) as stranger, pytest.raises(AccessDenied):
                stranger.moderate(TEXT)
            with Client(address, connection=Connection(headers=headers)) as alice:
                assert alice.moderate(TEXT).flagged is True

        policies.write_text(POLICIES.replace("category_threshold = 0.0", "category_threshold = 1.0"))
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: "were reloaded" in gateway.log)
        assert ask().json()["flagged"] is False
        policies.write_text(POLICIES.replace("0.0", "7"))
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: "policies.toml:4" in gateway.log)
        assert ask().json()["flagged"] is False

        refused = next(answer for answer in (ask() for _ in range(50)) if answer.status_code != 200)
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        connection = Connection(headers=headers, retries=0)
        with Client(gateway.grpc_url, connection=connection) as alice, pytest.raises(Overloaded):
            alice.moderate(TEXT)
        assert "caller=alice" in gateway.log
        assert not [secret for secret in (SECRET, "Rumpelstiltskin") if secret in gateway.log]


def test_a_fault_in_a_file_stops_the_start(
    server: TritonServer, files: tuple[Path, Path], tmp_path: Path
) -> None:
    files[0].write_text("[policies.a]\njudge = 1\n")
    with (
        pytest.raises(AssertionError, match=r"policies\.toml:2: policies\.a\.judge"),
        running_gateway(server.grpc_url, tmp_path, "--policies", str(files[0])),
    ):
        pass


def test_a_port_that_is_taken_stops_the_start(server: TritonServer, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with (
            pytest.raises(AssertionError, match=r"tribunal: .*Address already in use"),
            running_gateway(server.grpc_url, tmp_path, "--port", port),
        ):
            pass


def test_a_request_that_waits_too_long_is_refused(server: TritonServer, tmp_path: Path) -> None:
    options = ("--max-in-flight", "1", "--max-wait", "0")
    with running_gateway(server.grpc_url, tmp_path, *options) as gateway:

        async def flood() -> list[httpx.Response]:
            limits = httpx.Limits(max_connections=None)
            async with httpx.AsyncClient(limits=limits, timeout=60) as client:
                url = f"{gateway.http_url}/v1/verdicts"
                asked = [client.post(url, json={"text": TEXT, "judge": "always"}) for _ in range(100)]
                return await asyncio.gather(*asked)

        answers = asyncio.run(flood())
        statuses = {answer.status_code for answer in answers}
        assert statuses == {200, 429}
        assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 429)
        assert httpx.post(f"{gateway.http_url}/v1/verdicts", json={"text": TEXT}).status_code == 200


def test_callers_that_go_leave_no_work(gateway: RunningGateway) -> None:
    async def abandon() -> None:
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=None)) as client:
            url = f"{gateway.http_url}/v1/verdicts"
            asked = [
                asyncio.create_task(client.post(url, json={"text": TEXT * 500, "judge": "always"}))
                for _ in range(50)
            ]
            await asyncio.sleep(0.5)
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    asyncio.run(abandon())
    until(lambda: gauge(gateway, "tribunal_gateway_waiting_cost") == 0)
    until(lambda: gauge(gateway, "tribunal_gateway_in_flight_cost") == 0)


def test_a_stop_drains_requests_in_flight(server: TritonServer, tmp_path: Path) -> None:
    with running_gateway(server.grpc_url, tmp_path) as gateway:

        async def ask_and_stop() -> list[httpx.Response]:
            limits = httpx.Limits(max_connections=None)
            async with httpx.AsyncClient(limits=limits, timeout=60) as client:
                url = f"{gateway.http_url}/v1/verdicts"
                asked = [
                    asyncio.create_task(client.post(url, json={"text": TEXT, "judge": "always"}))
                    for _ in range(20)
                ]
                await asyncio.sleep(0.3)
                gateway.process.send_signal(signal.SIGTERM)
                return await asyncio.gather(*asked)

        assert [answer.status_code for answer in asyncio.run(ask_and_stop())] == [200] * 20
        assert gateway.process.wait(60) == 0


def test_without_triton_it_says_so_within_the_deadline(tmp_path: Path, demo_repository: Path) -> None:
    ports = free_ports()
    log_file = tmp_path / "tritonserver.log"
    with launch(demo_repository, ports, log_file, "--without-judge") as launcher:
        wait_until_ready(launcher, ports)
        with running_gateway(f"127.0.0.1:{ports.grpc}", tmp_path, "--timeout", "5") as gateway:
            url = f"{gateway.http_url}/v1/verdicts"
            assert httpx.post(url, json={"text": TEXT}).status_code == 200
            triton = next(
                child
                for child in psutil.Process(launcher.pid).children(recursive=True)
                if child.name() == "tritonserver"
            )
            os.kill(triton.pid, signal.SIGKILL)
            answer = httpx.post(url, json={"text": TEXT}, timeout=10)
            assert answer.status_code in (503, 504)
            assert answer.headers["retry-after"]
            assert httpx.get(f"{gateway.http_url}/v2/health/ready").status_code == 503
            assert httpx.get(f"{gateway.http_url}/v2/health/live").status_code == 200
            until(lambda: httpx.post(url, json={"text": TEXT}, timeout=10).status_code == 200)
