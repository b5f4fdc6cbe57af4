"""Why a local server cannot run; every message ends with what to do."""


class StartError(RuntimeError):
    """The server could not be started."""
