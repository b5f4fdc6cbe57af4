"""Reads `config.pbtxt` files."""

from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from launcher import StartError


def read_config(path: Path) -> ModelConfig:
    """Parse a `config.pbtxt`; raises StartError with the place of an error."""
    try:
        return text_format.Parse(path.read_text("utf-8"), ModelConfig())
    except text_format.ParseError as error:
        raise StartError(f"{path} is malformed: {error}; restore it from the checkout") from error
