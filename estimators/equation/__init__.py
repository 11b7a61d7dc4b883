"""Estimators that read both sides of an equation, for training."""
