"""Tribunal in frameworks that call Python objects instead of a server; one module each."""
