"""The interface of a baseline, and the registry of all baselines in this package."""

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
from perf.load.rounds import Load, Round

Precision = Literal["fp32", "int8"]
# Screens the workload under a load, in a number of passes.
RunRound = Callable[[Load, int], Round]


@dataclass(frozen=True)
class EncoderFiles:
    """The folders of a baseline's encoders.

    checkpoints: folder with a subfolder of PyTorch weights for each encoder.
    repositories: folder with a Triton model repository of the encoders' ONNX files for each precision.
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
        """A short description for tables and plots."""

    @property
    def loads(self) -> tuple[Load, ...]:
        """The loads of its comparison with Tribunal."""

    @property
    def precision(self) -> Precision:
        """Precision of its weights."""

    @property
    def is_reference(self) -> bool:
        """Whether this baseline is the denominator of the ratios at its loads and precision."""

    def start(self, encoders: EncoderFiles) -> AbstractContextManager[RunRound]:
        """Load and warm up; nothing may run between the rounds of the context."""


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
    """The baselines that the modules define, by name; raises ValueError for a duplicate name."""
    by_name: dict[str, Baseline] = {}
    for module in modules:
        for baseline in getattr(module, "BASELINES", ()):
            if baseline.name in by_name:
                raise ValueError(f"two baselines are named {baseline.name!r}")
            by_name[baseline.name] = baseline
    return by_name


def baselines_at(load: Load) -> list[Baseline]:
    """The baselines for a load, the references first."""
    chosen = [baseline for baseline in all_baselines().values() if load in baseline.loads]
    return sorted(chosen, key=lambda baseline: not baseline.is_reference)


def reference_at(load: Load, precision: Precision) -> Baseline:
    """The reference baseline under a load; raises ValueError unless there is exactly one."""
    (reference,) = [
        baseline
        for baseline in baselines_at(load)
        if baseline.is_reference and baseline.precision == precision
    ]
    return reference
