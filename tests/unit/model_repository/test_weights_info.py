"""The source of the weights as labels."""

from model_repository.manifest.logic.weights_info import weights_labels


def test_one_series_a_member() -> None:
    models = {
        "rejection": {"source": "hub:owner/model", "revision": "0a1b", "precision": "int8", "files": {}},
        "judge": {"source": "demo", "revision": None, "precision": "float32", "files": {}},
    }
    assert weights_labels({"models": models}) == [
        {"model": "rejection", "source": "hub:owner/model", "revision": "0a1b", "precision": "int8"},
        {"model": "judge", "source": "demo", "revision": "", "precision": "float32"},
    ]


def test_nothing_exported_is_no_series() -> None:
    assert weights_labels({"models": {}}) == []
