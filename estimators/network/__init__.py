"""Estimators for networks that are trained in front of a black box."""
