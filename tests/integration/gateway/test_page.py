"""The page in a real Chromium, before the real gateway and the demo server."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Route, expect, sync_playwright
from tribunal.gateway.keys import hash_key

from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from tests.integration.gateway.conftest import RunningGateway, running_gateway

THREAT = "I could strangle him"
HARMLESS = "How to make a birthday cake without eggs?"
REFUSAL = "Sorry, but I can't assist with that."
MARKUP = "<img src=x onerror=\"document.title='run'\"><script>document.title = 'run'</script>"
# What a shell, Python and JSON each treat as special.
AWKWARD = 'It\'s "$HOME" `id` \\n {x} %s 😀\n' + THREAT
WITH_KEY, LIMITED = "key-of-anna", "key-of-ben"
POLICIES = """
[policies.strict]
refusal = "flag"
category_threshold = 0.3
category_thresholds = {Violence = 0.2}

[policies.encoders]
judge = "never"
category_thresholds = {Threat = 0.0}
"""
KEYS = f"""
[keys.anna]
sha256 = "{hash_key(WITH_KEY)}"
policy = "strict"

[keys.ben]
sha256 = "{hash_key(LIMITED)}"
rate_limit = "3/hour"
"""
VERDICT_TIMEOUT_MS = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no chromium on this machine")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def guarded(server: TritonServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway with policies that asks for keys."""
    folder = tmp_path_factory.mktemp("guarded")
    files = {"policies": POLICIES, "keys": KEYS}
    options = []
    for name, content in files.items():
        (folder / name).write_text(content)
        options += [f"--{name}", str(folder / name)]
    with running_gateway(server.grpc_url, folder, *options) as running:
        yield running


@dataclass
class Tab:
    """A page, and what it did that nobody wants. expected: parts of what Chromium may complain of."""

    page: Page
    expected: tuple[str, ...] = ()
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def note(self, message: ConsoleMessage) -> None:
        self.complaints.append(f"{message.type}: {message.text}")

    @property
    def unexpected(self) -> list[str]:
        return [text for text in self.complaints if not any(part in text for part in self.expected)]

    def open(self, gateway: RunningGateway) -> Page:
        self.page.goto(gateway.http_url)
        expect(self.page.locator("#weights")).not_to_be_empty()
        return self.page


OpenTab = Callable[..., Tab]


@pytest.fixture
def tab(browser: Browser) -> Iterator[OpenTab]:
    """Opens tabs; fails where a script of one failed, or where one asked another host."""
    tabs: list[Tab] = []

    def new(*expected: str, **options: Any) -> Tab:
        opened = Tab(browser.new_context(**options).new_page(), expected)
        opened.page.on("console", opened.note)
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.page.on("request", lambda request: opened.hosts.add(urlsplit(request.url).netloc))
        tabs.append(opened)
        return opened

    yield new
    for opened in tabs:
        assert opened.unexpected == []
        assert opened.hosts == {urlsplit(opened.page.url).netloc}
        opened.page.context.close()


def refused(*statuses: int) -> tuple[str, ...]:
    """What Chromium's console says of answers with these statuses."""
    return tuple(f"status of {status} " for status in statuses)


def check(page: Page, text: str) -> None:
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_role("button", name="Check").click()
    await_answer(page)


def await_answer(page: Page) -> None:
    expect(page.locator("#decision")).to_have_attribute(
        "data-state", re.compile("flagged|passed|failed"), timeout=VERDICT_TIMEOUT_MS
    )


def decision(page: Page) -> str:
    return page.locator("#decision-word").inner_text()


def score(page: Page, name: str) -> float:
    return float(meter(page, name).get_attribute("aria-valuenow") or "nan")


def meter(page: Page, name: str) -> Locator:
    return page.get_by_role("meter", name=name, exact=True)


def spoken(page: Page, name: str) -> str:
    return meter(page, name).get_attribute("aria-valuetext") or ""


def test_a_flagged_text(tab: OpenTab, gateway: RunningGateway) -> None:
    page = tab().open(gateway)
    page.get_by_role("button", name=THREAT).click()
    await_answer(page)
    assert decision(page) == "Flagged"
    expect(page.locator("#decision-why")).to_have_text("Detected: Violence, toxicity.")
    assert score(page, "Violence") > 0.5
    assert spoken(page, "Violence").endswith(", flagged")
    # The server decides, and nobody here knows its thresholds.
    expect(page.locator(".mark:visible")).to_have_count(0)
    expect(page.locator("#judge-label")).to_have_text("toxic")
    expect(page.locator("#reason")).to_contain_text("hurting another person")
    expect(page.locator("#said")).to_contain_text("Flagged. Detected: Violence, toxicity. Judge: toxic.")
    for part in ("encoders", "reason", "verdict"):
        expect(page.locator(f"[data-part={part}]")).to_have_text(re.compile(r"^[\d.]+ m?s$"))


def test_a_harmless_text_and_a_refusal(tab: OpenTab, gateway: RunningGateway) -> None:
    page = tab().open(gateway)
    check(page, HARMLESS)
    assert decision(page) == "Not flagged"
    expect(page.locator("#decision-why")).to_have_text("Nothing was detected.")
    expect(page.locator(".flagged")).to_have_count(0)
    check(page, REFUSAL)
    assert decision(page) == "Not flagged"
    expect(page.locator("#decision-why")).to_contain_text("It is a refusal by an LLM, which this policy")
    assert score(page, "Refusal by an LLM") > 0.5


def test_the_weights_are_named(tab: OpenTab, gateway: RunningGateway) -> None:
    page = tab().open(gateway)
    expect(page.locator("#weights")).to_have_text("Demonstration weights")
    expect(page.locator("#server")).to_contain_text("judge demo")


def test_the_reason_streams_in_and_nothing_moves(tab: OpenTab, gateway: RunningGateway) -> None:
    page = tab(viewport={"width": 390, "height": 844}).open(gateway)
    page.evaluate(
        """() => {
            const [reason, decision] = ["reason", "decision"].map((id) => document.getElementById(id));
            window.shown = [];
            const note = () => window.shown.push([reason.textContent, decision.dataset.state]);
            new MutationObserver(note).observe(reason, { childList: true });
        }"""
    )
    boxes = """() => [...document.querySelectorAll("main :not(#decision *), footer")].map(
        (element) => `${element.id} ${element.offsetTop}`)"""
    before = page.evaluate(boxes)
    check(page, THREAT)
    shown = [text for text, state in page.evaluate("window.shown") if state == "waiting" and text]
    # The browser may show several pieces at once.
    assert len(shown) > 1
    assert all(after.startswith(before) for before, after in pairwise(shown))
    assert page.locator("#reason").inner_text() == shown[-1].strip()
    assert page.evaluate(boxes) == before
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_markup_does_nothing(tab: OpenTab, gateway: RunningGateway) -> None:
    page = tab().open(gateway)

    def with_markup(route: Route) -> None:
        answer = route.fetch()
        reason = json.dumps({"text": f" toxic. {MARKUP}"})
        body = answer.text().replace("event: verdict", f"event: reason\ndata: {reason}\n\nevent: verdict")
        route.fulfill(
            response=answer, body=re.sub(r'"reason": "[^"]*"', f'"reason": {json.dumps(MARKUP)}', body)
        )

    check(page, MARKUP)
    assert page.locator("#code").inner_text().count("onerror") == 1
    page.route("**/v1/verdicts", with_markup)
    check(page, MARKUP)
    expect(page.locator("#reason")).to_have_text(MARKUP)
    assert page.locator("main img, main script").count() == 0
    assert page.title() == "Tribunal: check a text"


def test_markup_that_got_in_could_not_run(browser: Browser, gateway: RunningGateway) -> None:
    page = browser.new_page()
    page.goto(gateway.http_url)
    page.evaluate("markup => document.querySelector('main').innerHTML = markup", MARKUP)
    # Not wait_for_function, which the content security policy forbids to evaluate a string.
    page.evaluate(
        "async () => { const image = document.querySelector('main img');"
        " while (!image.complete) await new Promise(wake => setTimeout(wake, 20)); }"
    )
    assert page.title() == "Tribunal: check a text"
    page.close()


def test_the_keyboard_alone(tab: OpenTab, gateway: RunningGateway) -> None:
    page = tab().open(gateway)
    order = []
    for _ in range(20):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            """() => {
                const e = document.activeElement;
                const seen = getComputedStyle(e.type === "radio" ? e.nextElementSibling : e);
                return [e.id || e.value || e.textContent, seen.outlineStyle, seen.outlineWidth];
            }"""
        )
        assert focused[1:] == ["solid", "3px"], focused
        order.append(focused[0])
        if focused[0] == "code":
            break
    ids = ["change-key", "dark", "API", "text", "policy", "judge", "explain", "Check"]
    assert order[: len(ids)] == ids
    assert order[-4:] == ["reason", "copy", "curl", "code"]
    page.locator("#text").focus()
    page.keyboard.type(THREAT)
    page.keyboard.press("Control+Enter")
    await_answer(page)
    assert decision(page) == "Flagged"
    page.locator("input[value=curl]").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#code")).to_contain_text("import httpx")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_screen_readers_and_contrast(tab: OpenTab, gateway: RunningGateway, scheme: str) -> None:
    page = tab(color_scheme=scheme, bypass_csp=True, reduced_motion="reduce").open(gateway)
    for text in ("", THREAT, HARMLESS):
        check(page, text)
        found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]})
        assert found.violations_count == 0, found.generate_report()
    page.get_by_role("button", name="Key", exact=True).click()
    assert Axe().run(page).violations_count == 0


def test_dark_and_light(tab: OpenTab, gateway: RunningGateway) -> None:
    page = tab(color_scheme="dark").open(gateway)
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    dark = page.evaluate(ground)
    switch = page.get_by_role("button", name="Dark")
    expect(switch).to_have_attribute("aria-pressed", "true")
    switch.click()
    light = page.evaluate(ground)
    assert light != dark
    page.reload()
    assert page.evaluate(ground) == light
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate(ground) == dark
    page.emulate_media(color_scheme="light")
    expect(page.locator("html")).to_have_css("background-color", light)


@pytest.mark.parametrize("language", ["curl", "Python", "openai"])
def test_copied_lines_run(tab: OpenTab, gateway: RunningGateway, language: str, tmp_path: Path) -> None:
    page = tab(permissions=["clipboard-read", "clipboard-write"]).open(gateway)
    assert flags(run(copied(page, language, AWKWARD), language, tmp_path), language)
    assert not flags(run(copied(page, language, HARMLESS), language, tmp_path), language)


@pytest.mark.parametrize("language", ["curl", "Python", "openai"])
def test_copied_lines_take_the_key_from_the_environment(
    tab: OpenTab, guarded: RunningGateway, language: str, tmp_path: Path
) -> None:
    page = tab(*refused(401), permissions=["clipboard-read", "clipboard-write"]).open(guarded)
    give_key(page, WITH_KEY)
    page.get_by_label("With a reason").uncheck()
    lines = copied(page, language, REFUSAL)
    assert WITH_KEY not in lines
    # `strict`, which flags refusals.
    assert flags(run(lines, language, tmp_path, TRIBUNAL_KEY=WITH_KEY), language)


def copied(page: Page, language: str, text: str) -> str:
    page.locator("#text").fill(text)
    page.get_by_role("radio", name=language).check()
    page.get_by_role("button", name=f"Copy as {language}").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    lines: str = page.evaluate("navigator.clipboard.readText()")
    return lines


def run(lines: str, language: str, folder: Path, **environment: str) -> str:
    script = folder / "lines"
    script.write_text(lines, "utf-8")
    program = "bash" if language == "curl" else sys.executable
    done = subprocess.run(
        [program, script], capture_output=True, text=True, timeout=60, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def flags(printed: str, language: str) -> bool:
    if language == "curl":
        return bool(json.loads(printed)["flagged"])
    return {"True": True, "False": False}[printed.strip()]


def give_key(page: Page, key: str) -> None:
    page.get_by_role("button", name="Key", exact=True).click()
    page.get_by_label("Key of this gateway").fill(key)
    page.get_by_role("button", name="Use this key").click()
    expect(page.locator("dialog")).to_be_hidden()


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
    # The check that was refused is done now.
    expect(page.locator("#decision-word")).to_have_text("Flagged", timeout=VERDICT_TIMEOUT_MS)
    stored = page.evaluate("[Object.values(sessionStorage), Object.values(localStorage), document.cookie]")
    assert stored == [[WITH_KEY], [], ""]
    assert WITH_KEY not in guarded.log
    give_key(page, "")
    expect(page.locator("#weights")).to_have_text("A key is needed")
    assert page.evaluate("sessionStorage.length") == 0


def test_policies_are_chosen_and_their_thresholds_marked(tab: OpenTab, guarded: RunningGateway) -> None:
    page = tab(*refused(401)).open(guarded)
    give_key(page, WITH_KEY)
    policy = page.get_by_label("Policy")
    expect(policy).to_have_value("strict")
    assert policy.locator("option").all_inner_texts() == ["default", "strict", "encoders"]
    expect(page.locator(".mark:visible")).to_have_count(16)
    assert spoken(page, "Violence") == "no score, threshold 0.2"
    check(page, REFUSAL)
    expect(page.locator("#decision-why")).to_have_text("Detected: a refusal by an LLM.")
    policy.select_option("encoders")
    check(page, HARMLESS)
    expect(page.locator("#decision-why")).to_have_text("Detected: Threat.")
    expect(page.locator("#judge-label")).to_have_text("not asked")
    expect(page.locator("[data-part=reason]")).to_have_text("–")
    page.get_by_label("Ask the judge").select_option("always")
    page.get_by_label("With a reason").uncheck()
    check(page, HARMLESS)
    expect(page.locator("#judge-label")).to_have_text("non-toxic")
    expect(page.locator("#reason")).to_have_text("No reason was asked for.")


def test_too_many_requests(tab: OpenTab, guarded: RunningGateway) -> None:
    page = tab(*refused(401, 429)).open(guarded)
    # This asks for the policies and the server.
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
