"""Runs a real tritonserver: finds it, fits the configs to this host, supervises it, stops it."""


class StartError(RuntimeError):
    """The server could not be started; the message ends with what to do."""


class CrashError(StartError):
    """tritonserver was ended by a signal while it started; it may start the next time."""
