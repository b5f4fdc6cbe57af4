"""A user's actions on the page."""

import re

from playwright.sync_api import Locator, Page, expect

THREAT = "I could strangle him"
HARMLESS = "How to make a birthday cake without eggs?"
REFUSAL = "Sorry, but I can't assist with that."
VERDICT_TIMEOUT_MS = 60_000


def refused(*statuses: int) -> tuple[str, ...]:
    """Messages of Chromium's console for responses with these statuses."""
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


def give_key(page: Page, key: str) -> None:
    page.get_by_role("button", name="Key", exact=True).click()
    page.get_by_label("Key of this gateway").fill(key)
    page.get_by_role("button", name="Use this key").click()
    expect(page.locator("dialog")).to_be_hidden()
