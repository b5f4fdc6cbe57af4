"""The guard releases only checked text, for any chunks and for any duration of the checks."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from tribunal.guard.cutting import AHEAD_CHARS, GuardedText
from tribunal.guard.options import GuardOptions

from export_scripts.demo.text import read_judgements
from tests.unit.client.guard.guarded_streams import options

SENTENCES = [row["text"] for row in read_judgements("heldout")]
# Single sentences that are no longer than the overlap.
FLAGGED = [text for text in SENTENCES if len(text) <= 200 and not set(".!?…") & set(text[:-1])]
TEXTS = st.text(st.sampled_from("aB .!?\n。é"), max_size=1200)


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - no secret


def guard(text: str, cuts: random.Random, chosen: GuardOptions, phrase: str | None) -> tuple[str, list[str]]:
    """Run the stream to its end or to a flag; returns the released text and the texts that passed."""
    stream, released, at = GuardedText(chosen), "", 0
    passed: list[str] = []
    check = None
    while not stream.is_complete:
        check = check or stream.next_check()
        if check is not None and (cuts.random() < 0.3 or not stream.has_room):
            texts = [one for asked, _ in check.questions for one in asked]
            if phrase is not None and any(phrase in one for one in texts):
                return released, passed
            passed += texts
            stream.passed(check)
            check = None
        elif at < len(text):
            size = cuts.choice((1, 3, 8, 60))
            stream.add(text[at : at + size])
            at += size
        else:
            stream.end()
        released += stream.take()
        assert stream.released_chars == len(released)
    return released, passed


@settings(max_examples=10_000, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_no_character_of_a_flagged_sentence_leaks(data: st.DataObject, seed: int) -> None:
    cuts = seeded(seed)
    phrase = cuts.choice(FLAGGED)
    before = " ".join(cuts.sample(SENTENCES, data.draw(st.integers(0, 6))))
    after = " ".join(cuts.sample(SENTENCES, data.draw(st.integers(0, 3))))
    text = " ".join(part for part in (before, phrase, after) if part)
    chosen = options(every=data.draw(st.sampled_from((1, 20, 200, 600))), overlap=200)
    released, _ = guard(text, cuts, chosen, phrase)
    assert released == text[: len(released)]
    assert len(released) <= text.index(phrase)


@settings(max_examples=1000, deadline=None)
@given(
    text=TEXTS,
    every=st.integers(1, 300),
    overlap=st.integers(0, 300),
    seed=st.integers(0, 2**32),
)
def test_a_harmless_text_is_released_whole_and_all_of_it_was_checked(
    text: str, every: int, overlap: int, seed: int
) -> None:
    released, passed = guard(text, seeded(seed), options(every=every, overlap=overlap), None)
    assert released == text
    assert not text.strip() or text.strip() in passed


@settings(max_examples=1000, deadline=None)
@given(
    length=st.integers(1, 200),
    start=st.integers(0, 1500),
    every=st.integers(1, 600),
    seed=st.integers(0, 2**32),
)
def test_a_phrase_within_the_overlap_is_seen_whole_without_any_sentence_end(
    length: int, start: int, every: int, seed: int
) -> None:
    cuts = seeded(seed)
    letters = "".join(cuts.choices("abcdefgh ", k=2000))
    phrase = "#" * length
    text = letters[:start] + phrase + letters[start:]
    released, _ = guard(text, cuts, options(every=every), phrase)
    assert "#" not in released


@settings(max_examples=500, deadline=None)
@given(text=TEXTS, seed=st.integers(0, 2**32))
def test_immediate_releases_at_once(text: str, seed: int) -> None:
    stream, cuts, at = GuardedText(options(release="immediate")), seeded(seed), 0
    while at < len(text):
        size = cuts.randint(1, 30)
        stream.add(text[at : at + size])
        assert stream.take() == text[at : at + size]
        at += size


def test_pending_text_is_bounded_and_checked_in_parts() -> None:
    stream = GuardedText(options())
    stream.add("x" * 10 * AHEAD_CHARS)
    stream.end()
    longest = 0
    while not stream.is_complete:
        assert not stream.has_room
        check = stream.next_check()
        assert check is not None
        if not check.is_final:
            longest = max(longest, *(len(text) for asked, _ in check.questions for text in asked))
        stream.passed(check)
    assert longest <= AHEAD_CHARS + 2 * 200
    assert len(stream.take()) == 10 * AHEAD_CHARS


def test_checks_while_one_waits_become_one() -> None:
    stream = GuardedText(options())
    stream.add("One is here. T")
    first = stream.next_check()
    assert first is not None
    stream.add("wo is there. Three is gone. Four")
    stream.passed(first)
    assert stream.take() == "One is here. "
    second = stream.next_check()
    assert second is not None
    assert second.questions == (
        (
            ("One is here. Two is there. Three is gone.", "Two is there.", "Three is gone."),
            "never",
        ),
    )


def test_a_sentence_whose_beginning_is_in_doubt_is_read_by_itself_too() -> None:
    stream = GuardedText(options())
    stream.add("So says Dr. Smith. you will pay. Now")
    check = stream.next_check()
    assert check is not None
    ((texts, _),) = check.questions
    assert "you will pay." in texts
    stream.passed(check)
    assert stream.take() == "So says Dr. Smith. you will pay. "


def test_the_last_sentence_waits_for_the_whole_text() -> None:
    stream = GuardedText(options())
    stream.add("One is here. Two is there.")
    check = stream.next_check()
    assert check is not None
    stream.passed(check)
    stream.end()
    assert stream.take() == "One is here. "
    last = stream.next_check()
    assert last is not None
    assert last.questions == (
        (("Two is there.",), "never"),
        (("One is here. Two is there.",), None),
    )
    stream.passed(last)
    assert stream.take() == "Two is there."


def test_blank_text_is_not_asked_about() -> None:
    stream = GuardedText(options())
    stream.add(" \n" * 300)
    check = stream.next_check()
    assert check is not None
    assert check.questions == ()
