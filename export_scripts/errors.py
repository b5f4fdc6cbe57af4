"""Errors that stop an export and leave the repository unchanged."""


class ExportError(RuntimeError):
    """Base of what stops an export; the message says what to do."""


class SourceError(ExportError):
    """A checkpoint is missing, gated, unreachable, damaged, or not the model's kind."""


class ParityError(ExportError):
    """The exported model does not decide as its PyTorch reference."""


class SpaceError(ExportError):
    """The disk has no room for what would be written."""
