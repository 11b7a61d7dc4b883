"""Steps, curvature pairs and noise levels of the descent methods."""
