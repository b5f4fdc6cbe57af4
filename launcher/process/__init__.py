"""One tritonserver process: its command line, its files, its start and its stop."""
