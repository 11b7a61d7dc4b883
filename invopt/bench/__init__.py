"""Benchmark matrix: every problem with every method, their measures, and tables of these."""
