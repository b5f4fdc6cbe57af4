"""Decisions on more texts than one request to the moderator may have."""

import asyncio
from collections.abc import Mapping

from tribunal.gateway.decision import Decision
from tribunal.gateway.errors import GatewayError
from tribunal.gateway.keys import Caller
from tribunal.gateway.moderator import Moderator, Options
from tribunal.gateway.settings import MAX_TEXTS


async def moderate_all(
    moderator: Moderator, texts: Mapping[str, str], options: Options, caller: Caller
) -> list[Decision]:
    """A decision for each of `texts`, in their order, within the deadline of one request.

    texts: by their place in the request. Raises GatewayError; the error of a text names its place.
    """
    every = list(texts.values())
    batches = [every[start : start + MAX_TEXTS] for start in range(0, len(every), MAX_TEXTS)]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(moderator.moderate_each(batch, options, caller)) for batch in batches]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    decisions = []
    for place, answer in zip(texts, (answer for task in tasks for answer in task.result()), strict=True):
        if isinstance(answer, GatewayError):
            raise GatewayError(answer.status, answer.code, answer.message, place) from answer
        decisions.append(answer)
    return decisions
