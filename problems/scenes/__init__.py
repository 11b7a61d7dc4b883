"""Arguments and evaluations of a scene."""
