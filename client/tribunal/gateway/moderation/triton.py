"""The gateway's client of Triton: whole requests, and what the server can do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tribunal.async_client import AsyncClient
from tribunal.batches import Call, Outcome, Request
from tribunal.contract import MAX_BATCH_SIZE, MODERATION
from tribunal.errors import InvalidInput, ServerError
from tribunal.gateway.moderation.queue import Size
from tribunal.transport.interface import ModelConfig
from tribunal.transport.messages import Question

# If the server does not tell its configs, such as another gateway: what every Tribunal server takes.
UNKNOWN_SIZE = Size(requests=4, texts=MAX_BATCH_SIZE)


@dataclass(frozen=True)
class Limits:
    """What a server can do.

    size: at once. max_text_bytes: UTF-8 bytes of a text; None: its configs do not say.
    """

    size: Size
    max_text_bytes: int | None


class Triton(AsyncClient):
    """The client behind the gateway's queues; it neither splits texts into requests nor gathers them."""

    async def outcomes(self, texts: Sequence[bytes], question: Question) -> list[Outcome]:
        """An outcome for each of `texts`, which are sent in one request.

        If the request fails because of a text, its halves are sent, until only the faulty texts fail.
        """
        call = Call(question, self._new_deadline_s(), divided_on=(InvalidInput, ServerError))
        return await self._outcomes(Request(0, texts), call)

    async def limits(self) -> Limits:
        """What the server can do, by the configs of its ensemble; raises TribunalErrors."""
        ensemble = await self._config(MODERATION)
        steps = ensemble.get("ensemble_scheduling", {}).get("step", [])
        configs = {step["model_name"]: await self._config(step["model_name"]) for step in steps}
        batches = [config["max_batch_size"] for config in (ensemble, *configs.values())]
        size = Size(requests=requests_at_once(steps, configs), texts=max(1, min(batches)))
        return Limits(size, max_text_bytes(configs.values()))

    async def _config(self, model: str) -> ModelConfig:
        return await self._call(
            lambda timeout_s: self._transport.config(model, timeout_s), self._new_deadline_s()
        )


def requests_at_once(steps: Sequence[ModelConfig], configs: dict[str, ModelConfig]) -> int:
    """Requests that keep all instances of an ensemble's steps busy: one for each, parallel steps together."""
    depths: dict[str, int] = {}
    instances_at: dict[int, int] = {}
    for step in steps:
        depth = 1 + max((depths.get(tensor, 0) for tensor in step["input_map"].values()), default=0)
        depths |= dict.fromkeys(step["output_map"].values(), depth)
        instances_at[depth] = max(instances_at.get(depth, 1), instances(configs[step["model_name"]]))
    return sum(instances_at.values()) or UNKNOWN_SIZE.requests


def max_text_bytes(configs: Iterable[ModelConfig]) -> int | None:
    """The limit of a text by the model that has one as a parameter."""
    for config in configs:
        parameter = config.get("parameters", {}).get("max_text_bytes", {})
        if str(parameter.get("string_value", "")).isdigit():
            return int(parameter["string_value"])
    return None


def instances(config: ModelConfig) -> int:
    """The number of a model's instances; a group has its count on each of its GPUs."""
    groups = config.get("instance_group", [])
    return max(1, sum(int(group.get("count", 1)) * max(1, len(group.get("gpus", []))) for group in groups))
