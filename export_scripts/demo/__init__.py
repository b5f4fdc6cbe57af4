"""Small checkpoints of the members' architectures, trained on text of our own: text, recipe, weights."""
