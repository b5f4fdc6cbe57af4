"""Benchmarks: ratios of interleaved rounds in one run, raw samples kept."""
