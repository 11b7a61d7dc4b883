"""A pool of single-threaded processes with time limits; processes that die are replaced."""
