"""An estimator behind a network: evaluators and the chain rule."""
