"""Kernels, proposal densities and averages for smoothed-derivative estimators."""
