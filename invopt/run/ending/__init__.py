"""The end of a run: what is measured, and the answer."""
