"""The benchmarks' texts."""

from perf.load.workload import (
    WORKLOAD_TEXTS,
    make_workload,
    read_workload,
    short_texts,
    text_of_tokens,
    with_repeats,
)


def test_the_committed_workload_is_the_seeded_one() -> None:
    workload = read_workload()
    assert workload == make_workload()
    assert len(workload) == WORKLOAD_TEXTS
    assert max(map(len, workload)) > 10 * sorted(map(len, workload))[WORKLOAD_TEXTS // 2]


def test_repeated_texts_have_their_share() -> None:
    repeated = with_repeats([str(number) for number in range(1000)])
    assert 250 < 1000 - len(set(repeated)) < 350


def test_short_texts_differ() -> None:
    assert len(set(short_texts(1000))) == 1000


def test_a_seeded_text_has_its_number_of_words() -> None:
    assert len(text_of_tokens(30, seed=1).split()) == 30
    assert text_of_tokens(30, seed=1) == text_of_tokens(30, seed=1) != text_of_tokens(30, seed=2)
