"""Workers: one implementation of `Objective.evaluate`."""
