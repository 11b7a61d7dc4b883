"""Refinement of an answer: residuals under several seeds, and what they tell."""
