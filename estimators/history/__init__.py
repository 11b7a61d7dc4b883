"""Estimators that remember their samples, and the models they fit to them."""
