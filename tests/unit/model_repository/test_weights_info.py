"""The server's weights, and their sources as metric labels."""

from model_repository.manifest.logic.weights_info import served_part, weights_labels

MODELS = {
    "rejection": {"source": "hub:owner/model", "revision": "0a1b", "precision": "int8", "files": {}},
    "judge": {"source": "demo", "revision": None, "precision": "float32", "files": {}},
}


def test_one_series_a_member() -> None:
    assert weights_labels({"models": MODELS}) == [
        {"model": "rejection", "source": "hub:owner/model", "revision": "0a1b", "precision": "int8"},
        {"model": "judge", "source": "demo", "revision": "", "precision": "float32"},
    ]


def test_nothing_exported_is_no_series() -> None:
    assert weights_labels({"models": {}}) == []


def test_the_judges_weights_are_named_only_where_it_is_served() -> None:
    manifest = {"models": MODELS}
    assert served_part(manifest, judge_served=True) == manifest
    assert served_part(manifest, judge_served=False) == {"models": {"rejection": MODELS["rejection"]}}
