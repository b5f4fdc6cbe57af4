"""Why a local server cannot run; every message ends with what to do."""


class StartError(RuntimeError):
    """The server could not be started."""


class CrashError(StartError):
    """tritonserver was ended by a signal while it started; it may start the next time."""
