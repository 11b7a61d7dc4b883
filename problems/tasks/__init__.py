"""Base classes of the tasks."""
