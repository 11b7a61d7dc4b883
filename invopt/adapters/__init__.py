"""Other ways to start a run: as a method of scipy, and by ask and tell."""
