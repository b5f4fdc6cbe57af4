"""Writes the judge's weights in the served dtype, one shard at a time.

A checkpoint has its weights in one file or in shards with an index, as safetensors or pickled
(`pytorch_model.bin`). The files are memory-mapped and read tensor by tensor, so memory holds only the
written shard and one tensor, whatever the size of the checkpoint.
"""

import contextlib
import json
import math
import pickle
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, PretrainedConfig

from export_scripts.errors import SourceError, SpaceError

Dtype = Literal["float32", "bfloat16", "float16"]
MAX_SHARD_BYTES = 1_000_000_000
# transformers' names of the files; safetensors are preferred.
INDEX_FILES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
WHOLE_FILES = ("model.safetensors", "pytorch_model.bin")
UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RuntimeError,
    EOFError,
    SafetensorError,
    pickle.UnpicklingError,
)


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a checkpoint: its file, its shape, and its stored dtype."""

    file: Path
    shape: tuple[int, ...]
    dtype: torch.dtype

    def served_dtype(self, dtype: Dtype) -> torch.dtype:
        """`dtype` for a floating-point tensor; integers and 8-bit floats (quantised weights) keep theirs."""
        cast = self.dtype.is_floating_point and self.dtype.itemsize > 1
        return getattr(torch, dtype) if cast else self.dtype


@dataclass(frozen=True)
class JudgeWeights:
    """The tensors of a checkpoint by name."""

    folder: Path
    tensors: Mapping[str, StoredTensor]

    @classmethod
    def find(cls, folder: Path) -> "JudgeWeights":
        """Read the names, shapes and dtypes in the files of `folder`.

        Raises SourceError if there are no weights, or a file is missing or damaged.
        """
        try:
            return cls(folder, {name: tensor for file in _files(folder) for name, tensor in _stored(file)})
        except UNREADABLE as error:
            raise _damaged(folder, error) from error

    @property
    def dtype(self) -> str:
        """PyTorch's name of the dtype of most elements, such as `float32`."""
        numbers: Counter[torch.dtype] = Counter()
        for tensor in self.tensors.values():
            numbers[tensor.dtype] += math.prod(tensor.shape)
        return str(numbers.most_common(1)[0][0]).removeprefix("torch.")

    def size_bytes(self, dtype: Dtype) -> int:
        """Bytes of all tensors after the cast to `dtype`."""
        return sum(
            math.prod(tensor.shape) * tensor.served_dtype(dtype).itemsize for tensor in self.tensors.values()
        )

    def require_complete(self, config: PretrainedConfig) -> None:
        """Raise SourceError if a tensor of `config`'s model is missing, or has another shape."""
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
        wanted = {name: tuple(tensor.shape) for name, tensor in model.named_parameters()}
        actual = {name: tensor.shape for name, tensor in self.tensors.items()}
        wrong = sorted(name for name, shape in wanted.items() if actual.get(name) != shape)
        if wrong:
            raise SourceError(
                f"judge: the checkpoint in {self.folder} lacks weights of the model that its config.json "
                f"describes ({', '.join(wrong[:3])}{', ...' if len(wrong) > 3 else ''}); fetch it again"
            )

    def require_space(self, folder: Path, dtype: Dtype) -> None:
        """Raise SpaceError if the disk of `folder` has too little free space for the weights in `dtype`."""
        needed, free = self.size_bytes(dtype), shutil.disk_usage(folder).free
        if needed > free:
            raise SpaceError(
                f"judge: the weights in {dtype} take {needed / 1e9:.1f} GB, and the disk of {folder} has "
                f"{free / 1e9:.1f} GB free: make room, or name a folder on another disk with --repository"
            )

    def write(
        self,
        folder: Path,
        dtype: Dtype,
        on_bytes: Callable[[int], None] = lambda _: None,
        max_shard_bytes: int = MAX_SHARD_BYTES,
    ) -> None:
        """Write the weights in `dtype` to `folder` as safetensors, with an index if there are several files.

        on_bytes: receives the bytes of each tensor after its cast.
        max_shard_bytes: limit of one written file, unless one tensor alone is larger.
        Raises SourceError if a file is damaged or a value is too large for `dtype`, and SpaceError if the
        disk is full.
        """
        planned = {
            name: torch.empty(tensor.shape, dtype=tensor.served_dtype(dtype), device="meta")
            for name, tensor in self.tensors.items()
        }
        split = split_torch_state_dict_into_shards(planned, max_shard_size=max_shard_bytes)
        for file, names in split.filename_to_tensors.items():
            self._write_shard(folder / file, names, dtype, on_bytes)
        if split.is_sharded:
            index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
            (folder / INDEX_FILES[0]).write_text(json.dumps(index, indent=2) + "\n", "utf-8")

    def _write_shard(
        self, file: Path, names: list[str], dtype: Dtype, on_bytes: Callable[[int], None]
    ) -> None:
        try:
            shard = self._cast(names, dtype, on_bytes)
        except SourceError:
            raise
        except UNREADABLE as error:
            raise _damaged(self.folder, error) from error
        try:
            save_file(shard, file, metadata={"format": "pt"})
        except (OSError, SafetensorError) as error:
            raise SpaceError(f"judge: {file.name} could not be written ({error})") from error
        # safetensors lets only the owner read the file; a container may serve it as another user.
        file.chmod(0o644)

    def _cast(
        self, names: list[str], dtype: Dtype, on_bytes: Callable[[int], None]
    ) -> dict[str, torch.Tensor]:
        shard = {}
        for file in dict.fromkeys(self.tensors[name].file for name in names):
            with _opened(file) as read:
                for name in names:
                    stored = self.tensors[name]
                    if stored.file != file:
                        continue
                    # A copy even if the dtype stays, because the tensor must not refer to the mapped file.
                    cast = read(name).to(stored.served_dtype(dtype), copy=True).contiguous()
                    if cast.is_floating_point() and cast.dtype.itemsize > 1 and cast.numel():
                        _require_finite(name, cast)
                    shard[name] = cast
                    on_bytes(cast.nbytes)
        return shard


def _require_finite(name: str, tensor: torch.Tensor) -> None:
    if not all(bool(extreme.isfinite()) for extreme in torch.aminmax(tensor)):
        dtype = str(tensor.dtype).removeprefix("torch.")
        raise SourceError(
            f"judge: the tensor {name} has numbers that are not finite in {dtype}: choose another with "
            "--judge-dtype, or fetch the checkpoint again"
        )


def _files(folder: Path) -> list[Path]:
    for index in INDEX_FILES:
        if (folder / index).exists():
            names = json.loads((folder / index).read_text("utf-8"))["weight_map"].values()
            return [folder / Path(name).name for name in sorted(set(names))]
    for whole in WHOLE_FILES:
        if (folder / whole).exists():
            return [folder / whole]
    raise FileNotFoundError(f"no {' or '.join(WHOLE_FILES)}, whole or in shards")


def _stored(file: Path) -> Iterator[tuple[str, StoredTensor]]:
    if file.suffix != ".safetensors":
        yield from (
            (name, StoredTensor(file, tuple(tensor.shape), tensor.dtype))
            for name, tensor in _unpickled(file).items()
        )
        return
    with safe_open(file, "pt") as opened:
        for name in opened.keys():  # noqa: SIM118 - it is no dictionary
            part = opened.get_slice(name)
            # An empty slice has PyTorch's dtype and does not read the tensor.
            yield name, StoredTensor(file, tuple(part.get_shape()), part[:0].dtype)


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[Callable[[str], torch.Tensor]]:
    if file.suffix != ".safetensors":
        yield _unpickled(file).__getitem__
        return
    with safe_open(file, "pt") as opened:
        yield opened.get_tensor


def _unpickled(file: Path) -> dict[str, torch.Tensor]:
    # `weights_only` executes no pickled code, and `mmap` reads only what is needed.
    state: dict[str, torch.Tensor] = torch.load(file, map_location="cpu", mmap=True, weights_only=True)
    return state


def _damaged(folder: Path, error: BaseException) -> SourceError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return SourceError(
        f"judge: the checkpoint in {folder} is damaged or incomplete ({reason}); fetch it again"
    )
