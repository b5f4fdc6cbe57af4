"""Moderate the Parquet files of a folder with Ray Data, and write Parquet files with the verdicts.

    python ray_moderation.py comments/ verdicts/

TRIBUNAL_URL lists the servers, separated by commas. The texts are in the column `text`; the job adds the
columns `verdict` and `error`. On a cluster, run it as a Ray job.
"""

import os
import sys

import ray  # type: ignore[import-not-found]
from tribunal.ray import Moderate

URLS = os.environ.get("TRIBUNAL_URL", "localhost:8001").split(",")
ACTORS = int(os.environ.get("ACTORS", "2"))
ROWS_IN_A_BATCH = 1024
# Little, because an actor mostly waits for servers.
CORES_OF_AN_ACTOR = 0.25


def main(source: str, target: str) -> None:
    """Moderate the rows of `source` and write a file for each block to `target`."""
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
