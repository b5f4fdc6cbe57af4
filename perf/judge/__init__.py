"""How fast the LLM judges."""
