"""Radiance fields: networks, hash grids, files."""
