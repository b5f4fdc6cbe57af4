"""What is done when a model or tritonserver itself dies."""
