"""A real tritonserver without Docker: finds the binary, tunes the configs for this host, runs it."""
