"""The demonstration models: small checkpoints of the real architectures, with training text and recipe."""
