"""`tribunal scan`: the verdicts of a whole file of texts, of which an interruption loses nothing."""
