"""Runs rounds of the judge's prompts by vLLM alone, in vLLM's environment.

`python vllm_rounds.py ENGINE_FILE` runs a round for each line of standard input: a JSON object with the
`prompts`, the number of concurrent `callers`, and the `sampling` parameters. It answers with a line of JSON:
the seconds for all prompts, and their tokens. Before the first round it writes an empty JSON object when the
engine is ready.
"""

import asyncio
import json
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from vllm import AsyncEngineArgs, SamplingParams
from vllm.sampling_params import RequestOutputKind
from vllm.usage.usage_lib import UsageContext
from vllm.v1.engine.async_llm import AsyncLLM


async def run_round(
    engine: AsyncLLM, prompts: list[str], callers: int, sampling: dict[str, Any]
) -> dict[str, float]:
    """Generate an answer to each prompt, and count the tokens, also those from vLLM's prefix cache."""
    limit = asyncio.Semaphore(callers)

    async def generate(prompt: str) -> Any:
        parameters = SamplingParams(**sampling)
        parameters.output_kind = RequestOutputKind.FINAL_ONLY
        async with limit:
            async for output in engine.generate(prompt, parameters, uuid.uuid4().hex):
                answer = output
        return answer

    started_s = time.perf_counter()
    answers = await asyncio.gather(*map(generate, prompts))
    return {
        "elapsed_s": time.perf_counter() - started_s,
        "prompt_tokens": sum(len(answer.prompt_token_ids) for answer in answers),
        "cached_tokens": sum(answer.num_cached_tokens for answer in answers),
        "answer_tokens": sum(len(answer.outputs[0].token_ids) for answer in answers),
    }


async def run_rounds(engine_arguments: dict[str, Any]) -> None:
    """Start the engine and run a round for each line of standard input, until its end."""
    # As the backends start it: on a GPU, vLLM's default limits on a step depend on it.
    engine = AsyncLLM.from_engine_args(
        AsyncEngineArgs(**engine_arguments), usage_context=UsageContext.OPENAI_API_SERVER
    )
    print("{}", flush=True)  # noqa: T201
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await run_round(engine, **json.loads(line))), flush=True)  # noqa: T201
    engine.shutdown()


if __name__ == "__main__":
    asyncio.run(run_rounds(json.loads(Path(sys.argv[1]).read_text("utf-8"))))
