"""Fills a Triton model repository: resolve the checkpoints, export, optimise, check, record."""
