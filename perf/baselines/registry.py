"""What a baseline is, and the registry of all baselines in this package."""

import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal, Protocol

from perf import baselines
from perf.rounds import Round

Precision = Literal["fp32", "int8"]
# Screens the workload, as often as `passes_at` says, with a number of callers.
RunRound = Callable[[int], Round]


@dataclass(frozen=True)
class EncoderFiles:
    """Where the encoders that a baseline screens with are.

    checkpoints: has a folder with the PyTorch weights of each encoder.
    repositories: has a Triton model repository for each precision, with the ONNX file of each encoder.
    """

    checkpoints: Path
    repositories: Path

    def repository(self, precision: Precision) -> Path:
        """The model repository of the encoders at `precision`."""
        return self.repositories / precision


class Baseline(Protocol):
    """A way to screen the workload without Tribunal."""

    @property
    def name(self) -> str:
        """The name in the samples, in tables and on the command line."""

    @property
    def description(self) -> str:
        """What the baseline runs, in a few words, for tables and plots."""

    @property
    def callers(self) -> int:
        """The number of callers at which the baseline is compared with Tribunal."""

    @property
    def precision(self) -> Precision:
        """Of its weights."""

    @property
    def is_reference(self) -> bool:
        """Whether the ratios at this number of callers and this precision are ratios to this baseline."""

    def start(self, encoders: EncoderFiles) -> AbstractContextManager[RunRound]:
        """Load and warm up; between the rounds of the context nothing may run."""


@functools.cache
def all_baselines() -> dict[str, Baseline]:
    """Every baseline of this package by its name."""
    modules = [
        importlib.import_module(f"{baselines.__name__}.{module.name}")
        for module in pkgutil.iter_modules(baselines.__path__)
        if not module.ispkg and module.name != "__main__"
    ]
    return baselines_of(modules)


def baselines_of(modules: Iterable[ModuleType]) -> dict[str, Baseline]:
    """The baselines that the modules define, by name; raises ValueError where two have one name."""
    by_name: dict[str, Baseline] = {}
    for module in modules:
        for baseline in getattr(module, "BASELINES", ()):
            if baseline.name in by_name:
                raise ValueError(f"two baselines are named {baseline.name!r}")
            by_name[baseline.name] = baseline
    return by_name


def baselines_at(callers: int) -> list[Baseline]:
    """The baselines that are compared at a number of callers, the references first."""
    chosen = [baseline for baseline in all_baselines().values() if baseline.callers == callers]
    return sorted(chosen, key=lambda baseline: not baseline.is_reference)


def reference_at(callers: int, precision: Precision) -> Baseline:
    """The baseline that ratios refer to at a number of callers; raises ValueError unless there is one."""
    (reference,) = [
        baseline
        for baseline in baselines_at(callers)
        if baseline.is_reference and baseline.precision == precision
    ]
    return reference
