"""Runs the example `ray_moderation.py` on a Ray cluster of two local nodes, in Ray's environment.

`ray_cluster.py SOURCE TARGET` prints the rows per second, without the cluster's start.
"""

import sys
import time
from pathlib import Path

import ray  # type: ignore[import-not-found]
from ray.cluster_utils import Cluster  # type: ignore[import-not-found]

sys.path.insert(0, str(Path(__file__).parents[2] / "client" / "examples"))
import ray_moderation  # type: ignore[import-not-found]

NODES = 2
# An actor takes a part of a core on each node, which must leave a whole core for reading and writing.
CORES_OF_A_NODE = 2
OBJECT_STORE_BYTES = 128 * 2**20
# Small, so that a small file has several blocks and both actors have work.
BLOCK_BYTES = 64 * 2**10


def main(source: str, target: str) -> None:
    """Moderate `source` on a new cluster."""
    node = {"num_cpus": CORES_OF_A_NODE, "object_store_memory": OBJECT_STORE_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        for _ in range(NODES - 1):
            cluster.add_node(**node)
        ray.init(address=cluster.address)
        context = ray.data.DataContext.get_current()
        context.target_min_block_size = context.target_max_block_size = BLOCK_BYTES
        started_s = time.monotonic()
        ray_moderation.main(source, target)
        elapsed_s = time.monotonic() - started_s
        rows = ray.data.read_parquet(target).count()
        sys.stdout.write(f"{rows} rows, {rows / elapsed_s:.0f} rows/s\n")
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
