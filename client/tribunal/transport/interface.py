"""What a transport does: it sends named tensors to a model and returns its outputs."""

from collections.abc import AsyncGenerator, Generator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

# numpy is imported by the first call, and not by `import tribunal`.
if TYPE_CHECKING:
    import numpy.typing as npt

    Tensor = npt.NDArray[Any]
else:
    Tensor = Any
Tensors = Mapping[str, Tensor]

# A model's config as JSON, with the names of its protobuf.
ModelConfig = dict[str, Any]


class Transport(Protocol):
    """A thread-safe connection to one server.

    Every method raises TimeoutError if there is no answer within its `timeout_s`, and otherwise
    TribunalErrors.
    """

    def infer(self, model: str, inputs: Tensors, output: str, timeout_s: float) -> Tensor:
        """Send `inputs` to `model` and return its tensor `output`."""

    def stream(self, model: str, inputs: Tensors, output: str, timeout_s: float) -> Generator[Tensor]:
        """Send `inputs` to the decoupled `model` and give its tensors `output`.

        Raises ServerError if the stream ends without the model's final mark.
        """

    def version(self, timeout_s: float) -> str:
        """Triton's version."""

    def models(self, timeout_s: float) -> list[str]:
        """Names of the models that are loaded."""

    def is_ready(self, model: str, timeout_s: float) -> bool:
        """Whether the server takes requests for `model`."""

    def close(self) -> None:
        """Release the connection."""


class AsyncTransport(Protocol):
    """`Transport` for asyncio, in one event loop; cancelling a task cancels its request on the server."""

    async def infer(self, model: str, inputs: Tensors, output: str, timeout_s: float) -> Tensor:
        """Send `inputs` to `model` and return its tensor `output`."""

    def stream(self, model: str, inputs: Tensors, output: str, timeout_s: float) -> AsyncGenerator[Tensor]:
        """Send `inputs` to the decoupled `model` and give its tensors `output`.

        Raises ServerError if the stream ends without the model's final mark.
        """

    async def version(self, timeout_s: float) -> str:
        """Triton's version."""

    async def models(self, timeout_s: float) -> list[str]:
        """Names of the models that are loaded."""

    async def config(self, model: str, timeout_s: float) -> ModelConfig:
        """The config of a model that is loaded."""

    async def is_ready(self, model: str, timeout_s: float) -> bool:
        """Whether the server takes requests for `model`."""

    async def close(self) -> None:
        """Release the connection and cancel calls in flight."""
