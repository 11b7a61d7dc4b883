"""Emulation of residuals: universal kriging from the inner products of samples."""
