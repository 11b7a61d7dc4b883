"""Steps, curvature and noise: what the descent methods share."""
