"""The former path of `perf.soak.launched_server`, for importers that still name it."""

from perf.soak.launched_server import LaunchedServer as LaunchedServer
