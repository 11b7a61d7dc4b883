"""Core: the base classes of problems, estimators and methods, and what they share."""
