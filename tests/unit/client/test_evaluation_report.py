"""The report of an evaluation, and its separate counts."""

import base64
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tribunal import Categories, Refusal, ServerInfo, Toxicity, Verdict, Weights
from tribunal.contract import ToxicityLabel, ToxicityStatus
from tribunal.evaluation.answers import InvalidText
from tribunal.evaluation.evaluation import Evaluation, evaluate_answers
from tribunal.evaluation.labelled_data import LabelledTexts
from tribunal.evaluation.recommend import Goal
from tribunal.evaluation.report import write_report
from tribunal.evaluation.scored import score
from tribunal.evaluation.tables import print_evaluation
from tribunal.evaluation.target import Target

ATTACK = "<script>alert('from the data')</script>"
SERVER = ServerInfo("2.51.0", {}, {"judge": Weights("demo", None, "float32")})


def verdict(
    status: ToxicityStatus = "answered", toxicity: float | None = None, category: float = 0.1
) -> Verdict:
    label: ToxicityLabel | None = None if toxicity is None else "toxic" if toxicity >= 0.5 else "non-toxic"
    flagged = ("Threat",) if category >= 0.5 else ()
    return Verdict(
        flagged=False,
        refusal=Refusal(False, 0.25),
        categories=Categories(flagged, {"Threat": category, "Violence": 0.0}),
        toxicity=Toxicity(status, label, toxicity, None),
        windows=1,
        truncated=False,
    )


def evaluation(verdicts: Sequence[Verdict | None], labels: list[bool], **options: Any) -> Evaluation:
    texts = [ATTACK] * len(labels)
    data = LabelledTexts(texts, ("toxic",), np.array(labels)[:, None])
    return evaluate_answers(
        score(data, verdicts, Target.toxicity),
        texts,
        Target.toxicity,
        data=ATTACK,
        server=SERVER,
        url="localhost:8001",
        statuses=dict(Counter(answer.toxicity.status for answer in verdicts if answer)),
        **{"refused": [], "goal": None, "examples": 0, **options},
    )


@pytest.fixture
def unanswered() -> Evaluation:
    """Two right answers, one wrong, and three texts without an answer, two of them not toxic."""
    verdicts = [
        verdict(toxicity=0.9),
        verdict(toxicity=0.1),
        verdict(toxicity=0.2),
        verdict("unavailable"),
        verdict("unparsed"),
        verdict("unparsed"),
    ]
    return evaluation(verdicts, [True, False, True, True, False, False])


def test_no_answer_is_never_non_toxic_and_counted_apart(unanswered: Evaluation) -> None:
    toxic = unanswered.measures.labels[0]
    counts = (toxic.true_positives, toxic.true_negatives, toxic.false_positives, toxic.false_negatives)
    assert counts == (2, 1, 2, 1)
    assert unanswered.scored.scores[3:, 0].tolist() == [1, 1, 1]
    assert unanswered.answered_alone is not None
    alone = unanswered.answered_alone.labels[0]
    counts = (alone.true_positives, alone.true_negatives, alone.false_positives, alone.false_negatives)
    assert counts == (1, 1, 0, 1)
    assert "no answer counts as toxic" in unanswered.decisions
    assert unanswered.statuses == {"answered": 3, "unavailable": 1, "unparsed": 2}


def test_the_json_holds_all_figures_and_predictions_but_no_text(
    unanswered: Evaluation, tmp_path: Path
) -> None:
    write_report(unanswered, tmp_path / "new" / "folder")
    document = json.loads((tmp_path / "new" / "folder" / "report.json").read_text("utf-8"))
    assert document["measures"]["labels"][0]["true_positives"] == 2
    assert document["answered_alone"]["texts"] == 3
    assert document["card"]["comparison"][0]["name"] == "GPT-4"
    assert document["server"]["weights"]["judge"]["source"] == "demo"
    predictions = document["predictions"]
    assert predictions["labels"] == [[1], [0], [1], [1], [0], [0]]
    assert predictions["answered"] == [1, 1, 1, 0, 0, 0]
    assert predictions["rows"] == [1, 2, 3, 4, 5, 6]
    assert ATTACK not in json.dumps([document["mistakes"], predictions])


def test_the_page_shows_texts_only_where_asked_and_escaped(tmp_path: Path) -> None:
    verdicts: list[Verdict | None] = [verdict(toxicity=0.9), verdict(toxicity=0.1), None]
    refused = [InvalidText(3, f"too long: {ATTACK}")]
    for examples in (0, 1):
        evaluated = evaluation(
            verdicts, [False, True, True], examples=examples, refused=refused, goal=Goal(recall=1.0)
        )
        write_report(evaluated, tmp_path)
        page = (tmp_path / "report.html").read_text("utf-8")
        assert "<script" not in page
        assert ("Worst mistakes" in page) is bool(examples)
        shown = page.partition("Worst mistakes")[2]
        assert shown.count("&lt;script&gt;") == 2 * examples
        assert "The server refused 1 texts" in page
        assert "weights for demonstration only" in page
        assert "toxicity_threshold" in page
        assert "<th>support</th></tr></thead>\n<tbody>\n<tr><td>toxic</td>" in page
        assert "Warning: fewer than 30 texts have the label toxic" in page


def test_the_plots_are_in_the_page(unanswered: Evaluation, tmp_path: Path) -> None:
    write_report(unanswered, tmp_path)
    page = (tmp_path / "report.html").read_text("utf-8")
    images = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    assert len(images) == 5
    assert all(b"<svg" in base64.b64decode(image) for image in images)
    assert "http" not in re.sub(r"https://huggingface.co|http-equiv", "", page)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_recommendation_has_the_share_that_it_flags(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    monkeypatch.setattr("tribunal.console.WIDTH_PIPED", width)
    scores = [0.9, 0.8, 0.7, 0.2, 0.1]
    verdicts = [verdict(toxicity=score) for score in scores]
    print_evaluation(evaluation(verdicts, [True, True, False, True, False], goal=Goal(recall=0.6)))
    shown = capsys.readouterr().out
    table = shown.partition("Thresholds for a recall of at least 0.6:\n\n")[2].partition("flagged:")[0]
    head, _, row = (line.split() for line in table.splitlines())
    assert head == ["label", "threshold", "precision", "recall", "flagged", "support"]
    assert row == ["toxic", "0.7500", "1.0000", "0.6667", "40.0%", "3"]
    assert max(map(len, table.splitlines())) <= width
    assert "warning: fewer than 30 texts have the label toxic" in shown
    assert 'key: "toxicity_threshold"' in shown
