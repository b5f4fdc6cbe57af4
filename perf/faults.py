"""What the soak does to a server that is under load."""

import signal
from collections.abc import Callable

from launcher.recovery.supervisor import STUB, model_of
from perf.launched_server import LaunchedServer


def is_stub(model: str) -> Callable[[list[str]], bool]:
    """Tells the command line of a Python process of `model`."""
    return lambda command: bool(command) and command[0].endswith(STUB) and model_of(command[-2]) == model


def is_engine(command: list[str]) -> bool:
    """Tells the command line of vLLM's engine."""
    return "EngineCore" in " ".join(command)


def is_triton(command: list[str]) -> bool:
    """Tells the command line of tritonserver."""
    return bool(command) and command[0].endswith("/tritonserver")


def faults(server: LaunchedServer) -> dict[str, Callable[[], None]]:
    """What is done to the server, one after the other."""

    def restart(number: int) -> None:
        server.stop(number)
        server.start()

    return {
        "the tokenizer's process is killed": lambda: server.kill(is_stub("tokenizer")),
        "an encoder's process is killed": lambda: server.kill(is_stub("rejection")),
        "vLLM's engine is killed": lambda: server.kill(is_engine),
        "the process of `toxicity` is killed": lambda: server.kill(is_stub("toxicity")),
        "the process of `verdict` is killed": lambda: server.kill(is_stub("verdict")),
        "the process of `phi3` is killed": lambda: server.kill(is_stub("phi3")),
        "tritonserver is killed": lambda: server.kill(is_triton),
        "the server is restarted": lambda: restart(signal.SIGTERM),
        "the server is killed and started": lambda: restart(signal.SIGKILL),
    }
