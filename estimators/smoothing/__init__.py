"""Kernels, samplers and averages of the smoothed estimators."""
