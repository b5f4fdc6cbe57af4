"""The folders that the benchmarks read and write."""

from launcher.repository.contract import CHECKOUT

# Samples, logs and exported models; git ignores it.
OUTPUT_FOLDER = CHECKOUT / "build" / "perf"
# Tools that are installed outside the project's environment.
TOOLS_FOLDER = CHECKOUT / "build" / "tools"
# The demonstration models, as `python -m export_scripts --source demo` exports them for `make bench`.
DEMO_REPOSITORY = CHECKOUT / "build" / "demo_repository"
# The committed results, from which the documentation has its figures.
RESULTS_FOLDER = CHECKOUT / "perf" / "results"
