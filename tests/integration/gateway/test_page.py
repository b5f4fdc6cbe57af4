"""The page in a real Chromium, with the real gateway and the demo server."""

import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect

from tests.integration.gateway.conftest import WITH_KEY, OpenTab, RunningGateway
from tests.integration.gateway.user import (
    HARMLESS,
    REFUSAL,
    THREAT,
    await_answer,
    check,
    decision,
    give_key,
    refused,
    score,
    spoken,
)

BREAD = "The bread is fresh 😀, and the oven is warm. We bake every morning at six.\nCome by and look. " * 3
SENTENCES = ("You are a pathetic clown and everybody laughs at you.", f"{THREAT}.")
CATEGORIES = ("Harassment", "Violence")
# Without spans, the other sentences would dilute the score of each harmful one.
HIDDEN = f"{BREAD}{SENTENCES[0]} {BREAD}{SENTENCES[1]}\n{BREAD}"
MARKUP = "<img src=x onerror=\"document.title='run'\"><script>document.title = 'run'</script>"
# Characters that are special in a shell, Python or JSON.
AWKWARD = 'It\'s "$HOME" `id` \\n {x} %s 😀\n' + THREAT


def test_a_flagged_text(tab: OpenTab, gateway: RunningGateway) -> None:
    page = tab().open(gateway)
    page.get_by_role("button", name=THREAT).click()
    await_answer(page)
    assert decision(page) == "Flagged"
    expect(page.locator("#decision-why")).to_have_text("Detected: Violence, toxicity.")
    assert score(page, "Violence") > 0.5
    assert spoken(page, "Violence").endswith(", flagged")
    # The server decides by its own thresholds, which the page does not know.
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
    expect(page.locator("#decision-why")).to_contain_text("It has a refusal by an LLM, which this policy")
    assert score(page, "Refusal by an LLM") > 0.5


def test_sentences_that_cross_a_threshold_are_marked_and_listed(
    tab: OpenTab, gateway: RunningGateway
) -> None:
    page = tab(reduced_motion="reduce").open(gateway)
    check(page, HIDDEN)
    marks = page.locator("#marked mark")
    expect(marks).to_have_count(2)
    for number, (mark, sentence, category) in enumerate(
        zip(marks.all(), SENTENCES, CATEGORIES, strict=True), 1
    ):
        expect(mark).to_have_text(re.compile(rf"^Sentence {number}, {category} 0\.\d\d: {sentence}{number}$"))
        expect(mark).to_have_attribute("title", re.compile(rf"^{category} 0\.\d\d$"))
        expect(mark).to_have_css("text-decoration-line", "underline")
        listed = page.locator("#sentences li").nth(number - 1)
        expect(listed).to_have_text(re.compile(rf"^{sentence} {category} 0\.\d\d$"))
    # Without the marks, the text is unchanged.
    page.locator("mark .spoken, mark sup").evaluate_all("parts => parts.forEach((part) => part.remove())")
    assert page.locator("#marked").evaluate("marked => marked.textContent") == HIDDEN
    # The first mark is scrolled into view.
    box, first = page.locator("#marked").bounding_box(), marks.first.bounding_box()
    assert box is not None
    assert first is not None
    assert box["y"] < first["y"] < box["y"] + box["height"] - first["height"]
    expect(page.locator("#sentences-count")).to_have_text("2 sentences cross a threshold.")
    expect(page.locator("#said")).to_contain_text("2 sentences cross a threshold.")
    check(page, HARMLESS)
    expect(page.locator("#marked")).to_have_text(HARMLESS)
    expect(page.locator("#sentences-count")).to_have_text("No sentence by itself crosses a threshold.")
    expect(page.locator("#marked mark, #sentences li")).to_have_count(0)


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
    boxes = """() => [
        ...document.querySelectorAll("main :not(#decision *, #marked *, #sentences *), footer"),
    ].map((element) => `${element.id} ${element.offsetTop}`)"""
    before = page.evaluate(boxes)
    check(page, THREAT)
    shown = [text for text, state in page.evaluate("window.shown") if state == "waiting" and text]
    # On a busy machine the whole reason may arrive at once; it still comes before the verdict.
    assert shown
    assert all(after.startswith(before) for before, after in pairwise(shown))
    assert page.locator("#reason").inner_text() == shown[-1].strip()
    assert page.evaluate(boxes) == before
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_markup_does_nothing(tab: OpenTab, gateway: RunningGateway) -> None:
    page = tab().open(gateway)
    span = {
        "start": 0,
        "end": len(MARKUP),
        "refusal": {"detected": False, "score": 0.0},
        "categories": {"flagged": [MARKUP], "scores": {MARKUP: 0.5}},
    }

    def with_markup(route: Route) -> None:
        answer = route.fetch()
        reason = json.dumps({"text": f" toxic. {MARKUP}"})
        body = answer.text().replace("event: verdict", f"event: reason\ndata: {reason}\n\nevent: verdict")
        body = re.sub(r'"reason": "[^"]*"', f'"reason": {json.dumps(MARKUP)}', body)
        route.fulfill(response=answer, body=body.replace('"spans": []', f'"spans": {json.dumps([span])}'))

    check(page, MARKUP)
    assert page.locator("#code").inner_text().count("onerror") == 1
    page.route("**/v1/verdicts", with_markup)
    check(page, MARKUP)
    expect(page.locator("#reason")).to_have_text(MARKUP)
    expect(page.locator("#marked mark")).to_have_text(f"Sentence 1, {MARKUP} 0.50: {MARKUP}1")
    expect(page.locator("#sentences li")).to_contain_text(f"{MARKUP} 0.50")
    assert page.locator("main img, main script").count() == 0
    assert page.title() == "Tribunal: check a text"


def test_markup_that_got_in_could_not_run(browser: Browser, gateway: RunningGateway) -> None:
    page = browser.new_page()
    page.goto(gateway.http_url)
    page.evaluate("markup => document.querySelector('main').innerHTML = markup", MARKUP)
    # Not wait_for_function, because the content security policy forbids its evaluation of a string.
    page.evaluate(
        "async () => { const image = document.querySelector('main img');"
        " while (!image.complete) await new Promise(wake => setTimeout(wake, 20)); }"
    )
    assert page.title() == "Tribunal: check a text"
    page.close()


def test_the_keyboard_alone(tab: OpenTab, gateway: RunningGateway) -> None:
    page = tab().open(gateway)
    order = []
    for _ in range(24):
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
    assert order[-6:] == ["reason", "marked", "found", "copy", "curl", "code"]
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
    for text in ("", HIDDEN, HARMLESS):
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
    page.get_by_label("Ask the judge").select_option("never")
    assert flags(run(copied(page, language, HIDDEN), language, tmp_path), language)


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
