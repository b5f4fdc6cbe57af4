"""How well harm is found."""
