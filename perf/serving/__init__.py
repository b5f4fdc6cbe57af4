"""What the benchmarks measure: exports of full-size models, and servers of them."""
