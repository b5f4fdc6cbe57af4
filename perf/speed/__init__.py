"""How fast: throughput, latency and CPU time, each beside something to compare with."""
