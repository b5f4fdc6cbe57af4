"""Scripts for other virtual environments; they cannot import Tribunal, and Tribunal cannot import them."""
