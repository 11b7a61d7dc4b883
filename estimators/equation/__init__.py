"""Estimators of gradients of an equation's residual, for training."""
