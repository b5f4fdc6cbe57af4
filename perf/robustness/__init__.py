"""What holds under faults, hostile callers, and more load than can be served."""
