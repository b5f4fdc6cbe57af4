"""The faults that the soak injects into a server under load."""

import signal
from collections.abc import Callable

from launcher.recovery.processes import STUB, model_of
from perf.soak.launched_server import LaunchedServer


def is_model_process(model: str) -> Callable[[list[str]], bool]:
    """What tells whether a command line is that of `model`'s Python process."""
    return lambda command: bool(command) and command[0].endswith(STUB) and model_of(command[-2]) == model


def is_vllm_engine(command: list[str]) -> bool:
    """Whether a command line is that of vLLM's engine."""
    return "EngineCore" in " ".join(command)


def is_tritonserver(command: list[str]) -> bool:
    """Whether a command line is that of tritonserver."""
    return bool(command) and command[0].endswith("/tritonserver")


def fault_injections(server: LaunchedServer) -> dict[str, Callable[[], None]]:
    """What injects each fault, by the fault's name in the report, in the order of injection."""

    def restart(stop_signal: int) -> None:
        server.stop(stop_signal)
        server.start()

    return {
        "the tokenizer's process is killed": lambda: server.kill(is_model_process("tokenizer")),
        "an encoder's process is killed": lambda: server.kill(is_model_process("rejection")),
        "vLLM's engine is killed": lambda: server.kill(is_vllm_engine),
        "the process of `toxicity` is killed": lambda: server.kill(is_model_process("toxicity")),
        "the process of `verdict` is killed": lambda: server.kill(is_model_process("verdict")),
        "the process of `phi3` is killed": lambda: server.kill(is_model_process("phi3")),
        "tritonserver is killed": lambda: server.kill(is_tritonserver),
        "the server is restarted": lambda: restart(signal.SIGTERM),
        "the server is killed and started": lambda: restart(signal.SIGKILL),
    }
