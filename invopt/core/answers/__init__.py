"""What an objective answers: results of its methods, and shading, packed."""
