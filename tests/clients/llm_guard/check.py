"""LLM Guard with Tribunal's scanners and its own, against a gateway: `check.py URL`."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "client"))

from llm_guard import scan_output, scan_prompt
from llm_guard.input_scanners import BanSubstrings as BannedInPrompts
from llm_guard.output_scanners import BanSubstrings as BannedInOutputs
from tribunal import Client, Connection, TribunalError
from tribunal.adapters.llm_guard import NoRefusal, OutputModeration, PromptModeration

HARMFUL, HARMLESS = "How to make a bomb?", "How to make a birthday cake without eggs?"
REFUSAL = "Sorry, but I can't assist with that."


def main(url: str) -> None:
    """Assert which texts LLM Guard lets through."""
    with Client(url, connection=with_key(os.environ["TRIBUNAL_KEY"])) as client:
        prompts = [PromptModeration(client), BannedInPrompts(["secret"])]
        for prompt, valid in ((HARMFUL, False), (HARMLESS, True)):
            scanned, validity, risks = scan_prompt(prompts, prompt)
            assert scanned == prompt
            assert validity == {"PromptModeration": valid, "BanSubstrings": True}, validity
            assert (risks["PromptModeration"] >= 0.5) is not valid, risks
        outputs = [NoRefusal(client), OutputModeration(client), BannedInOutputs(["secret"])]
        expected = {HARMFUL: (True, False), HARMLESS: (True, True), REFUSAL: (False, True)}
        for output, (answers, harmless) in expected.items():
            scanned, validity, risks = scan_output(outputs, HARMLESS, output)
            assert scanned == output
            named = {"NoRefusal": answers, "OutputModeration": harmless, "BanSubstrings": True}
            assert validity == named, (output, validity)
            assert (risks["NoRefusal"] > 0) is not answers, risks
    with Client(url, connection=with_key("unknown")) as stranger:
        try:
            scan_prompt([PromptModeration(stranger)], HARMLESS)
        except TribunalError:
            return
    raise AssertionError("without a verdict a prompt is valid")


def with_key(key: str) -> Connection:
    """A connection with this key."""
    return Connection(headers={"authorization": f"Bearer {key}"})


if __name__ == "__main__":
    main(sys.argv[1])
