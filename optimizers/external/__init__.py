"""Base classes of the methods that other libraries run."""
