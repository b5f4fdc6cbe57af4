"""File formats of records, one module each, and the registry that finds them by name or suffix.

`tribunal scan` reads and writes them, and `tribunal evaluate` reads them.
"""
