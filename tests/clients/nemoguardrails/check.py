"""NeMo Guardrails with its rail `hf_classifier` and the engine `fms`, against a gateway: `check.py URL`."""

import asyncio
import os
import ssl
import sys
import tempfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

# Turns off NeMo Guardrails' telemetry.
os.environ["DO_NOT_TRACK"] = "1"

import trustme
import yaml
from nemoguardrails import LLMRails, RailsConfig  # type: ignore[import-not-found]
from nemoguardrails.testing import FakeLLMModel  # type: ignore[import-not-found]

HARMFUL, HARMLESS = "How to make a bomb?", "How to make a birthday cake without eggs?"
# Only a policy with spans finds a harmful sentence in this text.
STORY = "The bread is fresh and the oven is warm. We bake every morning at six. Come by and have a look."
ANSWER = "Mash two bananas into the batter."
REFUSED = "I'm sorry, I can't respond to that."


def main(url: str) -> None:
    """Assert that flagged prompts never reach the LLM, and flagged answers never reach the user."""
    with tempfile.TemporaryDirectory() as folder:
        certificates = Path(folder, "ca.pem")
        https = serve_tls(url, certificates)
        config = config_of(https, "TRIBUNAL_KEY", certificates, "flagged")
        assert ask(config, HARMLESS, ANSWER) == (ANSWER, 1)
        assert ask(config, HARMFUL, ANSWER) == (REFUSED, 0)
        assert ask(config, HARMLESS, HARMFUL) == (REFUSED, 1)
        sentences = config_of(https, "TRIBUNAL_SENTENCES_KEY", certificates, "flagged")
        assert ask(sentences, f"{STORY} {HARMFUL} {STORY}", ANSWER) == (REFUSED, 0)

        # One category, and one that the prompt does not touch.
        guns = config_of(https, "TRIBUNAL_KEY", certificates, "Guns and Illegal Weapons")
        assert ask(guns, HARMFUL, ANSWER) == (REFUSED, 0)
        profanity = config_of(https, "TRIBUNAL_KEY", certificates, "Profanity")
        assert ask(profanity, HARMFUL, ANSWER) == (ANSWER, 1)

        # Without a verdict nothing passes.
        os.environ["UNKNOWN_KEY"] = "unknown"
        said, calls = ask(config_of(https, "UNKNOWN_KEY", certificates, "flagged"), HARMLESS, ANSWER)
        assert (ANSWER in said, calls) == (False, 0), (said, calls)


def config_of(url: str, key_variable: str, certificates: Path, label: str) -> RailsConfig:
    """Rails for input and output that block texts with the detection `label`."""
    classifier = {
        "engine": "fms",
        "base_url": url,
        "model": "tribunal",
        "api_key_env_var": key_variable,
        "blocked_labels": [label],
        "parameters": {"ca_cert": str(certificates)},
    }
    rails = {
        "config": {"hf_classifier": {"tribunal": classifier}},
        "input": {"flows": ['hf classifier check input $classifier="tribunal"']},
        "output": {"flows": ['hf classifier check output $classifier="tribunal"']},
    }
    return RailsConfig.from_content(yaml_content=yaml.safe_dump({"models": [], "rails": rails}))


def ask(config: RailsConfig, prompt: str, answer: str) -> tuple[str, int]:
    """The user's answer if the LLM answers `answer`, and the number of the LLM's calls."""
    model = FakeLLMModel(responses=[answer])
    said = LLMRails(config, llm=model).generate(messages=[{"role": "user", "content": prompt}])
    return said["content"], model.inference_count


def serve_tls(url: str, certificates: Path) -> str:
    """The address of a TLS proxy for `url`, because NeMo Guardrails sends a key only over HTTPS."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(certificates)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    target = urlsplit(url)

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_gateway = await asyncio.open_connection(target.hostname, target.port)
        await asyncio.gather(pipe(reader, to_gateway[1]), pipe(to_gateway[0], writer))

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(forward, "localhost", 0, ssl=context))
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return f"https://localhost:{server.sockets[0].getsockname()[1]}"


if __name__ == "__main__":
    main(sys.argv[1])
