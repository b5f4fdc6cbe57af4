"""Small checkpoints of the models' architectures, trained on text of our own: text, recipe, weights."""
