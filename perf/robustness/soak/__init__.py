"""The soak test: minutes of mixed load on one server, with fault injection."""
