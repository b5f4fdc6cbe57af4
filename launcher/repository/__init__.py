"""What a filled model repository is, and whether it is as it was exported."""
