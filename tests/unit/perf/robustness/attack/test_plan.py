"""The attacks match their names, and are the same for the same seed."""

import json
import random
import zlib
from collections.abc import Callable

import pytest
from tritonclient.grpc import service_pb2

from perf.robustness.attack import (
    dialect_attacks,
    frame_attacks,
    grpc_attacks,
    inference_attacks,
    protocol_attacks,
)
from perf.robustness.attack.abandoned import LONGEST_WAIT_S, Abandonment
from perf.robustness.attack.attack_texts import MAX_TEXT_BYTES, any_size_text, mutated, text_of_bytes
from perf.robustness.attack.grpc_attacks import GrpcAttack
from perf.robustness.attack.plan import GROUPS, Attack, nth_abandonment, nth_attack, seeded
from perf.robustness.attack.socket_attack import SocketAttack, post_json

MAKERS = [make for _, makers in GROUPS for make in makers]
DRAWS = 30


def draws(make: Callable[[random.Random], Attack], count: int = DRAWS) -> list[Attack]:
    return [make(seeded("test", 0, seed)) for seed in range(count)]


def body_of(attack: Attack) -> bytes:
    assert isinstance(attack, SocketAttack)
    return b"".join(attack.parts).split(b"\r\n\r\n", 1)[1]


def documents(make: Callable[[random.Random], Attack]) -> list[dict[str, object]]:
    return [json.loads(body_of(attack)) for attack in draws(make)]


def test_an_attack_is_known_by_its_seed_and_number() -> None:
    assert [nth_attack(1, number) for number in range(50)] == [nth_attack(1, number) for number in range(50)]
    assert nth_attack(1, 7) != nth_attack(2, 7)
    assert nth_abandonment(1, 7) == nth_abandonment(1, 7) != nth_abandonment(1, 8)


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: f"{make.__module__.split('.')[-1]}.{make.__name__}")
def test_every_attack_is_made_again_by_the_same_generator(make: Callable[[random.Random], Attack]) -> None:
    attacks = draws(make, 5)
    assert attacks == draws(make, 5)
    for attack in attacks:
        assert attack.kind in str(attack)


def test_every_group_takes_part() -> None:
    attacks = [nth_attack(3, number) for number in range(300)]
    assert {attack.protocol for attack in attacks} == {"HTTP", "gRPC", "gRPC's port"}
    assert len({attack.kind for attack in attacks}) > 35


def test_a_declared_shape_is_not_that_of_the_data() -> None:
    for document in documents(inference_attacks.declared_shape):
        shapes = [tensor["shape"] for tensor in document["inputs"]]  # type: ignore[attr-defined]
        assert shapes != [[1, 1], [1, 1]]
    for attack in draws(grpc_attacks.declared_shape):
        assert isinstance(attack, GrpcAttack)
        request = service_pb2.ModelInferRequest.FromString(attack.messages[0])
        assert [list(tensor.shape) for tensor in request.inputs] != [[1, 1], [1, 1]]


def test_a_classification_is_asked_for() -> None:
    for document in documents(inference_attacks.classification):
        assert all("classification" in output["parameters"] for output in document["outputs"])  # type: ignore[attr-defined]
    for attack in draws(grpc_attacks.classification):
        assert isinstance(attack, GrpcAttack)
        request = service_pb2.ModelInferRequest.FromString(attack.messages[0])
        assert "classification" in request.outputs[0].parameters


def test_nesting_reaches_its_depth() -> None:
    deepest = max(body_of(attack).count(b"[") for attack in draws(inference_attacks.deep_data, 200))
    assert 50_000 < deepest <= 210_000
    assert max(body_of(attack).count(b"[") for attack in draws(dialect_attacks.deep_member, 100)) > 50_000


def test_a_bomb_is_a_thousand_times_larger_than_its_body() -> None:
    bomb = protocol_attacks.zeros_compressed(16, 31)
    assert len(bomb) < 2**24 / 900
    assert zlib.decompress(bomb, 31) == bytes(2**24)


def test_chunks_of_one_byte_reach_their_number() -> None:
    most = max(
        body_of(attack).count(b"1\r\n[\r\n") for attack in draws(protocol_attacks.one_byte_chunks, 100)
    )
    assert 500_000 < most <= 1_000_000


def test_half_a_request_is_never_whole() -> None:
    for attack in draws(protocol_attacks.half_open):
        assert isinstance(attack, SocketAttack)
        (sent,) = attack.parts
        head, _, body = sent.partition(b"\r\n\r\n")
        length = head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]
        assert not length.isdigit() or len(body) < int(length) or b"\r\n\r\n" not in sent
        assert not attack.awaits_answer


def test_a_lying_frame_is_parsed_by_its_header() -> None:
    sent = frame_attacks.frame(frame_attacks.DATA, frame_attacks.END_STREAM, 5, b"abc")
    assert sent == b"\x00\x00\x03\x00\x01\x00\x00\x00\x05abc"
    assert frame_attacks.frame(4, 0, 0, b"", length=2**24 - 1)[:3] == b"\xff\xff\xff"


def test_requests_in_grpc_carry_their_texts() -> None:
    request = grpc_attacks.moderation_request(b"one", b"two!")
    assert request.raw_input_contents[0] == b"\x03\x00\x00\x00one\x04\x00\x00\x00two!"
    assert [list(tensor.shape) for tensor in request.inputs] == [[2, 1], [2, 1]]


def test_texts_stay_within_the_limit_and_have_their_size() -> None:
    rng = seeded("test", 0, 1)
    assert len(text_of_bytes(rng, 12_345).encode()) == 12_345
    assert max(len(any_size_text(rng).encode()) for _ in range(200)) <= MAX_TEXT_BYTES


def test_a_mutation_changes_a_request() -> None:
    whole = post_json("/v1/verdicts", {"text": "a"})
    assert sum(mutated(seeded("test", 0, seed), whole) != whole for seed in range(100)) > 90


def test_abandoned_requests_are_valid_and_left_soon() -> None:
    abandonments: list[Abandonment] = [nth_abandonment(1, number) for number in range(500)]
    assert {abandonment.how for abandonment in abandonments} == {
        *("gRPC cancel", "gRPC deadline", "gRPC stream cancel", "gRPC disconnect", "HTTP disconnect")
    }
    for abandonment in abandonments:
        assert 0 <= abandonment.after_s <= LONGEST_WAIT_S
        assert all(0 < len(text.encode()) <= MAX_TEXT_BYTES for text in abandonment.texts)
    longest = max(len(text) for abandonment in abandonments for text in abandonment.texts)
    assert longest > 60_000
