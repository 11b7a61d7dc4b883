"""Jacobians of residuals, and what they say of the parameters' errors."""
