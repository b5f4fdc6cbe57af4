"""What runs on a GPU, and how fast."""
