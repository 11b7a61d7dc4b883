"""Kernels, proposal densities and averages of the estimators of smoothed derivatives."""
