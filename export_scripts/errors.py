"""Errors that stop an export and leave the repository unchanged."""


class ExportError(RuntimeError):
    """Base of the errors that stop an export; the message says what to do."""


class SourceError(ExportError):
    """A checkpoint is missing, gated, unreachable or damaged, or has another architecture."""


class ParityError(ExportError):
    """The exported model's scores or decisions differ from its PyTorch reference."""


class SpaceError(ExportError):
    """The disk has too little free space."""
