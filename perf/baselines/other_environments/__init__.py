"""Scripts that run in other virtual environments, so nothing here may be imported from the project's own."""
