"""Requests to the gateway's JSON APIs with members that are missing, of a wrong type, or too large."""

import json
import random
from collections.abc import Callable
from typing import Any

from perf.robustness.attack.attack_texts import (
    STRANGE_VALUES,
    any_size_text,
    log_uniform,
    mutated,
    text_of_bytes,
)
from perf.robustness.attack.socket_attack import SocketAttack, post, post_json


def valid_documents(rng: random.Random) -> dict[str, dict[str, Any]]:
    """A valid document of each dialect, by its path."""
    text = any_size_text(rng)
    return {
        "/v1/moderations": {"input": rng.choice((text, [text], [{"type": "text", "text": text}]))},
        "/v1/verdicts": rng.choice(
            ({"texts": [text], "judge": "never"}, {"text": text, "stream": True, "judge": "never"})
        ),
        "/beta/litellm_basic_guardrail_api": {"texts": [text], "input_type": "request"},
        "/api/v1/text/contents": {"contents": [text], "detector_params": {}},
        "/v1alpha1/comments:analyze": {
            "comment": {"text": text},
            "requestedAttributes": {"TOXICITY": {}},
        },
    }


def strange_member(rng: random.Random) -> SocketAttack:
    """A member with a value of a wrong type, a missing member, or an unknown member."""
    path, document = rng.choice(list(valid_documents(rng).items()))
    name = rng.choice([*document, "model", "judge", "explain", "stream", "user", "texts", "input"])
    if rng.random() < 0.2:
        document.pop(name, None)
    else:
        document[name] = rng.choice(STRANGE_VALUES)
    return SocketAttack(f"strange member {path}", (post_json(path, document),))


def whole_document(rng: random.Random) -> SocketAttack:
    """A document that is not an object."""
    path = rng.choice(list(valid_documents(rng)))
    return SocketAttack(f"no object {path}", (post_json(path, rng.choice(STRANGE_VALUES)),))


def too_much(rng: random.Random) -> SocketAttack:
    """Thousands of texts, or a text of megabytes."""
    long_text = text_of_bytes(rng, log_uniform(rng, 65_537, 12_000_000))
    texts = rng.choice((["a"] * log_uniform(rng, 65, 20_000), [long_text]))
    path, members = rng.choice(
        (
            ("/v1/moderations", {"input": texts}),
            ("/v1/verdicts", {"texts": texts}),
            ("/beta/litellm_basic_guardrail_api", {"texts": texts, "input_type": "request"}),
            ("/api/v1/text/contents", {"contents": texts}),
            ("/v1alpha1/comments:analyze", {"comment": {"text": long_text}}),
        )
    )
    return SocketAttack(f"more than the limits {path}", (post_json(path, members),))


def deep_member(rng: random.Random) -> SocketAttack:
    """A member nested up to 100,000 deep."""
    depth = log_uniform(rng, 10, 100_000)
    path, document = rng.choice(list(valid_documents(rng).items()))
    name = rng.choice(list(document))
    body = f'{{"{name}":{"[" * depth}{"]" * depth}}}'
    return SocketAttack(
        f"deep nesting {path}", (post(path, body.encode(), "Content-Type: application/json"),)
    )


def mutation(rng: random.Random) -> SocketAttack:
    """A valid document with a few random changes."""
    path, document = rng.choice(list(valid_documents(rng).items()))
    body = mutated(rng, json.dumps(document).encode())
    return SocketAttack(f"mutated {path}", (post(path, body, "Content-Type: application/json"),))


def valid(rng: random.Random) -> SocketAttack:
    """A valid document, as a control."""
    path, document = rng.choice(list(valid_documents(rng).items()))
    return SocketAttack(f"valid {path}", (post_json(path, document),))


DIALECT_ATTACKS: tuple[Callable[[random.Random], SocketAttack], ...] = (
    *(strange_member, whole_document, too_much, deep_member, mutation, valid),
)
