"""How cost grows: with length, batch, callers, instances, rate and number of requests."""
