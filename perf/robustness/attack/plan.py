"""Chooses the n-th attack, which depends only on n and the seed."""

import random
from collections.abc import Callable

from perf.robustness.attack.abandoned import Abandonment, abandonment
from perf.robustness.attack.dialect_attacks import DIALECT_ATTACKS
from perf.robustness.attack.frame_attacks import FRAME_ATTACKS
from perf.robustness.attack.grpc_attacks import GRPC_ATTACKS, GrpcAttack
from perf.robustness.attack.inference_attacks import INFERENCE_ATTACKS
from perf.robustness.attack.protocol_attacks import PROTOCOL_ATTACKS
from perf.robustness.attack.socket_attack import SocketAttack

Attack = SocketAttack | GrpcAttack
Maker = Callable[[random.Random], Attack]
# Shares of the requests.
GROUPS: tuple[tuple[float, tuple[Maker, ...]], ...] = (
    (0.30, INFERENCE_ATTACKS),
    (0.15, DIALECT_ATTACKS),
    (0.15, PROTOCOL_ATTACKS),
    (0.30, GRPC_ATTACKS),
    (0.10, FRAME_ATTACKS),
)


def seeded(name: str, seed: int, number: int) -> random.Random:
    """The generator of one request."""
    return random.Random(f"{name} {seed} {number}")  # noqa: S311 - no secret


def nth_attack(seed: int, number: int) -> Attack:
    """The attack `number` of `seed`."""
    rng = seeded("attack", seed, number)
    ((_, makers),) = rng.choices(GROUPS, [share for share, _ in GROUPS])
    make = rng.choice(makers)
    return make(rng)


def nth_abandonment(seed: int, number: int) -> Abandonment:
    """The abandoned request `number` of `seed`."""
    return abandonment(seeded("abandonment", seed, number))
