"""Runs that are watched while they last: in a terminal, a notebook, a page."""
