"""Both sides of the rendering equation: points, directions, paths."""
