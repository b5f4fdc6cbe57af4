"""Installs and runs NVIDIA's perf_analyzer."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from ctypes.util import find_library
from dataclasses import dataclass
from pathlib import Path

from launcher.process.wheel import find_wheel
from perf.paths import OUTPUT_FOLDER, TOOLS_FOLDER

# The last wheel whose perf_analyzer runs with the glibc of Debian 12.
PACKAGE = "tritonclient==2.51.0"
# perf_analyzer measures at least three windows.
MEASUREMENT_WINDOWS = 3
ERROR_CHARACTERS = 500


@dataclass(frozen=True)
class PerfAnalyzer:
    """An installed perf_analyzer.

    binary: its executable.
    libraries: the folder of its shared libraries.
    """

    binary: Path
    libraries: Path

    def measure(
        self,
        url: str,
        protocol: str,
        load: Sequence[str],
        texts: Sequence[str],
        request_texts: int = 1,
        interval_s: float | None = None,
    ) -> list[dict[str, float]]:
        """Send the texts, `request_texts` in each request; raises RuntimeError if perf_analyzer fails.

        load: perf_analyzer's options for the callers or the request rate.
        interval_s: duration of each of the three measurement windows; None: together one pass over the texts.
        Returns the rows of its report, one for each step of the load, by its column names.
        """
        texts_file = OUTPUT_FOLDER / "workload.json"
        report = OUTPUT_FOLDER / "perf_analyzer.csv"
        report.unlink(missing_ok=True)
        OUTPUT_FOLDER.mkdir(parents=True, exist_ok=True)
        requests = [{"text": [text], "judge": ["never"]} for text in texts]
        texts_file.write_text(json.dumps({"data": requests}), "utf-8")
        if interval_s is None:
            window_requests = len(texts) // request_texts // MEASUREMENT_WINDOWS + 1
            window = ("count_windows", "--measurement-request-count", str(window_requests))
        else:
            window = ("time_windows", "--measurement-interval", str(round(interval_s * 1000)))
        command = [
            *(str(self.binary), "-m", "moderation", "-u", url, "-i", protocol),
            *("--input-data", str(texts_file), "-b", str(request_texts)),
            *("--measurement-mode", *window),
            # Latencies of texts of mixed lengths never meet its default stability limit of 10 %.
            *("--percentile", "99", "--stability-percentage", "999", "-f", str(report), *load),
        ]
        completed = subprocess.run(
            command,
            env={**os.environ, "LD_LIBRARY_PATH": str(self.libraries)},
            capture_output=True,
            text=True,
            check=False,
        )
        if completed.returncode and not report.exists():
            output = completed.stdout[-ERROR_CHARACTERS:] + completed.stderr[-ERROR_CHARACTERS:]
            raise RuntimeError(f"perf_analyzer failed: {output}")
        return read_report(report)


def read_report(report: Path) -> list[dict[str, float]]:
    """Rows of perf_analyzer's report without empty cells."""
    with report.open(encoding="utf-8") as lines:
        return [
            {column: float(value) for column, value in row.items() if value} for row in csv.DictReader(lines)
        ]


def install_perf_analyzer() -> PerfAnalyzer:
    """Install perf_analyzer if missing, in a separate folder because of its older tritonclient.

    Raises RuntimeError if the system lacks a library that it needs.
    """
    if find_library("b64") is None:
        raise RuntimeError("perf_analyzer needs libb64: run `apt-get install libb64-0d` as root")
    binary = TOOLS_FOLDER / "bin" / "perf_analyzer"
    if not binary.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--target", str(TOOLS_FOLDER), PACKAGE], check=True)
    # perf_analyzer loads the CUDA runtime by another name than that in Triton's wheel.
    (cuda_runtime,) = find_wheel().library_folders[-1].glob("libcudart-*.so.12*")
    link = TOOLS_FOLDER / "lib" / "libcudart.so.12"
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(cuda_runtime)
    return PerfAnalyzer(binary, libraries=link.parent)
