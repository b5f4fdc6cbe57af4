"""Names of the files that the launcher writes into a repository for one host."""

CONFIG_NAME = "local"
PACKED_MODEL = "local.onnx"
PACKED_WEIGHTS = "local.data"
PACKED_FOR = "local.json"
HOST_FILES = (PACKED_WEIGHTS, PACKED_MODEL, PACKED_FOR, f"{CONFIG_NAME}.pbtxt")
