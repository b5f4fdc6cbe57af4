"""Fuzzing: hostile and abandoned requests to a running deployment, over the ports that callers reach."""
