"""`tribunal moderate`: the verdicts of single texts, as a table or as JSON, as they arrive."""
