"""Malformed or hostile inference requests over HTTP in KServe's protocol."""

import json
import random
from collections.abc import Callable
from typing import Any

from perf.robustness.attack.attack_texts import (
    DATATYPES,
    MODELS,
    STRANGE_VALUES,
    absurd_shape,
    any_size_text,
    log_uniform,
    mutated,
    short_text,
    text_of_bytes,
)
from perf.robustness.attack.socket_attack import MODERATION_PATH, SocketAttack, post, post_json

Document = dict[str, Any]
INPUT_NAMES = ("text", "judge", "explain", "spans", "input_ids", "attention_mask", "text_input", "")
OUTPUT_NAMES = ("verdict", "flagged", "category_scores", "rejection_score", "toxicity_score", "logits", "")


def tensor(name: str, datatype: str, shape: list[int], data: Any) -> Document:
    """One input of an inference request."""
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


def valid_document(rng: random.Random, texts: int = 1) -> Document:
    """A request for the verdicts of a number of texts, without the judge."""
    return {
        "inputs": [
            tensor("text", "BYTES", [texts, 1], [any_size_text(rng) for _ in range(texts)]),
            tensor("judge", "BYTES", [texts, 1], ["never"] * texts),
        ],
        "outputs": [{"name": "verdict"}],
    }


def infer(kind: str, document: Any, path: str = MODERATION_PATH) -> SocketAttack:
    """An inference request with the JSON document."""
    return SocketAttack(kind, (post_json(path, document),))


def declared_shape(rng: random.Random) -> SocketAttack:
    """A tensor whose shape does not fit its data."""
    document = valid_document(rng)
    rng.choice(document["inputs"])["shape"] = absurd_shape(rng)
    return infer("declared shape", document)


def strange_shape(rng: random.Random) -> SocketAttack:
    """A shape that is not a list of whole numbers."""
    document = valid_document(rng)
    values = rng.choices(STRANGE_VALUES, k=rng.randint(1, 3))
    document["inputs"][0]["shape"] = rng.choice((values, rng.choice(STRANGE_VALUES)))
    return infer("shape that is none", document)


def classification(rng: random.Random) -> SocketAttack:
    """A request for an output as a classification; for BYTES, this crashed Triton 24.10."""
    document = valid_document(rng)
    count = rng.choice((0, 1, 2, 14, -1, 2**31, 2**63 - 1, 2**64, "1", None))
    document["outputs"] = [
        {"name": rng.choice(OUTPUT_NAMES), "parameters": {"classification": count}}
        for _ in range(rng.randint(1, 3))
    ]
    return infer("classification", document)


def deep_data(rng: random.Random) -> SocketAttack:
    """`data`, a parameter or the document itself nested up to 100,000 deep."""
    depth = log_uniform(rng, 10, 100_000)
    opening, closing = rng.choice((("[", "]"), ('{"a":', "}"), ("[[", "]]")))
    nested = opening * depth + rng.choice(("", '"x"', "1")) + rng.choice((closing * depth, ""))
    text = rng.choice(
        (
            f'{{"inputs":[{{"name":"text","datatype":"BYTES","shape":[1,1],"data":{nested}}}]}}',
            f'{{"parameters":{{"p":{nested}}},"inputs":[]}}',
            nested,
        )
    )
    return SocketAttack("deep nesting", (post(MODERATION_PATH, text.encode()),))


def direct_request(rng: random.Random) -> SocketAttack:
    """A request to any model, with known input names but absurd shapes and types."""
    inputs = [
        tensor(
            rng.choice(INPUT_NAMES),
            rng.choice(DATATYPES),
            rng.choice((absurd_shape(rng), [1, 1], [1, 1, 1], [1, 1, 8])),
            rng.choice(([short_text(rng)], [1] * 8, [[[0]]], [], [2**63])),
        )
        for _ in range(rng.randint(0, 4))
    ]
    document = {"inputs": inputs, "outputs": [{"name": rng.choice(OUTPUT_NAMES)}]}
    model = rng.choice(MODELS)
    path = f"/v2/models/{model}{rng.choice(('', '/versions/1', '/versions/-1'))}"
    operation = rng.choice(("infer", "infer", "infer", "generate", "generate_stream"))
    return infer("direct request to a model", document, f"{path}/{operation}")


def wrong_datatype(rng: random.Random) -> SocketAttack:
    """An input of a wrong datatype."""
    document = valid_document(rng)
    chosen = rng.choice(document["inputs"])
    chosen["datatype"] = rng.choice(DATATYPES)
    chosen["data"] = rng.choice((chosen["data"], [1], [1.5], [True], [-1], [2**70]))
    return infer("wrong datatype", document)


def strange_value(rng: random.Random) -> SocketAttack:
    """A valid request in which one member has a value of a wrong type, is missing, or is duplicated."""
    document = valid_document(rng)
    value = rng.choice(STRANGE_VALUES)
    where = rng.choice((document, rng.choice(document["inputs"]), document["outputs"][0]))
    name = rng.choice([*where, "parameters", "id", "model_version"])
    if rng.random() < 0.2:
        where.pop(name, None)
    else:
        where[name] = value
    return infer("strange value", document)


def too_much(rng: random.Random) -> SocketAttack:
    """More texts than a batch holds, a text beyond the limit, no text, or many inputs and outputs."""
    draw = rng.randrange(4)
    texts: list[str] = []
    if draw == 0:
        texts = ["a"] * log_uniform(rng, 65, 20_000)
    elif draw == 1:
        texts = [text_of_bytes(rng, log_uniform(rng, 65_537, 12_000_000))]
    elif draw == 2:
        texts = [short_text(rng)]
    inputs = [tensor("text", "BYTES", [len(texts), 1], texts)]
    copies = log_uniform(rng, 2, 5000) if draw == 2 else 1
    document = {"inputs": inputs * copies, "outputs": [{"name": "verdict"}] * copies}
    return infer("more than the limits", document)


def shared_memory(rng: random.Random) -> SocketAttack:
    """Inputs and outputs that claim to be in shared memory."""
    region = {
        "shared_memory_region": rng.choice(("x", "", "../../dev/mem", "psm_0")),
        "shared_memory_offset": rng.choice((0, -1, 2**62)),
        "shared_memory_byte_size": rng.choice((0, 8, 2**40, 2**63)),
    }
    document = valid_document(rng)
    chosen = rng.choice((document["inputs"][0], document["outputs"][0]))
    chosen["parameters"] = region
    chosen.pop("data", None)
    return infer("shared memory", document)


def lying_binary(rng: random.Random) -> SocketAttack:
    """Binary tensor data with false lengths, in the header or before each string."""
    document = valid_document(rng)
    data = short_text(rng).encode()
    prefix = rng.choice((len(data), 0, 2**32 - 1, 2**31, len(data) + 1)).to_bytes(4, "little")
    size = rng.choice((len(data) + 4, 0, 1, -1, 2**31, 2**62, "x"))
    document["inputs"] = [tensor("text", "BYTES", [1, 1], None) | {"parameters": {"binary_data_size": size}}]
    del document["inputs"][0]["data"]
    head = json.dumps(document).encode()
    length = rng.choice((len(head), 0, -1, len(head) + 1000, 2**63, "x"))
    header = f"Inference-Header-Content-Length: {length}"
    return SocketAttack("lying binary data", (post(MODERATION_PATH, head + prefix + data, header),))


def invalid_utf8(rng: random.Random) -> SocketAttack:
    """A text that is not UTF-8, as JSON or as binary data."""
    broken = rng.choice(
        (b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\x80")
    ) * rng.randint(1, 50)
    if rng.random() < 0.5:
        body = json.dumps(valid_document(rng)).encode().replace(b"never", broken)
        return SocketAttack("invalid UTF-8", (post(MODERATION_PATH, body),))
    document = valid_document(rng)
    size = {"parameters": {"binary_data_size": len(broken) + 4}}
    document["inputs"] = [{"name": "text", "datatype": "BYTES", "shape": [1, 1], **size}]
    head = json.dumps(document).encode()
    body = head + len(broken).to_bytes(4, "little") + broken
    header = f"Inference-Header-Content-Length: {len(head)}"
    return SocketAttack("invalid UTF-8", (post(MODERATION_PATH, body, header),))


def mutation(rng: random.Random) -> SocketAttack:
    """A valid request whose body has a few random changes."""
    body = mutated(rng, json.dumps(valid_document(rng, texts=rng.randint(1, 3))).encode())
    return SocketAttack("mutated request", (post(MODERATION_PATH, body),))


def valid(rng: random.Random) -> SocketAttack:
    """A valid request, as a control."""
    return infer("valid request", valid_document(rng, texts=rng.randint(1, 4)))


INFERENCE_ATTACKS: tuple[Callable[[random.Random], SocketAttack], ...] = (
    *(declared_shape, strange_shape, classification, deep_data, direct_request, wrong_datatype),
    *(strange_value, too_much, shared_memory, lying_binary, invalid_utf8, mutation, valid),
)
