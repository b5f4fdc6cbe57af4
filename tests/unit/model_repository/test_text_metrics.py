"""Histograms of the texts' lengths."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from model_repository.tokenizer.logic.text_metrics import Histogram, Series


def test_a_value_counts_in_every_bucket_that_holds_it() -> None:
    histogram = Histogram("bytes", [64, 256])
    histogram.observe([1, 64, 65])
    histogram.observe([257])
    assert histogram.take() == {
        Series("bytes_bucket", "64"): 2,
        Series("bytes_bucket", "256"): 3,
        Series("bytes_bucket", "+Inf"): 4,
        Series("bytes_sum"): 1 + 64 + 65 + 257,
        Series("bytes_count"): 4,
    }


def test_taken_counts_are_reset() -> None:
    histogram = Histogram("bytes", [64])
    histogram.observe([1])
    assert histogram.take()
    assert not histogram.take()


def test_every_series_is_known_before_its_first_value() -> None:
    histogram = Histogram("windows", [1, 2])
    histogram.observe([1, 2, 3])
    assert set(histogram.series) == set(histogram.take())
    assert [series.labels for series in histogram.series] == [
        {"le": "1"},
        {"le": "2"},
        {"le": "+Inf"},
        {},
        {},
    ]


def test_threads_lose_no_value() -> None:
    histogram = Histogram("windows", [1])
    taken: Counter[Series] = Counter()
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(lambda _: histogram.observe([1]), range(2000)):
            taken.update(histogram.take())
    taken.update(histogram.take())
    assert taken[Series("windows_count")] == 2000
