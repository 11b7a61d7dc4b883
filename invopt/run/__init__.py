"""A run: composed, looped, ended, reported."""
