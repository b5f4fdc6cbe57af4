"""The load that benchmarks put on a server: the texts, and the callers that send them."""
