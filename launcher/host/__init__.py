"""What is made for this host: configs, packed weights, links to a read-only repository."""
