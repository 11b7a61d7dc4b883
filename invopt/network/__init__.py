"""Estimators behind a network: evaluators and the chain rule."""
