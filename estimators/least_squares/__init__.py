"""Jacobians of residuals, and the parameters' standard errors from them."""
