"""The page's messages for a request without a verdict, in a real Chromium."""

import json
import re
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from tests.integration.gateway.conftest import LIMITED, WITH_KEY, OpenTab, RunningGateway, running_gateway
from tests.integration.gateway.user import (
    HARMLESS,
    THREAT,
    VERDICT_TIMEOUT_MS,
    check,
    decision,
    give_key,
    refused,
)


def test_a_key_is_asked_for(tab: OpenTab, guarded: RunningGateway) -> None:
    page = tab(*refused(401)).open(guarded)
    expect(page.locator("#weights")).to_have_text("A key is needed")
    page.locator("#text").fill(THREAT)
    page.get_by_role("button", name="Check").click()
    field = page.get_by_label("Key of this gateway")
    expect(field).to_be_focused()
    expect(page.locator("#key-why")).to_have_text("It answers only with one.")
    field.fill("nobody's")
    page.keyboard.press("Enter")
    expect(page.locator("#key-why")).to_have_text("It does not know this key.")
    expect(page.locator("#decision-word")).to_have_text("The gateway asks for a key")
    expect(page.locator("#decision-why")).to_contain_text("There is no verdict.")
    field.fill("schlüssel")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("ASCII")
    field.fill(WITH_KEY)
    page.keyboard.press("Enter")
    # The page repeats the check that was refused.
    expect(page.locator("#decision-word")).to_have_text("Flagged", timeout=VERDICT_TIMEOUT_MS)
    stored = page.evaluate("[Object.values(sessionStorage), Object.values(localStorage), document.cookie]")
    assert stored == [[WITH_KEY], [], ""]
    assert WITH_KEY not in guarded.log
    give_key(page, "")
    expect(page.locator("#weights")).to_have_text("A key is needed")
    assert page.evaluate("sessionStorage.length") == 0


def test_too_many_requests(tab: OpenTab, guarded: RunningGateway) -> None:
    page = tab(*refused(401, 429)).open(guarded)
    # This requests the policies and the server's data.
    give_key(page, LIMITED)
    expect(page.locator("#weights")).to_have_text("Demonstration weights")
    check(page, HARMLESS)
    assert decision(page) == "Not flagged"
    check(page, HARMLESS)
    assert decision(page) == "Too many requests"
    expect(page.locator("#decision-why")).to_have_text(
        re.compile(r"^More requests than 3 per 1 hour\. Try again in \d+ minutes\. There is no verdict\.$")
    )


@pytest.mark.parametrize(
    ("status", "label", "said"),
    [
        ("unavailable", "unavailable", "It is down, or took too long."),
        ("unparsed", "no label", "names no label"),
    ],
)
def test_a_judge_that_gives_no_answer(
    tab: OpenTab, gateway: RunningGateway, status: str, label: str, said: str
) -> None:
    page = tab().open(gateway)

    def without_answer(route: Route) -> None:
        answer = route.fetch()
        events = answer.text().split("\n\n")
        verdict = json.loads(events[-2].partition("data: ")[2])
        verdict["toxicity"] = {"status": status, "label": None, "score": None, "reason": None}
        verdict |= {"flagged": True, "reasons": ["judge_failure"]}
        failed = 'event: reason_failed\ndata: {"error": {"code": "unavailable", "message": "it is down"}}'
        body = "\n\n".join([events[0], failed, f"event: verdict\ndata: {json.dumps(verdict)}", ""])
        route.fulfill(response=answer, body=body)

    page.route("**/v1/verdicts", without_answer)
    check(page, HARMLESS)
    assert decision(page) == "Flagged"
    expect(page.locator("#decision-why")).to_have_text("Detected: no answer from the judge.")
    expect(page.locator("#judge-label")).to_have_text(label)
    expect(page.locator("#reason")).to_contain_text(said)
    expect(page.locator("#reason")).to_contain_text(
        "The policy flags a text that the judge gives no answer on."
    )


def test_a_stream_that_ends_too_early_is_no_verdict(tab: OpenTab, gateway: RunningGateway) -> None:
    page = tab().open(gateway)

    def cut(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().partition("event: verdict")[0])

    page.route("**/v1/verdicts", cut)
    check(page, HARMLESS)
    assert decision(page) == "The connection ended too early"
    expect(page.locator("#decision-why")).to_contain_text("There is no verdict.")


def test_a_text_beyond_the_limits(tab: OpenTab, gateway: RunningGateway) -> None:
    page = tab(*refused(400)).open(gateway)
    check(page, "x" * 100_000)
    assert decision(page) == "The gateway refuses this request"
    expect(page.locator("#decision-why")).to_contain_text("65536")


def test_no_judge_then_no_server_then_no_gateway(tab: OpenTab, demo_repository: Path, tmp_path: Path) -> None:
    options = ServerOptions(demo_repository, tmp_path / "log", ports=free_ports(), judge=False)
    with ExitStack() as stack:
        with TritonServer(options) as server:
            running = stack.enter_context(running_gateway(server.grpc_url, tmp_path))
            page = tab(*refused(503), "ERR_CONNECTION_REFUSED").open(running)
            expect(page.get_by_label("Ask the judge")).to_be_disabled()
            expect(page.locator("#judge option:checked")).to_have_text("this server has no judge")
            check(page, HARMLESS)
            assert decision(page) == "Not flagged"
            expect(page.locator("#judge-label")).to_have_text("not asked")
        check(page, HARMLESS)
        assert decision(page) == "The moderation server is unavailable"
        expect(page.locator("#decision-why")).to_contain_text("There is no verdict.")
    check(page, HARMLESS)
    assert decision(page) == "The gateway does not answer"
    expect(page.locator("#said")).to_contain_text("There is no verdict.")
