"""Moderate the Parquet files of a folder with Ray Data, and write Parquet files with the verdicts.

    python ray_moderation.py comments/ verdicts/

TRIBUNAL_URL names the servers, with commas between them. The column of the texts is `text`; `verdict`
and `error` are added. On a cluster, run it as a Ray job: it connects to the cluster that it runs on.
"""

import os
import sys

import ray  # type: ignore[import-not-found]
from tribunal.ray import Moderate

URLS = os.environ.get("TRIBUNAL_URL", "localhost:8001").split(",")
ACTORS = int(os.environ.get("ACTORS", "2"))
ROWS_IN_A_BATCH = 1024
# An actor waits for servers most of the time.
CORES_OF_AN_ACTOR = 0.25


def main(source: str, target: str) -> None:
    """Moderate the rows of `source` into `target`, which receives a file for each block."""
    comments = ray.data.read_parquet(source)
    moderated = comments.map_batches(
        Moderate,
        fn_constructor_kwargs={"url": URLS, "judge": "never"},
        batch_format="pyarrow",
        batch_size=ROWS_IN_A_BATCH,
        num_cpus=CORES_OF_AN_ACTOR,
        compute=ray.data.ActorPoolStrategy(size=ACTORS),
    )
    moderated.write_parquet(target)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
