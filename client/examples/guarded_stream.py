"""Ask an LLM, and print each part of its answer as soon as Tribunal has checked it.

    python guarded_stream.py "How do I bake bread?"

OPENAI_BASE_URL, OPENAI_API_KEY and MODEL name the LLM at any server with OpenAI's protocol; TRIBUNAL_URL
names the Tribunal server. Exit status 1: the answer was flagged, and the rest of it withheld.
"""

import asyncio
import os
import sys
from contextlib import aclosing

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionChunk
from tribunal import AsyncClient
from tribunal.guard import StreamFlagged

URL = os.environ.get("TRIBUNAL_URL", "localhost:8001")
MODEL = os.environ.get("MODEL", "gpt-4o-mini")


def content(chunk: ChatCompletionChunk) -> str | None:
    """The chunk's text; the last chunks may have none."""
    return chunk.choices[0].delta.content if chunk.choices else None


async def main(question: str) -> int:
    """Print the answer to `question`; returns the exit status."""
    async with AsyncOpenAI() as llm, AsyncClient(URL) as client:
        answer = await llm.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": question}], stream=True
        )
        try:
            async with aclosing(client.guard(answer, text=content)) as pieces:
                async for piece in pieces:
                    sys.stdout.write(piece)
                    sys.stdout.flush()
        except StreamFlagged as flagged:
            sys.stderr.write(f"\n{flagged}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
