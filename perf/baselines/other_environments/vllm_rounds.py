"""Runs rounds of the judge's prompts by vLLM alone, in the environment that has vLLM.

`python vllm_rounds.py ENGINE_FILE PROMPTS_FILE CONCURRENCY`, then for each round a line of standard input, a
JSON object of sampling parameters. The script answers it with a line of JSON: the seconds that all prompts
took together, at most CONCURRENCY of them at once. Before the first round it writes an empty JSON object,
which says that the engine is ready.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from vllm import AsyncEngineArgs, SamplingParams
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM


async def run_rounds(engine_arguments: dict[str, Any], prompts: list[str], concurrency: int) -> None:
    """Start the engine and run a round for each line of standard input, until that ends."""
    engine = AsyncLLM.from_engine_args(AsyncEngineArgs(**engine_arguments))
    limit = asyncio.Semaphore(concurrency)

    async def generate(index: int, parameters: dict[str, Any]) -> None:
        sampling = SamplingParams(**parameters)
        sampling.output_kind = RequestOutputKind.FINAL_ONLY
        async with limit:
            async for _ in engine.generate(prompts[index], sampling, f"{time.monotonic_ns()}-{index}"):
                pass

    print("{}", flush=True)  # noqa: T201
    while line := await asyncio.to_thread(sys.stdin.readline):
        parameters = json.loads(line)
        started_s = time.perf_counter()
        await asyncio.gather(*(generate(index, parameters) for index in range(len(prompts))))
        print(json.dumps({"elapsed_s": time.perf_counter() - started_s}), flush=True)  # noqa: T201
    engine.shutdown()


if __name__ == "__main__":
    engine_file, prompts_file, concurrency = sys.argv[1:]
    asyncio.run(
        run_rounds(
            json.loads(Path(engine_file).read_text("utf-8")),
            json.loads(Path(prompts_file).read_text("utf-8")),
            int(concurrency),
        )
    )
