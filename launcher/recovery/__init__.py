"""Recovery when a model or tritonserver itself dies."""
