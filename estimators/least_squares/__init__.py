"""Jacobians of residuals, and the standard errors of parameters that follow from them."""
