"""What is asked and what comes of it: problems, estimators, methods, and what they are made of."""
