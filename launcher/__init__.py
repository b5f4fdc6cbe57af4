"""Runs a real tritonserver: finds it, adapts the configs to this host, supervises it, stops it."""


class StartError(RuntimeError):
    """The server could not be started; the message ends with what to do."""


class CrashError(StartError):
    """A signal ended tritonserver during its start; the next start may succeed."""
