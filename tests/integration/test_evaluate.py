"""`tribunal evaluate` against the demo server and the demo models' held-out text."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from export_scripts.sources import DEMO_WEIGHTS
from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from launcher.repository.contract import CHECKOUT

TRIBUNAL = str(Path(sys.executable).parent / "tribunal")
TEXT = CHECKOUT / "export_scripts" / "demo" / "text"
HELDOUT = {"rejection": "rejection", "aegis": "aegis", "toxicity": "judge"}


def evaluate(*arguments: str, url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TRIBUNAL, "evaluate", *arguments, "--url", url], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def documents(server: TritonServer) -> dict[str, dict[str, Any]]:
    """Evaluations of all targets on the held-out text of their demo models."""
    evaluations = {}
    for target, model in HELDOUT.items():
        ran = evaluate(
            target, str(TEXT / f"{model}_heldout.jsonl"), "--json", "--recommend", url=server.grpc_url
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        evaluations[target] = json.loads(ran.stdout)
    return evaluations


def test_the_figures_equal_those_of_the_demo_cards(documents: dict[str, dict[str, Any]]) -> None:
    for target, figures in (
        ("rejection", documents["rejection"]["measures"]["labels"][0]),
        ("aegis", documents["aegis"]["measures"]["micro"]),
    ):
        measures = documents[target]["measures"]
        row = " | ".join(
            f"{figure:.3f}"
            for figure in (
                figures["precision"],
                figures["recall"],
                figures["f1"],
                measures["harmless_flagged"],
            )
        )
        card = (DEMO_WEIGHTS / target / "README.md").read_text("utf-8")
        assert f"| {measures['texts']} | {row} |" in card
    measures = documents["toxicity"]["measures"]
    card = (DEMO_WEIGHTS / "judge" / "README.md").read_text("utf-8")
    assert f"| {measures['texts']} | {measures['labels'][0]['accuracy']:.3f} |" in card
    assert documents["toxicity"]["statuses"] == {"answered": 160}


@pytest.mark.parametrize("target", list(HELDOUT))
def test_the_figures_equal_scikit_learns_on_the_same_predictions(
    documents: dict[str, dict[str, Any]], target: str
) -> None:
    measures = documents[target]["measures"]
    predictions = documents[target]["predictions"]
    labels, decided, scores = (np.array(predictions[name]) for name in ("labels", "decided", "scores"))
    for column, figures in enumerate(measures["labels"][: labels.shape[1]]):
        report = metrics.classification_report(labels[:, column], decided[:, column], output_dict=True)
        expected = {
            "support": report["1"]["support"],
            "precision": report["1"]["precision"],
            "recall": report["1"]["recall"],
            "f1": report["1"]["f1-score"],
            "accuracy": report["accuracy"],
            "roc_auc": metrics.roc_auc_score(labels[:, column], scores[:, column]),
            "average_precision": metrics.average_precision_score(labels[:, column], scores[:, column]),
            "brier": metrics.brier_score_loss(labels[:, column], scores[:, column]),
        }
        assert {name: figures[name] for name in expected} == pytest.approx(expected)
    if target == "aegis":
        report = metrics.classification_report(labels, decided, output_dict=True, zero_division=np.nan)
        for average in ("micro", "macro"):
            for name, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
                assert measures[average][name] == pytest.approx(report[f"{average} avg"][theirs])
        assert measures["macro"]["roc_auc"] == pytest.approx(metrics.roc_auc_score(labels, scores))
        assert measures["exact_match"] == metrics.accuracy_score(labels, decided)


def test_a_recommendation_that_is_applied_gives_the_wanted_recall(
    documents: dict[str, dict[str, Any]], demo_repository: Path, tmp_path: Path
) -> None:
    recommendation = documents["rejection"]["recommendation"]
    repository = tmp_path / "repository"
    shutil.copytree(demo_repository, repository)
    config = repository / "verdict" / "config.pbtxt"
    kept = [line for line in config.read_text("utf-8").splitlines() if '"rejection_threshold"' not in line]
    config.write_text("\n".join([*kept, recommendation["config"], ""]), "utf-8")
    with TritonServer(
        ServerOptions(repository, ports=free_ports(), log_file=tmp_path / "log", judge=False)
    ) as running:
        ran = evaluate("rejection", str(TEXT / "rejection_heldout.jsonl"), "--json", url=running.grpc_url)
        judged = evaluate("toxicity", str(TEXT / "judge_heldout.jsonl"), url=running.grpc_url)
    figures = json.loads(ran.stdout)["measures"]["labels"][0]
    (proposal,) = recommendation["proposals"]
    assert figures["recall"] == proposal["recall"] >= 0.95
    assert figures["precision"] == proposal["precision"]
    # Without a judge, an evaluation of toxicity must fail.
    assert (judged.returncode, judged.stdout) == (1, "")
    assert "the judge answered none of 160 texts (all refused)" in judged.stderr


@pytest.fixture
def with_a_long_text(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    rows = ["Sorry; I cannot help with that.,1", f"{'a ' * 40_000},0", "The bread is fresh.,0"]
    path.write_text("\n".join(["response,refusal", *rows, ""]), "utf-8")
    return path


def test_tables_and_a_report_with_a_text_that_the_server_refuses(
    url: str, with_a_long_text: Path, tmp_path: Path
) -> None:
    ran = evaluate(
        "rejection", str(with_a_long_text), "--report", str(tmp_path / "report"), "--recommend", url=url
    )
    assert ran.returncode == 1
    (line,) = ran.stderr.splitlines()
    assert line.startswith("tribunal: the server refused 1 of 3 texts; row 2: ")
    assert "rejection, 2 texts" in ran.stdout
    assert "card: REJECTION" in ran.stdout
    assert 'key: "rejection_threshold"' in ran.stdout
    assert "demonstration weights" in ran.stdout
    document = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    assert document["predictions"]["rows"] == [1, 3]
    assert [text["row"] for text in document["refused"]] == [2]
    page = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert "The bread is fresh" not in page
