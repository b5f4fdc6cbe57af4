"""The judge's engine alone: runs in the judge's environment, driven over standard input.

Takes the engine arguments and the prompts as files. Each line of standard input is a JSON object of
sampling parameters; the answer is a line of JSON with the seconds that all prompts took together, at most
`concurrency` of them at once. An empty object says that it is ready.
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


async def serve(arguments: dict[str, Any], prompts: list[str], concurrency: int) -> None:
    """Start the engine, say so, and time one round for each line of standard input."""
    engine = AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments))
    free = asyncio.Semaphore(concurrency)

    async def generate(index: int, parameters: dict[str, Any]) -> None:
        sampling = SamplingParams(**parameters)
        sampling.output_kind = RequestOutputKind.FINAL_ONLY
        async with free:
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
        serve(
            json.loads(Path(engine_file).read_text("utf-8")),
            json.loads(Path(prompts_file).read_text("utf-8")),
            int(concurrency),
        )
    )
