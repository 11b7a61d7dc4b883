"""A pool of single-threaded processes with time limits.

Processes that die are replaced.
"""
