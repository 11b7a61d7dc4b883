"""Runs: `minimize`, its arguments, the loop, and the answer at the end."""
