"""The benchmarks' load: the texts, and the callers that send them."""
