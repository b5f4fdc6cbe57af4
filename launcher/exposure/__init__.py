"""Who can reach the server: addresses, TLS, ports."""
