"""The virtual environment that runs vLLM.

vLLM needs transformers 5 and the exporter transformers 4, so `make setup` makes two environments.
"""

from pathlib import Path

from launcher import StartError

JUDGE_ENVIRONMENT = Path(__file__).parents[2] / ".venv-judge"


def require_judge_environment() -> None:
    """Raise StartError unless the environment that runs vLLM was made."""
    if not (JUDGE_ENVIRONMENT / "bin" / "activate").exists():
        raise StartError(f"{JUDGE_ENVIRONMENT}, where vLLM runs, is missing: run `make setup`")
