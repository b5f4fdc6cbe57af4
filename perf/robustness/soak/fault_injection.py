"""The faults of the soak test: single faults, and pairs of faults."""

import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from launcher.recovery.processes import STUB, model_of
from perf.load.mixed_load import MixedLoad
from perf.serving.deployment import Deployment

# Time between the two faults of a pair; the second strikes during the recovery from the first.
BETWEEN_S = 0.3
# Time for which a model's files are missing, long enough for several attempts to load it.
AWAY_S = 6.0
OVERLOAD_S = 10.0

Injection = Callable[[], None]


def is_model_process(model: str) -> Callable[[list[str]], bool]:
    """A function that returns whether a command line is that of `model`'s Python process."""
    return lambda command: bool(command) and command[0].endswith(STUB) and model_of(command[-2]) == model


def is_vllm_engine(command: list[str]) -> bool:
    """Whether a command line is that of vLLM's engine."""
    return "EngineCore" in " ".join(command)


def is_tritonserver(command: list[str]) -> bool:
    """Whether a command line is that of tritonserver."""
    return bool(command) and command[0].endswith("/tritonserver")


def single_faults(deployment: Deployment) -> dict[str, Injection]:
    """Functions that inject the single faults, by name in the report, in the order of injection."""
    server, gateway = deployment.server, deployment.gateway

    def restart(stop_signal: int) -> None:
        server.stop(stop_signal)
        server.start()

    def restart_gateway() -> None:
        gateway.stop(signal.SIGKILL)
        gateway.start()

    return {
        "the tokenizer's process is killed": lambda: server.kill(is_model_process("tokenizer")),
        "an encoder's process is killed": lambda: server.kill(is_model_process("rejection")),
        "vLLM's engine is killed": lambda: server.kill(is_vllm_engine),
        "the process of `verdict` is killed": lambda: server.kill(is_model_process("verdict")),
        "the process of `phi3` is killed": lambda: server.kill(is_model_process("phi3")),
        "tritonserver is killed": lambda: server.kill(is_tritonserver),
        "the server is restarted": lambda: restart(signal.SIGTERM),
        "the server is killed and started": lambda: restart(signal.SIGKILL),
        "the gateway is killed and started": restart_gateway,
    }


def pairs_of_faults(deployment: Deployment, repository: Path, load: MixedLoad) -> dict[str, Injection]:
    """Functions that inject the pairs of faults, by name in the report, in the order of injection.

    repository: the served one; a fault moves a model's files away and back.
    """
    server = deployment.server

    def kill_two(first: str, second: str) -> None:
        server.kill(is_model_process(first))
        time.sleep(BETWEEN_S)
        server.kill(is_model_process(second))

    def fail_to_load(model: str) -> None:
        version = repository / model / "1"
        away = repository.with_name(f"{repository.name}.away")
        version.rename(away)
        try:
            server.kill(is_model_process(model))
            time.sleep(AWAY_S)
        finally:
            away.rename(version)

    def overload_without(model: str) -> None:
        server.kill(is_model_process(model))
        load.overload(OVERLOAD_S)

    def stop_in_recovery(model: str) -> None:
        server.kill(is_model_process(model))
        # By then, the supervisor has noticed the death.
        time.sleep(BETWEEN_S + 1.0)
        server.stop(signal.SIGTERM)
        server.start()

    return {
        "`rejection` is killed, and 0.3 s later `aegis`": lambda: kill_two("rejection", "aegis"),
        "the tokenizer is killed, and 0.3 s later `verdict`": lambda: kill_two("tokenizer", "verdict"),
        "`aegis` is killed and cannot be loaded for 6 s": lambda: fail_to_load("aegis"),
        "overload for 10 s while `rejection` is dead": lambda: overload_without("rejection"),
        "SIGTERM while `aegis` is brought back, and a start": lambda: stop_in_recovery("aegis"),
    }


def fault_injections(
    deployment: Deployment, repository: Path, load: MixedLoad, kinds: str
) -> Mapping[str, Injection]:
    """The faults of `kinds`: `single`, `pairs` or `all`."""
    single = single_faults(deployment) if kinds != "pairs" else {}
    pairs = pairs_of_faults(deployment, repository, load) if kinds != "single" else {}
    return single | pairs
