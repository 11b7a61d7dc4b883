"""Parameters that only shade, eliminated at each point of the others."""
