"""How good a server is on labelled texts; needs the extra `evaluate`."""
