"""The judge on a running server: parity, protocols, prompt injection and faults."""

import json
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import psutil
import pytest
import requests
import torch
import tritonclient.grpc as triton
from transformers import AutoTokenizer, Phi3ForCausalLM
from tribunal import Client, InvalidInput, ServerError, Toxicity
from tritonclient.utils import triton_to_np_dtype

from export_scripts.demo.text import read_judgements
from export_scripts.prompt_template import render_prompt
from export_scripts.sources import DEMO_WEIGHTS
from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from launcher.recovery.supervisor import supervise
from model_repository.judge_prompt.logic.prompting import LOGPROBS
from model_repository.verdict.logic.answer import Judgement, read_answer

MAX_SCORE_DIFFERENCE = 1e-3
ATTACKS = [
    json.loads(line) for line in (Path(__file__).parent / "injection.jsonl").read_text("utf-8").splitlines()
]
INSULT = "You worthless idiot."


class Reference:
    """transformers' greedy generation on the demo judge."""

    def __init__(self) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(DEMO_WEIGHTS / "judge")
        self.model = Phi3ForCausalLM.from_pretrained(DEMO_WEIGHTS / "judge", dtype=torch.float32).eval()
        self.prompt = render_prompt(self.tokenizer)

    @torch.no_grad()
    def judge(self, text: str) -> Judgement:
        """The judgement of one text, with the score from the most likely tokens of the first position."""
        inputs = self.tokenizer(f"{self.prompt.prefix}{text}{self.prompt.suffix}", return_tensors="pt")
        made = self.model.generate(
            **inputs,
            max_new_tokens=160,
            do_sample=False,
            return_dict_in_generate=True,
            output_logits=True,
        )
        answer = self.tokenizer.decode(
            made.sequences[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )
        values, rows = torch.log_softmax(made.logits[0][0], dim=-1).topk(LOGPROBS)
        candidates = {
            str(row): {
                "logprob": value,
                "rank": rank + 1,
                "decoded_token": self.tokenizer.convert_ids_to_tokens(row).replace("▁", " "),
            }
            for rank, (value, row) in enumerate(zip(values.tolist(), rows.tolist(), strict=True))
        }
        return read_answer(answer, json.dumps([candidates]), explain=True)


def test_label_and_reason_equal_transformers(server: TritonServer) -> None:
    reference = Reference()
    texts = [row["text"] for row in read_judgements("heldout")][::-1][:100]
    with Client(server.grpc_url, timeout_s=60) as client:
        for text, verdict in zip(texts, client.moderate_batch(texts), strict=True):
            expected = reference.judge(text)
            served = verdict.toxicity
            assert (served.status, served.label, served.reason) == (
                expected.status,
                expected.label,
                expected.reason,
            ), text
            assert served.score == pytest.approx(expected.score, abs=MAX_SCORE_DIFFERENCE), text


def test_the_modes_and_options(url: str) -> None:
    with Client(url) as client:
        answered = client.moderate(INSULT, judge="always").toxicity
        assert (answered.status, answered.label) == ("answered", "toxic")
        assert answered.score is not None
        assert answered.score > 0.9
        assert answered.reason is not None
        assert answered.reason.startswith("The text ")
        brief = client.moderate(INSULT, explain=False).toxicity
        assert brief == Toxicity("answered", "toxic", brief.score, None)
        assert brief.score == pytest.approx(answered.score, abs=1e-5)
        skipped = client.moderate("The bread is fresh.", judge="never")
        assert skipped.toxicity == Toxicity("skipped", None, None, None)
        assert not skipped.flagged


def test_auto_asks_only_where_the_encoders_are_undecided(server: TritonServer) -> None:
    with Client(server.grpc_url) as client:
        for row in read_judgements("heldout")[::8]:
            verdict = client.moderate(row["text"], judge="auto")
            highest = max(verdict.categories.scores.values())
            asked = verdict.toxicity.status != "skipped"
            assert asked is (0.001 <= highest < 0.9), (row["text"], highest)


def test_streaming_over_grpc(server: TritonServer) -> None:
    with Client(server.grpc_url) as client:
        pieces = list(client.stream_judgement(INSULT))
        whole = client.moderate(INSULT).toxicity
    assert len(pieces) > 3
    assert "".join(pieces).strip() == f"toxic. {whole.reason}"
    with Client(server.http_url) as client, pytest.raises(InvalidInput, match="streaming needs gRPC"):
        list(client.stream_judgement(INSULT))


def test_a_caller_that_goes_away_stops_its_generation(server: TritonServer) -> None:
    def tensor(name: str, kind: str, value: Any) -> triton.InferInput:
        tensor = triton.InferInput(name, [1], kind)
        tensor.set_data_from_numpy(np.array([value], dtype=triton_to_np_dtype(kind)))
        return tensor

    def stops() -> int:
        assert server.options.log_file is not None
        return server.options.log_file.read_text("utf-8").count("its client disconnected")

    inputs = [
        tensor("text_input", "BYTES", b"Once"),
        tensor("stream", "BOOL", True),
        tensor("sampling_parameters", "BYTES", b'{"max_tokens": 900, "ignore_eos": true}'),
    ]
    earlier = stops()
    # Triton 24.10 does not notice every disconnected caller.
    for _ in range(5):
        pieces: SimpleQueue[Any] = SimpleQueue()
        with triton.InferenceServerClient(server.grpc_url) as client:
            client.start_stream(lambda result, error, pieces=pieces: pieces.put((result, error)))
            client.async_stream_infer("phi3", inputs)
            result, error = pieces.get(timeout=30)
            assert result is not None, error
            client.stop_stream(cancel_requests=True)
        deadline_s = time.monotonic() + 5
        while stops() == earlier and time.monotonic() < deadline_s:
            time.sleep(0.1)
        if stops() > earlier:
            return
    pytest.fail("no generation was stopped")


def test_generate_over_http(server: TritonServer) -> None:
    def post(path: str, **fields: Any) -> requests.Response:
        answer = requests.post(f"{server.http_url}/v2/models/{path}", json=fields, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer

    moderated = post("moderation/generate", text=INSULT).json()
    assert json.loads(moderated["verdict"])["toxicity"]["label"] == "toxic"
    judged = post("judge/generate", text=INSULT).json()
    assert judged["text_output"].strip().startswith("toxic. ")
    streamed = post("judge/generate_stream", text=INSULT, stream=True)
    events = [json.loads(line[5:]) for line in streamed.text.splitlines() if line.startswith("data:")]
    assert len(events) > 3
    assert "".join(event["text_output"] for event in events) == judged["text_output"]


def test_attacks_break_nothing(server: TritonServer) -> None:
    assert len(ATTACKS) >= 60
    with Client(server.grpc_url, timeout_s=60) as client:
        verdicts = [client.moderate(attack["text"]) for attack in ATTACKS]
        assert client.moderate(INSULT).toxicity.label == "toxic"
    statuses = Counter(verdict.toxicity.status for verdict in verdicts)
    assert set(statuses) <= {"answered", "unparsed"}
    for verdict in verdicts:
        if verdict.toxicity.status == "unparsed":
            assert verdict.flagged
    labels = Counter(verdict.toxicity.label for verdict in verdicts)
    print(f"attacks: {dict(statuses)}, labels {dict(labels)}")  # noqa: T201


def test_steady_load_of_many_callers_changes_no_answer(server: TritonServer) -> None:
    texts = [row["text"] for row in read_judgements("heldout")]
    with Client(server.grpc_url, timeout_s=60) as client, ThreadPoolExecutor(max_workers=16) as pool:
        for explain, rounds in ((True, 1), (False, 12)):
            alone = client.moderate_batch(texts[:64], explain=explain)
            alone += client.moderate_batch(texts[64:128], explain=explain)
            for _ in range(rounds):
                together = pool.map(
                    lambda text, explain=explain: client.moderate(text, explain=explain), texts
                )
                for one, other in zip(alone, together, strict=False):
                    assert (one.toxicity.status, one.toxicity.label, one.toxicity.reason) == (
                        other.toxicity.status,
                        other.toxicity.label,
                        other.toxicity.reason,
                    )


def test_without_the_llm_the_encoders_still_answer(demo_repository: Path, tmp_path: Path) -> None:
    log_file = tmp_path / "log"
    with (
        TritonServer(
            ServerOptions(demo_repository, ports=free_ports(), log_file=log_file, judge=False)
        ) as server,
        Client(server.grpc_url) as client,
    ):
        verdict = client.moderate("The bread is fresh.")
        assert verdict.toxicity == Toxicity("skipped", None, None, None)
        assert not verdict.flagged
        with pytest.raises(InvalidInput, match="this server has no judge"):
            client.moderate("The bread is fresh.", judge="always")
        with pytest.raises(ServerError):
            list(client.stream_judgement("The bread is fresh."))


@pytest.fixture
def own_server(demo_repository: Path, tmp_path: Path) -> Iterator[TritonServer]:
    """A server that the test may break, whose judge reads at most 24 tokens at a time."""
    repository = tmp_path / "repository"
    shutil.copytree(demo_repository, repository)
    config = repository / "verdict" / "config.pbtxt"
    tracked = config.read_text("utf-8")
    config.write_text(tracked.replace('string_value: "512"', 'string_value: "24"'), "utf-8")
    with TritonServer(ServerOptions(repository, ports=free_ports(), log_file=tmp_path / "log")) as running:
        yield running


def test_long_texts_in_pieces_and_an_engine_that_dies(own_server: TritonServer) -> None:
    family = psutil.Process(own_server.pid).children(recursive=True)
    engine = next(process for process in family if "EngineCore" in " ".join(process.cmdline()))
    texts = [row["text"] for row in read_judgements("heldout")][:32]
    with Client(own_server.grpc_url, timeout_s=30) as client, ThreadPoolExecutor(max_workers=8) as pool:
        harmless, insults = "The bread is fresh. " * 30, f"{INSULT} " * 10
        long_text = f"{harmless}{insults}{harmless}"
        assert client.moderate(long_text).toxicity.label == "toxic"

        encoders = client.moderate_batch(texts, judge="never")
        asked = [pool.submit(client.moderate_batch, texts) for _ in range(8)]
        time.sleep(0.3)
        engine.send_signal(signal.SIGKILL)
        verdicts = [future.result() for future in asked]
        for batch in verdicts:
            for verdict, encoded in zip(batch, encoders, strict=True):
                assert verdict.toxicity.status in ("answered", "unavailable")
                assert verdict.flagged or verdict.toxicity.status == "answered"
                assert verdict.refusal.score == pytest.approx(encoded.refusal.score, abs=1e-4)
                assert verdict.categories.scores == pytest.approx(encoded.categories.scores, abs=1e-4)
        assert any(verdict.toxicity.status == "unavailable" for batch in verdicts for verdict in batch)
        deadline_s = time.monotonic() + 20
        while client.info().models.get("phi3"):
            assert time.monotonic() < deadline_s, "phi3 is said to be ready without its engine"
            time.sleep(0.2)
        assert client.is_ready()
        assert client.moderate(INSULT).toxicity.status == "unavailable"
        with supervise(own_server, lambda _: None):
            deadline_s = time.monotonic() + 180
            while client.moderate(INSULT).toxicity.status != "answered":
                assert time.monotonic() < deadline_s, "the judge was not brought back"
                time.sleep(0.5)
