"""Benchmark matrix: every problem with every method; measures and tables."""
