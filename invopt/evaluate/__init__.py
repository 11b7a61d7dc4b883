"""Evaluations: counted, limited and checked; in this process or in workers."""
