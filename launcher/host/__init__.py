"""Adapts a repository to this host: configs, packed weights, links to a read-only repository."""
