"""The end of a run: points measured again, the answer and its status."""
