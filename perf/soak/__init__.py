"""The soak: minutes of mixed load on one server, while faults are injected into it."""
