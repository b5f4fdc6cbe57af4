"""Hostile requests and abandoned ones, sent to a running deployment over the ports that callers reach."""
