"""Why a start failed, in the words of Triton."""

from pathlib import Path

from launcher import StartError
from launcher.process.model_control import ModelControl


def require_loaded(control: ModelControl, log_name: str) -> None:
    """Raise StartError with Triton's reasons if a model did not load; UNREACHABLE."""
    failed = control.failures()
    if failed:
        # An ensemble that only waits for a failed model has no reason of its own.
        reasons = "; ".join(
            f"{model}: {one_line(reason)}" for model, reason in failed.items() if reason or len(failed) == 1
        )
        raise StartError(f"a model failed to load: {reasons} (the whole log: {log_name})")


def one_line(reason: str) -> str:
    """First line that is not blank, such as the message before a model's traceback."""
    return next((line.strip() for line in reason.splitlines() if line.strip()), "no reason given")


def last_error(log_file: Path) -> str:
    """Last line of Triton's log that is an error, else its last line."""
    lines = [line for line in log_file.read_text("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E", "error", "Error"))]
    return (errors or lines or ["it wrote no log"])[-1]
